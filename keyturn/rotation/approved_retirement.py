"""Retire what the approved evidence names, and write down what was retired."""

from datetime import datetime

from keyturn.audit.history import undone_retirement
from keyturn.contracts import RetireInput, RetireResult
from keyturn.dek_store.store import DekStore
from keyturn.errors import InvariantError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.retirement import Retirement, retire_when_zero
from keyturn.rotation.run_store import RunStore
from keyturn.rotation.states import State
from keyturn.rotation.transitions import check_token


async def retire_approved(
    runs: RunStore, store: DekStore, versions: MekVersions, request: RetireInput, now: datetime
) -> RetireResult:
    """Disable the versions that the approved evidence names, if no row needs them.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the evidence in force is not the one that was approved.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    record = await runs.read(request.rotation_id)
    check_token(record, request)
    _check_approved(record, request)
    result = await retire_when_zero(
        request,
        Retirement(
            versions=record.old_versions,
            quarantined=record.quarantined.count,
            retain_until=now + record.policy.retain,
        ),
        store,
        versions,
    )

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, request)
        return record if record.retired == result.retired else record.changed(retired=result.retired)

    record = await runs.update(request.rotation_id, change)
    await runs.audit.follow(record, now)
    await runs.audit.append(request.rotation_id, undone_retirement(record, result.undone, now))
    return result


def _check_approved(record: RotationRecord, request: RetireInput) -> None:
    decision = record.decision
    approved = decision is not None and decision.decision == "approved"
    same = record.evidence_digest == request.evidence_digest == (decision.digest if decision is not None else None)
    if record.state is not State.RETIRING or not approved or not same:
        raise InvariantError(
            "nothing is retired without an approval of the evidence in force", rotationId=record.rotation_id
        )
    if record.evidence is None or record.evidence["oldVersions"] != record.old_versions:
        raise InvariantError("the evidence names other versions than the record", rotationId=record.rotation_id)

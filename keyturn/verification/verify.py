"""Verify a keyring as it is now: canaries, probes, references; write what was seen into the run's record."""

from keyturn.contracts import RotationRef, VerifyResult
from keyturn.resources import KeyringResources
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.record_parts import Canary, Probe
from keyturn.rotation.run_store import RunStore
from keyturn.rotation.transitions import check_token
from keyturn.verification.canaries import check_all, per_container
from keyturn.verification.probes import probe_all
from keyturn.verification.references import missing_deks

# What durable history and a notification carry of the failures' names.
NAMED_MAX = 10
NAME_LENGTH_MAX = 200


async def verify(runs: RunStore, keyring: KeyringResources, ref: RotationRef) -> VerifyResult:
    """Check everything and return the names of what failed.

    Raises:
        UnavailableError: a service did not answer, which is no verdict.
    """
    known = (await runs.read(ref.rotation_id)).canaries
    canaries: list[Canary] = []
    failed: list[str] = []
    wanted = per_container(len(keyring.keyring.documents))
    for description in keyring.keyring.documents:
        container = keyring.documents[description.name]
        mine = [canary for canary in known if canary.container == description.name]
        canaries += await check_all(container, description, keyring.encryption(), mine, wanted)
        if await missing_deks(container, description, keyring.reader_store):
            failed.append(f"references:{description.name}")
    probes = await probe_all(keyring.keyring.health_urls)
    failed += [f"canary:{canary.container}/{canary.document_id}" for canary in canaries if canary.outcome == "fail"]
    failed += [f"probe:{probe.url}" for probe in probes if probe.outcome == "fail"]
    await _record(runs, ref, canaries, probes)
    return VerifyResult(passed=not failed, failed_checks=_named(failed))


def _named(failed: list[str]) -> list[str]:
    """Return the first of the failures, cut to what an event may hold; all of them are in the record."""
    named = [name[:NAME_LENGTH_MAX] for name in failed[:NAMED_MAX]]
    return named if len(named) == len(failed) else [*named, f"and {len(failed) - len(named)} more"]


async def _record(runs: RunStore, ref: RotationRef, canaries: list[Canary], probes: list[Probe]) -> None:
    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, ref)
        return record if record.ended else record.changed(canaries=canaries, probes=probes)

    await runs.update(ref.rotation_id, change)

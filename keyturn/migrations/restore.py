"""Enable what is disabled: for rows that came back from a backup, and for a rotation that is rolled back.

What is to be enabled is counted and frozen as evidence, and another person than the requester decides on it. What was
enabled for a restore is disabled again by a count, as a rotation retires: a version that a row names stays enabled.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import JsonValue

from keyturn.contracts.migrations import (
    DisableAgainInput,
    DisableAgainResult,
    EnableTemporarilyInput,
    EnableTemporarilyResult,
    RestoreFound,
    RestoreInput,
    Rollback,
)
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.deks.census import take_census
from keyturn.deks.store import DekStore
from keyturn.errors import InvariantError, NotSettledError, ResourceMissingError
from keyturn.key_vault.versions import MekVersions, TemporaryEnablement, is_temporary
from keyturn.runs.record import digest_of
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from keyturn.runs.transitions import check_live, void_evidence

SCHEMAS = {"restore": "keyturn/restore-evidence/v1", "rollback": "keyturn/rollback-evidence/v1"}


class Survey(NamedTuple):
    """What was found: the version that rows go to or come from, and the disabled versions, each with its rows."""

    target_version: str
    census: CensusResult
    named: dict[str, int]


async def survey(store: DekStore, versions: MekVersions) -> Survey:
    """Count the rows by version; a temporarily enabled version is one that was disabled.

    Raises:
        ResourceMissingError: no version of the MEK is enabled.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    states, current = await versions.states(), await versions.current()
    enabled = [name for name, found in states.items() if found.enabled and not is_temporary(found)]
    if not enabled:
        raise ResourceMissingError("no version of the MEK is enabled", resource="MEK")
    target = current if current in enabled else enabled[-1]
    census = await take_census(store, target, {})
    named = {name: rows for name, rows in census.by_version.items() if name in states and name not in enabled}
    return Survey(target, census, named)


async def survey_rollback(record: MigrationRecord, runs: RotationStore) -> Survey:
    """Return what the rotation that is rolled back keeps disabled, with the last count of the rollback.

    Raises:
        NotSettledError: no count is visible yet.
    """
    if record.census is None:
        raise NotSettledError("no count of the rollback is visible yet", migrationId=record.run_id)
    rotation = await runs.read(record.rollback.rotation.run_id)
    retired = rotation.retired if rotation.retirement_in_force else []
    counts = record.census.by_version
    return Survey(record.rollback.new_version, record.census, {name: counts.get(name, 0) for name in retired})


async def freeze_enablement(
    migrations: MigrationStore, request: RestoreInput, found: Survey, now: datetime
) -> RestoreFound:
    """Freeze what was found as evidence and return it; what was frozen before for the same step stays.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """

    def change(record: MigrationRecord) -> MigrationRecord:
        check_live(record, request.run)
        if record.step != request.step or record.frozen_at_step == request.step:
            return record  # a late repetition: what came after must not change what was decided on
        looked = void_evidence(record).changed(
            census=found.census,
            target_version=found.target_version,
            versions=sorted(found.named),
            frozen_at_step=request.step,
            temporarily_enabled=[],
            disabled_again=[],
        )
        if not found.named:
            return looked  # there is nothing to decide on
        evidence = _evidence(record, found)
        return looked.changed(
            evidence=evidence,
            evidence_digest=digest_of(evidence),
            evidence_frozen_at=now,
            approval_expires_at=request.expires_at,
        )

    record = await migrations.update(request.run.run_id, change)
    if record.target_version is None or record.census is None:
        raise InvariantError("nothing was frozen", migrationId=record.run_id)
    rows = sum(record.census.by_version.get(version, 0) for version in record.versions)
    return record.shown_as(RestoreFound, rows=rows)


def _rolled_back(work: Rollback) -> dict[str, JsonValue]:
    adopted: dict[str, JsonValue] = {"adopted": [*work.adopted]} if work.adopted else {}
    return {"rotationId": work.rotation.run_id, **adopted}


def _evidence(record: MigrationRecord, found: Survey) -> dict[str, JsonValue]:
    return {
        "schema": SCHEMAS[record.work.kind],
        "migrationId": record.run_id,
        **(_rolled_back(record.work) if isinstance(record.work, Rollback) else {}),
        "keyring": record.keyring,
        "step": record.step,
        "requestedBy": record.requested_by,
        "reason": record.reason,
        "targetVersion": found.target_version,
        "versions": {**found.named},  # rows by the disabled version that they name
        "census": found.census.to_payload(),
    }


async def enable_approved(
    migrations: MigrationStore, request: EnableTemporarilyInput, store: DekStore, versions: MekVersions
) -> EnableTemporarilyResult:
    """Enable the versions that the approved evidence names, and write down which were; twice is the same as once.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the evidence in force is not the one that was approved.
    """
    record = await migrations.update(request.run.run_id, lambda found: _approved(found, request), confirm=True)
    if missing := sorted((await survey(store, versions)).named.keys() - set(record.versions)):
        return record.shown_as(EnableTemporarilyResult, enabled=[], missing=missing)
    temporary = TemporaryEnablement(versions, record.run_id)
    enabled = await temporary.enable(record.versions)
    try:
        await migrations.update(
            request.run.run_id, lambda found: _approved(found, request).changed(temporarily_enabled=enabled)
        )
    except InvariantError:  # the run ended, or went on without this workflow, while versions were being enabled
        for version in enabled:
            await _settle(version, temporary, store, {})
        raise
    return record.shown_as(EnableTemporarilyResult, enabled=enabled, missing=[])


def _approved(record: MigrationRecord, request: EnableTemporarilyInput) -> MigrationRecord:
    """Return the record as it is; raises unless the evidence in force is the one that was approved."""
    check_live(record, request.run)
    evidence: Mapping[str, Any] = record.approved_evidence(request.evidence_digest)
    if record.state is not State.RUNNING or record.versions != sorted(evidence["versions"]):
        raise InvariantError("nothing is enabled but what the approved evidence names", migrationId=record.run_id)
    return record


async def disable_again(
    migrations: MigrationStore, request: DisableAgainInput, store: DekStore, versions: MekVersions
) -> DisableAgainResult:
    """Disable again, of the versions that were enabled for this run, those that no row names.

    Counted, disabled, and counted again; a row that appears in between has its version enabled again at once.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        KeyturnError: of the kind that the store's or the vault's answer means; a version may have stayed enabled.
    """
    record = await migrations.read(request.run.run_id)
    check_live(record, request.run)
    temporary = TemporaryEnablement(versions, request.run.run_id)
    # Also what the record names and is disabled already: an earlier run of this may have died before its second count.
    settled = sorted({*record.temporarily_enabled, *(await temporary.enabled())})
    rows = {version: await _settle(version, temporary, store, request.session_tokens) for version in settled}
    kept = {version: count for version, count in rows.items() if count}

    def change(record: MigrationRecord) -> MigrationRecord:
        check_live(record, request.run)
        disabled = [version for version in settled if version not in kept]
        return record if record.disabled_again == disabled else record.changed(disabled_again=disabled)

    record = await migrations.update(request.run.run_id, change)
    return DisableAgainResult(disabled=record.disabled_again, kept=kept)


async def _settle(
    version: str, temporary: TemporaryEnablement, store: DekStore, session_tokens: Mapping[str, str]
) -> int:
    """Disable the version if no row names it; returns how many do."""
    rows = (await take_census(store, version, session_tokens)).on_target
    if not rows:
        await temporary.disable_again(version)
        try:
            rows = (await take_census(store, version, session_tokens)).on_target
        except Exception:
            await temporary.enable([version])
            raise
    if rows:
        await temporary.enable([version])
    return rows

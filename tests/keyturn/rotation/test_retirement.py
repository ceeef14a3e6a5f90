"""Old versions retired between two counts of zero, and never otherwise."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import RestoreInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import ReinstateInput, RetireInput, RetireResult
from keyturn.deks.census import take_census
from keyturn.errors import EvidenceAlteredError, InvariantError, NotSettledError, UnavailableError
from keyturn.key_vault.versions import MekVersions
from keyturn.migrations.requests import rollback_work
from keyturn.migrations.restore import freeze_enablement, survey_rollback
from keyturn.rotation import retirement as retirement_module
from keyturn.rotation.retirement import reinstate, retire_approved, retirements_in_force
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import Decision, HistoryEntry, Provenance, Quarantined
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.harness import started
from tests.keyturn.migrations.harness import step_to as migration_to
from tests.keyturn.runs.lifecycle import APPROVER, CENSUS, NOW, bring_to, make_record, step_to


@dataclass(frozen=True)
class RetirementHarness:
    """A store, a version to retire, and the target, in the order of their creation."""

    runs: RotationStore
    keyring: LocalKeyring
    old: str
    target: str

    @property
    def versions(self) -> MekVersions:
        """The MEK's versions."""
        return MekVersions(self.keyring.mek.admin, self.keyring.mek.client)

    async def is_enabled(self, version: str) -> bool:
        """Tell whether the vault has the version enabled."""
        return (await self.versions.states())[version].enabled

    async def approved(self, retired: str, **changed: Any) -> RotationRecord:
        """Bring a rotation that is to retire the version to the moment before it does."""
        record = await bring_to(self.runs, State.SOAKING)
        fields = {"old_versions": [retired], "target_version": self.target}
        await self.runs.update(record.run_id, lambda found: found.changed(**fields))
        for state in (State.AWAITING_APPROVAL, State.RETIRING):
            record = await step_to(self.runs, record, state)
        return await self.runs.update(record.run_id, lambda found: found.changed(**changed))

    async def retire(self, record: RotationRecord, now: datetime = NOW + timedelta(hours=1)) -> RetireResult:
        """Run the step."""
        request = RetireInput(
            run=record.ref,
            target_version=self.target,
            evidence_digest=record.evidence_digest or "",
            session_tokens={},
            step=record.step,
        )
        return await retire_approved(self.runs, self.keyring.store, self.versions, request, now)


@pytest.fixture
async def harness(runs: RotationStore, local_keyring: LocalKeyring) -> RetirementHarness:
    """Two versions, and no row."""
    return RetirementHarness(runs, local_keyring, await local_keyring.mek.create(), await local_keyring.mek.create())


async def test_versions_that_no_row_needs_are_retired(harness: RetirementHarness) -> None:
    """With every row on the target the old version is disabled, and a second run says the same."""
    await harness.keyring.add_many(3, harness.target)
    await harness.keyring.add(harness.old, mekName="other-mek")
    record = await harness.approved(harness.old)

    first, second = [await harness.retire(record) for _ in range(2)]

    assert first == second == RetireResult(retired=[harness.old], stale=0)
    assert [await harness.is_enabled(version) for version in (harness.old, harness.target)] == [False, True]
    assert (await harness.runs.read(record.run_id)).retired == [harness.old]


async def test_a_rollback_enables_what_another_person_approved(harness: RetirementHarness) -> None:
    """The rotation is completed; the rollback's own record, and not its input, says that an approval is needed."""
    record = await harness.approved(harness.old)
    await harness.retire(record)
    for state in (State.WATCHING, State.COMPLETED):
        record = await step_to(harness.runs, record, state)
    migrations = MigrationStore(harness.runs.documents)
    work = await rollback_work(record, harness.runs)
    rollback = await started(migrations, work, keyring=record.keyring)
    rollback = await migration_to(migrations, rollback, State.RUNNING)
    await migrations.update(rollback.run_id, lambda run: run.changed(census=CENSUS))
    request = ReinstateInput(run=rollback.ref, rotation=record.ref, reason="readers fail")

    with pytest.raises(InvariantError, match="not approved"):
        await reinstate(harness.runs, harness.versions, request, NOW)
    assert not await harness.is_enabled(harness.old)

    look = RestoreInput(run=rollback.ref, step=rollback.step, expires_at=NOW + timedelta(days=7))
    found = await survey_rollback(await migrations.read(rollback.run_id), harness.runs)
    frozen = await freeze_enablement(migrations, look, found, NOW)
    assert await freeze_enablement(migrations, look, found._replace(named={}), NOW) == frozen  # twice, and late
    decision = Decision(decision="approved", by=APPROVER, digest=frozen.evidence_digest or "", at=NOW)
    await migrations.update(rollback.run_id, lambda run: run.changed(decision=decision))

    assert (work.approval, frozen.versions) == (True, [harness.old])
    for _ in range(2):
        assert await reinstate(harness.runs, harness.versions, request, NOW) == [harness.old]
        assert await harness.is_enabled(harness.old)
    assert not (await rollback_work(await harness.runs.read(record.run_id), harness.runs)).approval


async def test_rows_of_which_the_approver_did_not_know_void_the_approval(harness: RetirementHarness) -> None:
    """Planted while the approval was waited for; where the evidence told of such rows, they were decided on."""
    await harness.keyring.add(harness.target, createdAt="2026-01-01T00:00:00Z")
    unknown, known = await harness.approved(harness.old), await harness.approved(harness.old)
    planted = Provenance(since="r", created=0, count=1, named=[])
    evidence = {**(known.evidence or {}), "planted": planted.to_payload()}
    digest = digest_of(evidence)
    decision = known.decision.model_copy(update={"digest": digest}) if known.decision else None
    fields = {"evidence": evidence, "evidence_digest": digest, "decision": decision}
    known = await harness.runs.update(known.run_id, lambda found: found.changed(**fields))

    assert await harness.retire(unknown) == RetireResult(retired=[], stale=0, planted=1)
    assert await harness.is_enabled(harness.old)
    assert (seen := (await harness.runs.read(unknown.run_id)).planted) is not None
    assert seen.count == 1
    assert await harness.retire(known) == RetireResult(retired=[harness.old], stale=0)


@pytest.mark.parametrize(
    "change",
    [
        {"evidence": {}},
        {"policy": Policy(soak=timedelta(seconds=1))},
        {"evidence_frozen_at": NOW - timedelta(seconds=6)},
        {"old_versions": ["another"]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_nothing_is_retired_where_record_and_evidence_differ(
    harness: RetirementHarness, change: dict[str, Any]
) -> None:
    """The evidence is hashed again, and names the policy and the versions of the record, which bears them out."""
    record = await harness.approved(harness.old, **change)

    with pytest.raises((InvariantError, EvidenceAlteredError)):
        await harness.retire(record)

    assert await harness.is_enabled(harness.old)


@pytest.mark.parametrize("row", [{}, {"mekVersion": ...}, {"mekVersion": 7}, {"wrappedDek": "!"}])
async def test_one_stale_row_is_enough_to_retire_nothing(harness: RetirementHarness, row: dict[str, Any]) -> None:
    """A row under the old version, without a label or malformed keeps every version enabled."""
    await harness.keyring.add_many(3, harness.target)
    await harness.keyring.add(harness.old, **row)
    before = harness.keyring.mek.vault.operations("admin").count("update")

    result = await harness.retire(await harness.approved(harness.old))

    assert result == RetireResult(retired=[], stale=1)
    assert await harness.is_enabled(harness.old)
    assert harness.keyring.mek.vault.operations("admin").count("update") == before


async def test_one_quarantined_row_is_enough_to_retire_nothing(harness: RetirementHarness) -> None:
    """Quarantined rows stand in the way even if the census counts them on the target."""
    await harness.keyring.add_many(2, harness.target)
    record = await harness.approved(harness.old, quarantined=Quarantined(count=2))

    assert await harness.retire(record) == RetireResult(retired=[], stale=2)
    assert await harness.is_enabled(harness.old)


async def test_a_row_that_appears_while_retiring_undoes_it(
    harness: RetirementHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written under the old version between the counts is readable again at once, and reported."""
    await harness.keyring.add_many(2, harness.target)
    await harness.keyring.mek.client.get_version(harness.old)  # the writer has its public key, and goes on using it
    counted: list[Any] = []

    async def late_writer(*arguments: Any) -> Any:
        if counted:
            assert not await harness.is_enabled(harness.old)
            await harness.keyring.add(harness.old)
        counted.append(await take_census(*arguments))
        return counted[-1]

    monkeypatch.setattr(retirement_module, "take_census", late_writer)
    record = await harness.approved(harness.old)

    result = await harness.retire(record)

    assert result == RetireResult(retired=[], stale=1, undone=[harness.old])
    assert await harness.is_enabled(harness.old)
    assert len(counted) == 2


async def test_a_second_count_that_fails_undoes_the_retirement(
    harness: RetirementHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays disabled on a count that was not made."""
    await harness.keyring.add_many(2, harness.target)

    async def fail_second(*arguments: Any) -> Any:
        if not await harness.is_enabled(harness.old):
            raise UnavailableError("the dek store did not answer")
        return await take_census(*arguments)

    monkeypatch.setattr(retirement_module, "take_census", fail_second)
    record = await harness.approved(harness.old)

    with pytest.raises(UnavailableError):
        await harness.retire(record)

    assert await harness.is_enabled(harness.old)


async def test_a_run_after_a_crash_takes_back_what_must_not_stay(harness: RetirementHarness) -> None:
    """If the run before died with the version disabled, and a stale row is there now, the version is enabled again."""
    await harness.keyring.add(harness.old)
    record = await harness.approved(harness.old)
    await harness.versions.retire(
        [harness.old],
        target_version=harness.target,
        run_id=record.run_id,
        retain_until=datetime(2026, 12, 24, tzinfo=UTC),
    )

    result = await harness.retire(record)

    assert result == RetireResult(retired=[], stale=1, undone=[harness.old])
    assert await harness.is_enabled(harness.old)


async def test_the_target_is_never_retired(harness: RetirementHarness) -> None:
    """Evidence that names the target is refused, whoever made it."""
    record = await harness.approved(harness.target)

    with pytest.raises(InvariantError):
        await harness.retire(record)

    assert await harness.is_enabled(harness.target)


async def test_nothing_is_retired_while_an_earlier_runs_request_may_arrive(harness: RetirementHarness) -> None:
    """What an earlier run asked of the vault is given the time that a lost answer may take."""
    record = await harness.approved(harness.old)

    with pytest.raises(NotSettledError):
        await harness.retire(record, NOW + record.policy.creation_settle / 2)

    assert await harness.is_enabled(harness.old)


def rotation_that(token: int, state: State, **fields: Any) -> RotationRecord:
    """Return the record of a rotation that has retired, or is about to retire, the version ``old``."""
    history = [
        HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor="keyturn"),
        HistoryEntry(at=NOW, source=State.AWAITING_APPROVAL, target=State.RETIRING, step=6, actor="keyturn"),
    ]
    own = {"old_versions": ["old"], "fencing_token": token, "state": state, "step": 8, "history": history}
    return make_record(**{**own, **fields})


def test_the_newest_rotation_that_names_a_version_decides() -> None:
    """A version is to be disabled if the newest rotation that names it has retired it, and nobody took that back."""
    completed, watching = rotation_that(1, State.COMPLETED), rotation_that(2, State.WATCHING)

    assert retirements_in_force([watching, completed]) == {"old": watching.run_id}
    assert retirements_in_force([completed]) == {"old": completed.run_id}
    assert retirements_in_force([completed, rotation_that(2, State.SWEEPING)]) == {}
    assert retirements_in_force([completed, rotation_that(2, State.RETIRING)]) == {}
    assert retirements_in_force([rotation_that(1, State.COMPLETED, withdrawn_step=8)]) == {}
    assert retirements_in_force([rotation_that(1, State.COMPLETED, reinstated=["old"])]) == {}
    assert retirements_in_force([rotation_that(1, State.REINSTATED)]) == {}

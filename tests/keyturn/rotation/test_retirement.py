"""Old versions retired between two counts of zero, and never otherwise."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.contracts.steps import RetireInput, RetireResult
from keyturn.errors import InvariantError, NotSettledError, UnavailableError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation import retirement as retirement_module
from keyturn.rotation.retirement import retire_approved, retirements_in_force
from keyturn.runs.record_parts import HistoryEntry, Quarantined
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import NOW, bring_to, make_record, step_to


@dataclass(frozen=True)
class Scene:
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
async def scene(runs: RotationStore, local_keyring: LocalKeyring) -> Scene:
    """Two versions, and no row."""
    return Scene(runs, local_keyring, await local_keyring.mek.create(), await local_keyring.mek.create())


async def test_versions_that_no_row_needs_are_retired(scene: Scene) -> None:
    """With every row on the target the old version is disabled, and a second run says the same."""
    await scene.keyring.add_many(3, scene.target)
    await scene.keyring.add(scene.old, mekName="other-mek")
    record = await scene.approved(scene.old)

    first, second = [await scene.retire(record) for _ in range(2)]

    assert first == second == RetireResult(retired=[scene.old], stale=0)
    assert [await scene.is_enabled(version) for version in (scene.old, scene.target)] == [False, True]
    assert (await scene.runs.read(record.run_id)).retired == [scene.old]


@pytest.mark.parametrize("row", [{}, {"mekVersion": ...}, {"mekVersion": 7}, {"wrappedDek": "!"}])
async def test_one_stale_row_is_enough_to_retire_nothing(scene: Scene, row: dict[str, Any]) -> None:
    """A row under the old version, without a label or malformed keeps every version enabled."""
    await scene.keyring.add_many(3, scene.target)
    await scene.keyring.add(scene.old, **row)
    before = scene.keyring.mek.vault.operations("admin").count("update")

    result = await scene.retire(await scene.approved(scene.old))

    assert result == RetireResult(retired=[], stale=1)
    assert await scene.is_enabled(scene.old)
    assert scene.keyring.mek.vault.operations("admin").count("update") == before


async def test_one_quarantined_row_is_enough_to_retire_nothing(scene: Scene) -> None:
    """Quarantined rows stand in the way even if the census counts them on the target."""
    await scene.keyring.add_many(2, scene.target)
    record = await scene.approved(scene.old, quarantined=Quarantined(count=2))

    assert await scene.retire(record) == RetireResult(retired=[], stale=2)
    assert await scene.is_enabled(scene.old)


async def test_a_row_that_appears_while_retiring_undoes_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written under the old version between the counts is readable again at once, and reported."""
    await scene.keyring.add_many(2, scene.target)
    await scene.keyring.mek.client.get_version(scene.old)  # the writer has its public key, and goes on using it
    count = retirement_module.take_census
    counted: list[Any] = []

    async def late_writer(*arguments: Any) -> Any:
        if counted:
            assert not await scene.is_enabled(scene.old)
            await scene.keyring.add(scene.old)
        counted.append(await count(*arguments))
        return counted[-1]

    monkeypatch.setattr(retirement_module, "take_census", late_writer)
    record = await scene.approved(scene.old)

    result = await scene.retire(record)

    assert result == RetireResult(retired=[], stale=1, undone=[scene.old])
    assert await scene.is_enabled(scene.old)
    assert len(counted) == 2


async def test_a_second_count_that_fails_undoes_the_retirement(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays disabled on a count that was not made."""
    await scene.keyring.add_many(2, scene.target)
    count = retirement_module.take_census

    async def fail_second(*arguments: Any) -> Any:
        if not await scene.is_enabled(scene.old):
            raise UnavailableError("the dek store did not answer")
        return await count(*arguments)

    monkeypatch.setattr(retirement_module, "take_census", fail_second)
    record = await scene.approved(scene.old)

    with pytest.raises(UnavailableError):
        await scene.retire(record)

    assert await scene.is_enabled(scene.old)


async def test_a_run_after_a_crash_takes_back_what_must_not_stay(scene: Scene) -> None:
    """If the run before died with the version disabled, and a stale row is there now, the version is enabled again."""
    await scene.keyring.add(scene.old)
    record = await scene.approved(scene.old)
    await scene.versions.retire(
        [scene.old],
        target_version=scene.target,
        run_id=record.run_id,
        retain_until=datetime(2026, 12, 24, tzinfo=UTC),
    )

    result = await scene.retire(record)

    assert result == RetireResult(retired=[], stale=1, undone=[scene.old])
    assert await scene.is_enabled(scene.old)


async def test_the_target_is_never_retired(scene: Scene) -> None:
    """Evidence that names the target is refused, whoever made it."""
    record = await scene.approved(scene.target)

    with pytest.raises(InvariantError):
        await scene.retire(record)

    assert await scene.is_enabled(scene.target)


async def test_nothing_is_retired_while_an_earlier_runs_request_may_arrive(scene: Scene) -> None:
    """What an earlier run asked of the vault is given the time that a lost answer may take."""
    record = await scene.approved(scene.old)

    with pytest.raises(NotSettledError):
        await scene.retire(record, NOW + record.policy.creation_settle / 2)

    assert await scene.is_enabled(scene.old)


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

"""I9: every activity may run twice with the same outcome."""

from typing import Any

import pytest

from keyturn.contracts import Payload
from keyturn.rotation import progress, transitions
from keyturn.rotation.record import RotationRecord
from tests.invariants.engine import ACTIVITY_MODULES, registered
from tests.invariants.outcome import differences, outcome
from tests.invariants.scene import Scene
from tests.invariants.script import Script

# What the second run of a page answers: nothing was left to do.
PAGES = ("rewrap_page", "prove_page")


class Twice:
    """Runs every activity twice, and keeps what the second run changed."""

    def __init__(self, scene: Scene, rotation_id: str) -> None:
        self._scene = scene
        self._rotation_id = rotation_id
        self.ran: set[str] = set()
        self.wrong: list[str] = []

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, look, run it again, look again."""
        first = await self._scene.act(name, request)
        left = await outcome(self._scene, self._rotation_id)
        second = await self._scene.act(name, request)
        again = await outcome(self._scene, self._rotation_id)
        self.wrong += [f"{name}: {reason}" for reason in differences(left, again)]
        if name not in PAGES and first != second:
            self.wrong.append(f"{name}: the second run answers otherwise")
        self.ran.add(name)
        return first


@pytest.fixture
async def twice(scene: Scene) -> tuple[Twice, Script]:
    """A rotation of a few rows, one of them malformed, of which every activity is run twice."""
    await scene.world.add_many(3, scene.old)
    await scene.world.add(scene.old, mekVersion=...)
    record = await scene.start()
    twice = Twice(scene, record.rotation_id)
    return twice, Script(scene, record, twice.act)


async def test_every_activity_runs_twice_with_one_outcome(twice: tuple[Twice, Script]) -> None:
    """No second run of any activity changes a record, a lease, a row or a version, or answers otherwise."""
    runs, script = twice

    await script.to_new_version()
    await script.to_frozen()
    await script.to_retiring()
    await script.to_end()

    assert [] == runs.wrong
    assert set(registered(ACTIVITY_MODULES)) == runs.ran


async def test_a_bad_row_is_named_once(scene: Scene) -> None:
    """A page that quarantines a row names it once, however often it runs."""
    await scene.world.add(scene.old, wrappedDek="!")
    record = await scene.start()
    twice = Twice(scene, record.rotation_id)
    script = Script(scene, record)
    script.target = await scene.world.mek.create()

    for page in await script.pages("stale"):
        await twice.act("rewrap_page", page)

    assert [] == twice.wrong
    assert 1 == (await scene.runs.read(record.rotation_id)).quarantined.count


async def test_broken_progress_that_adds(twice: tuple[Twice, Script], monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that adds where it should set counts the second run too."""
    runs, script = twice
    unbroken = progress._with_progress

    def adding(record: RotationRecord, known: Any, given: Any, now: Any) -> RotationRecord:
        totals = given.totals if known is None else progress.add(known.current, given.totals)
        return unbroken(record, known, given.model_copy(update={"totals": totals}), now)

    monkeypatch.setattr(progress, "_with_progress", adding)
    monkeypatch.setattr(progress, "_order", lambda given: (given.pass_started_at, given.wave + 1))
    await script.to_new_version()
    await script.to_frozen()

    assert "record_progress: record: progress is not what the first run left" in runs.wrong


async def test_broken_a_version_made_twice(twice: tuple[Twice, Script], monkeypatch: pytest.MonkeyPatch) -> None:
    """A creation that looks for nothing leaves a second version behind."""
    runs, script = twice

    async def blind(*_: Any) -> None:
        """Look for no version."""

    monkeypatch.setattr("keyturn.key_vault.creation._look_for", blind)
    await script.to_new_version()

    assert any(wrong.startswith("create_version: versions:") for wrong in runs.wrong)
    assert "create_version: the second run answers otherwise" in runs.wrong


async def test_broken_state_changes_without_numbers(
    twice: tuple[Twice, Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state change that is not told from its repetition fails the second time."""
    runs, script = twice
    unbroken = transitions.advance

    async def unnumbered(runs: Any, step: Any, now: Any) -> Any:
        record = await runs.read(step.rotation_id)
        return await unbroken(runs, step.model_copy(update={"step": record.step + 1}), now)

    monkeypatch.setattr(transitions, "advance", unnumbered)
    await script.to_new_version()

    assert "advance: the second run answers otherwise" in runs.wrong


async def test_broken_a_row_rewrapped_again(twice: tuple[Twice, Script], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not skip what is done writes every row anew."""
    runs, script = twice
    await script.to_new_version()
    monkeypatch.setattr("keyturn.dek_store.rows.Row.needs_work", property(lambda _: True))
    await script.to_frozen()

    assert any(wrong.startswith("rewrap_page: rows:") for wrong in runs.wrong)

"""I9: every activity may run twice with the same outcome."""

from datetime import UTC, datetime
from typing import Any

import pytest

import activities
from keyturn.contracts import PageInput, Payload, Policy, RewrapDeks
from keyturn.migrations.start import start_migration
from keyturn.rotation import progress, transitions
from keyturn.rotation.record import RotationRecord
from orchestrators.operations import OPERATIONS
from tests.invariants.engine import registered
from tests.invariants.outcome import differences, outcome
from tests.invariants.scene import REQUESTER, Scene
from tests.invariants.script import Script
from tests.keyturn.rotation.runs import workflows

# What the second run of a page answers: nothing was left to do.
PAGES = ("rewrap_page", "prove_page", "rewrap_chosen_page")
OF_ROTATIONS = ("rewrap", "prove")
OF_MIGRATIONS = {
    activity
    for name, operation in OPERATIONS.items()
    if name not in OF_ROTATIONS
    for activity in (operation.activity, operation.scan)
} - {"scan_page"}
# Restores lend versions and take them back; their drill, with a host that dies in it, is in tests/end_to_end.
OF_RESTORES = {"freeze_restore", "lend_versions", "return_versions"}


class Twice:
    """Runs activities twice, all or only some, and keeps what the second run changed."""

    def __init__(self, scene: Scene, rotation_id: str, *only: str) -> None:
        self._scene = scene
        self._rotation_id = rotation_id
        self._only = only
        self.ran: set[str] = set()
        self.wrong: list[str] = []

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, look, run it again, look again."""
        first = await self._scene.act(name, request)
        if self._only and name not in self._only:
            return first
        left = await outcome(self._scene, self._rotation_id)
        second = await self._scene.act(name, request)
        again = await outcome(self._scene, self._rotation_id)
        self.wrong += [f"{name}: {reason}" for reason in differences(left, again)]
        if name not in PAGES and first != second:
            self.wrong.append(f"{name}: the second run answers otherwise")
        self.ran.add(name)
        return first


async def begin(scene: Scene, *only: str) -> tuple[Twice, Script]:
    """Return a rotation of a few rows, one of them without a label, of which activities are run twice."""
    await scene.world.add_many(3, scene.old)
    await scene.world.add(scene.old, mekVersion=...)
    record = await scene.start()
    twice = Twice(scene, record.rotation_id, *only)
    return twice, Script(scene, record, twice.act)


async def test_every_activity_runs_twice_with_one_outcome(scene: Scene) -> None:
    """No second run of any activity changes a document, a row or a version, or answers otherwise."""
    runs, script = await begin(scene)

    await script.check()
    await script.to_new_version()
    await script.to_frozen()
    await script.to_retiring()
    await script.to_end()

    assert [] == runs.wrong
    assert set(registered(activities)) - OF_MIGRATIONS - OF_RESTORES == runs.ran


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


async def test_a_migrations_page_runs_twice_with_one_outcome(scene: Scene) -> None:
    """A page of a migration rewraps its rows once, with the DEKs that they had."""
    refs = await scene.world.add_many(3, scene.old)
    target = await scene.world.mek.create()
    record = await start_migration(
        scene.resources.migrations,
        RewrapDeks(new_version=target),
        keyring=scene.keyring,
        requested_by=REQUESTER,
        reason="",
        dry_run=False,
        policy=Policy(),
        workflows=workflows(),
        now=datetime.now(UTC),
    )
    twice = Twice(scene, record.rotation_id)
    page = PageInput(**scene.ref(record), target_version=target, refs=refs, operations_per_second=1000)

    await twice.act("rewrap_chosen_page", page)

    assert [] == twice.wrong
    assert {target} == {row["mekVersion"] for row in await scene.rows()}
    assert [] == await scene.changed_deks()


async def test_broken_progress_that_adds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that adds where it should set counts the second run too."""
    runs, script = await begin(scene, "record_progress")
    unbroken = progress._with_progress

    def adding(record: RotationRecord, known: Any, given: Any, *others: Any) -> RotationRecord:
        totals = given.totals if known is None else progress.add(known.current, given.totals)
        return unbroken(record, known, given.model_copy(update={"totals": totals}), *others)

    monkeypatch.setattr(progress, "_with_progress", adding)
    monkeypatch.setattr(progress, "_order", lambda given: (given.pass_started_at, given.wave + 1))
    await script.to_new_version()
    await script.to_frozen()

    assert "record_progress: record: progress is not what the first run left" in runs.wrong


async def test_broken_a_version_made_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A creation that looks for nothing leaves a second version behind."""
    runs, script = await begin(scene, "create_version")

    async def blind(*_: Any) -> None:
        """Look for no version."""

    monkeypatch.setattr("keyturn.key_vault.creation._look_for", blind)
    await script.to_new_version()

    assert any(wrong.startswith("create_version: versions:") for wrong in runs.wrong)
    assert "create_version: the second run answers otherwise" in runs.wrong


async def test_broken_state_changes_without_numbers(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state change that is not told from its repetition fails the second time."""
    runs, script = await begin(scene, "advance")
    unbroken = transitions.advance

    async def unnumbered(runs: Any, step: Any, now: Any) -> Any:
        record = await runs.read(step.rotation_id)
        return await unbroken(runs, step.model_copy(update={"step": record.step + 1}), now)

    monkeypatch.setattr(transitions, "advance", unnumbered)
    await script.to_new_version()

    assert "advance: the second run answers otherwise" in runs.wrong


async def test_broken_a_row_rewrapped_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not skip what is done writes every row anew."""
    runs, script = await begin(scene, "rewrap_page")
    await script.to_new_version()
    monkeypatch.setattr("keyturn.dek_store.rows.Row.needs_work", property(lambda _: True))
    await script.to_frozen()

    assert any(wrong.startswith("rewrap_page: rows:") for wrong in runs.wrong)

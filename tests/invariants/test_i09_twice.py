"""I9: every activity may run twice with the same outcome."""

from typing import Any

import pytest

import activities
from keyturn.contracts.pages import add_results
from keyturn.runs import progress, transitions
from keyturn.runs.records import RotationRecord
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver
from tests.invariants.twice import OF_MIGRATIONS, Twice


async def begin(harness: ActivityHarness, *only: str) -> tuple[Twice, RotationDriver]:
    """Return a rotation of a few rows, one of them without a label, of which activities are run twice."""
    await harness.local_keyring.add_many(3, harness.old)
    await harness.local_keyring.add(harness.old, mekVersion=...)
    record = await harness.start(ago=2)
    twice = Twice(harness, record.run_id, *only)
    return twice, RotationDriver(harness, record, twice.act)


async def test_every_activity_runs_twice_with_one_outcome(harness: ActivityHarness) -> None:
    """No second run of any activity changes a document, a row or a version, or answers otherwise.

    Those that only migrations run are in ``test_i09_migrations.py``.
    """
    runs, driver = await begin(harness)

    await driver.check()
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.to_retiring()
    await driver.to_end()

    assert runs.wrong == []
    assert set(registered(activities)) - OF_MIGRATIONS == runs.ran


async def test_a_bad_row_is_named_once(harness: ActivityHarness) -> None:
    """A page that quarantines a row names it once, however often it runs."""
    await harness.local_keyring.add(harness.old, wrappedDek="!")
    record = await harness.start()
    twice = Twice(harness, record.run_id)
    driver = RotationDriver(harness, record)
    driver.target = await harness.local_keyring.mek.create()

    for page in await driver.pages("rewrap"):
        await twice.act("rewrap_page", page)

    assert twice.wrong == []
    assert (await harness.runs.read(record.run_id)).quarantined.count == 1


async def test_broken_progress_that_adds(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that adds where it should set counts the second run too."""
    runs, driver = await begin(harness, "record_progress")
    unbroken = progress._with_progress

    def adding(record: RotationRecord, known: Any, given: Any, *others: Any) -> RotationRecord:
        totals = given.totals if known is None else add_results(known.current, given.totals)
        return unbroken(record, known, given.model_copy(update={"totals": totals}), *others)

    monkeypatch.setattr(progress, "_with_progress", adding)
    monkeypatch.setattr(progress, "_order", lambda given: (given.pass_started_at, given.wave + 1))
    await driver.to_new_version()
    await driver.to_frozen()

    assert "record_progress: record: progress is not what the first run left" in runs.wrong


async def test_broken_a_version_made_twice(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A creation that looks for nothing, and is written down nowhere, leaves a second version behind."""
    runs, driver = await begin(harness, "create_version")

    async def blind(*_: Any, **_more: Any) -> None:
        """Look for no version, and write none down."""

    monkeypatch.setattr("keyturn.key_vault.creation.own_version", blind)
    monkeypatch.setattr("keyturn.rotation.new_version.record_new_version", blind)
    await driver.to_new_version()

    assert any(wrong.startswith("create_version: versions:") for wrong in runs.wrong)
    assert "create_version: the second run answers otherwise" in runs.wrong


async def test_broken_state_changes_without_numbers(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state change that is not told from its repetition fails the second time."""
    runs, driver = await begin(harness, "advance")
    unbroken = transitions.advance

    def unnumbered(record: Any, step: Any, now: Any) -> Any:
        return unbroken(record, step.model_copy(update={"step": record.step + 1}), now)

    monkeypatch.setattr(transitions, "advance", unnumbered)
    await driver.to_new_version()

    assert "advance: the second run answers otherwise" in runs.wrong


async def test_broken_a_row_rewrapped_again(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not skip what is done writes every row anew."""
    runs, driver = await begin(harness, "rewrap_page")
    await driver.to_new_version()
    monkeypatch.setattr("field_encrypt.row_states.Row.needs_work", property(lambda _: True))
    await driver.to_frozen()

    assert any(wrong.startswith("rewrap_page: rows:") for wrong in runs.wrong)

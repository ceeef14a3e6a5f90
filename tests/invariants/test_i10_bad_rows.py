"""I10: one bad row neither stops the run nor hides: it is quarantined, named, and blocks retirement."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.deks import census
from keyturn.deks.page import PageWork
from keyturn.errors import InvariantError
from keyturn.rotation.retirement import Retirement
from keyturn.runs.progress import record_quarantined
from keyturn.runs.records import RotationRecord
from orchestrators import sweep
from tests.invariants.checks.runs import unaccounted
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import ready_to_retire

BAD: Mapping[str, dict[str, Any]] = {
    "malformed_wrap": {"wrappedDek": "!"},
    "malformed_label": {"mekVersion": 7},
    "unknown_algorithm": {"algorithm": "RSA1_5"},
    "unwrap_refused": {"wrappedDek": "AAAA"},
    "key_check_mismatch": {"keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="},
}


@pytest.fixture
async def bad(running_engine: ActivityHarness) -> dict[str, str]:
    """The reasons of the bad rows by their ids, in a store that also has good ones."""
    bad = {
        (await running_engine.local_keyring.add(running_engine.old, **row)).id: reason for reason, row in BAD.items()
    }
    await running_engine.local_keyring.add_many(10, running_engine.old)
    return bad


async def attended(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch, *states: State) -> RotationRecord:
    """Run a rotation until it needs attention, or until one of the states."""
    monkeypatch.setattr(sweep, "PASSES_MAX", 3)
    record = await harness.start()
    await harness.begin(record)
    async with harness.ended_afterwards(record):
        return await harness.reaches(record, State.NEEDS_ATTENTION, *states)


async def wrong(harness: ActivityHarness, record: RotationRecord, bad: Mapping[str, str]) -> list[str]:
    """Compare the record with what is in the store and the vault."""
    return unaccounted(record, bad, await harness.rows(), await harness.vault_versions())


async def test_bad_rows_are_named_and_the_rest_moves(
    running_engine: ActivityHarness, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of every bad kind is named with its reason, all others are on the target, and nothing is disabled."""
    record = await attended(running_engine, monkeypatch)

    assert await wrong(running_engine, record, bad) == []


async def test_broken_quarantine_that_swallows(
    running_engine: ActivityHarness, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bad rows are dropped in silence, the census keeps the run from going on, and the check misses each."""
    monkeypatch.setattr(PageWork, "quarantine", lambda *_: None)

    record = await attended(running_engine, monkeypatch)

    missed = [f"row {row_id} is quarantined for None, not {reason}" for row_id, reason in bad.items()]
    assert sorted(missed) == sorted(await wrong(running_engine, record, bad))


unbroken_run = PageWork.run


async def up_to_the_first_failure(self: PageWork, handle: Any) -> Any:
    """Handle row after row, and let the first failure out."""
    for ref in self.request.refs:
        await handle(ref)
    return await unbroken_run(self, handle)


async def test_broken_quarantine_that_raises(
    running_engine: ActivityHarness, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a bad row stops its page, good rows are left behind, and the check names them."""
    unbroken = PageWork.unwrap

    async def unwrap_or_raise(work: PageWork, row: Any) -> Any:
        if row.id in bad:
            raise InvariantError("a row does not unwrap")
        return await unbroken(work, row)

    monkeypatch.setattr(PageWork, "unwrap", unwrap_or_raise)
    monkeypatch.setattr(PageWork, "run", up_to_the_first_failure)

    record = await attended(running_engine, monkeypatch, State.FAILED)

    assert any("was left behind for a bad one" in reason for reason in await wrong(running_engine, record, bad))


async def test_a_row_repaired_during_the_sweep_does_not_stop_the_rotation(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass quarantines the row, the next rewraps it: the approver sees none, and the rotation completes."""
    local = running_engine.local_keyring
    await local.add_many(5, running_engine.old)
    sound = await local.item(await local.add(running_engine.old))
    await local.container.upsert_item({**sound, "wrappedDek": "AAAA"})
    seen: list[int] = []
    unbroken = census.take_census

    async def repair_and_count(*arguments: Any) -> Any:
        [record] = await running_engine.runs.newest(running_engine.keyring)
        if record.state is State.SWEEPING:  # the store is counted before, too
            seen.append(record.quarantined.count)
        if len(seen) == 1:
            await local.container.upsert_item(sound)
        return await unbroken(*arguments)

    monkeypatch.setattr(census, "take_census", repair_and_count)

    record = await running_engine.rotate()

    assert (seen[0], seen[1], record.state) == (1, 0, State.COMPLETED)
    assert record.evidence is not None
    assert (record.evidence["quarantined"], record.quarantined.count) == (0, 0)


async def quarantine_late(harness: ActivityHarness, run_id: str, rows: Sequence[str]) -> None:
    """Name bad rows after the approval, as a page that comes late would."""
    record = await harness.runs.read(run_id)
    named = [QuarantinedRow(id=row_id, reason="malformed_wrap") for row_id in rows]
    await record_quarantined(harness.runs, record.ref, named)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_quarantined_row_blocks_retirement(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    """A bad row that the census counts on the target keeps the old version; broken, the check sees it disabled."""
    driver = await ready_to_retire(harness)
    row = await harness.local_keyring.add(driver.target, wrappedDek="!")
    await quarantine_late(harness, driver.run_id, [row.id])
    if broken:
        monkeypatch.setattr(Retirement, "_standing", Retirement._stale)

    await driver.act("retire_versions", driver.retirement())

    expected = [f"version {harness.old} is disabled with bad rows left"] if broken else []
    record = await harness.runs.read(driver.run_id)
    assert await wrong(harness, record, {row.id: "malformed_wrap"}) == expected

"""I10: one bad row neither stops the run nor hides: it is quarantined, named, and blocks retirement."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from keyturn.contracts import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.deks import rewrap
from keyturn.deks.page import PageWork
from keyturn.errors import InvariantError
from keyturn.rotation import retirement as approved_retirement
from keyturn.rotation.retirement import Retirement
from keyturn.runs.progress import record_quarantined
from keyturn.runs.records import RotationRecord
from orchestrators import sweep
from tests.invariants.checks.runs import unaccounted
from tests.invariants.scene import Scene
from tests.invariants.script import ready_to_retire

BAD: Mapping[str, dict[str, Any]] = {
    "malformed_wrap": {"wrappedDek": "!"},
    "malformed_label": {"mekVersion": 7},
    "unknown_algorithm": {"algorithm": "RSA1_5"},
    "unwrap_refused": {"wrappedDek": "AAAA"},
    "key_check_mismatch": {"keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="},
}


@pytest.fixture
async def bad(playing: Scene) -> dict[str, str]:
    """The reasons of the bad rows by their ids, in a store that also has good ones."""
    bad = {(await playing.world.add(playing.old, **row)).id: reason for reason, row in BAD.items()}
    await playing.world.add_many(10, playing.old)
    return bad


async def attended(scene: Scene, monkeypatch: pytest.MonkeyPatch, *states: State) -> RotationRecord:
    """Run a rotation until it needs attention, or until one of the states."""
    monkeypatch.setattr(sweep, "PASSES_MAX", 3)
    record = await scene.start()
    await scene.begin(record)
    async with scene.ended_afterwards(record):
        return await scene.reaches(record, State.NEEDS_ATTENTION, *states)


async def wrong(scene: Scene, record: RotationRecord, bad: Mapping[str, str]) -> list[str]:
    """Compare the record with what is in the store and the vault."""
    return unaccounted(record, bad, await scene.rows(), await scene.vault_versions())


async def test_bad_rows_are_named_and_the_rest_moves(
    playing: Scene, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of every bad kind is named with its reason, all others are on the target, and nothing is disabled."""
    record = await attended(playing, monkeypatch)

    assert [] == await wrong(playing, record, bad)


async def test_broken_quarantine_that_swallows(
    playing: Scene, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bad rows are dropped in silence, the census keeps the run from going on, and the check misses each."""
    monkeypatch.setattr(PageWork, "quarantine", lambda *_: None)

    record = await attended(playing, monkeypatch)

    missed = [f"row {row_id} is quarantined for None, not {reason}" for row_id, reason in bad.items()]
    assert sorted(missed) == sorted(await wrong(playing, record, bad))


unbroken_run = PageWork.run


async def up_to_the_first_failure(self: PageWork, handle: Any) -> Any:
    """Handle row after row, and let the first failure out."""
    for ref in self.request.refs:
        await handle(ref)
    return await unbroken_run(self, handle)


async def test_broken_quarantine_that_raises(
    playing: Scene, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a bad row stops its page, good rows are left behind, and the check names them."""
    unbroken = rewrap.open_row

    async def open_or_raise(row: Any, work: Any) -> Any:
        if row.id in bad:
            raise InvariantError("a row does not open")
        return await unbroken(row, work)

    monkeypatch.setattr(rewrap, "open_row", open_or_raise)
    monkeypatch.setattr(PageWork, "run", up_to_the_first_failure)

    record = await attended(playing, monkeypatch, State.FAILED)

    assert any("was left behind for a bad one" in reason for reason in await wrong(playing, record, bad))


async def quarantine_late(scene: Scene, run_id: str, rows: Sequence[str]) -> None:
    """Name bad rows after the approval, as a page that comes late would."""
    record = await scene.runs.read(run_id)
    named = [QuarantinedRow(id=row_id, reason="malformed_wrap") for row_id in rows]
    await record_quarantined(scene.runs, record.ref, named)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_quarantined_row_blocks_retirement(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    """A bad row that the census counts on the target keeps the old version; broken, the check sees it disabled."""
    script = await ready_to_retire(scene)
    row = await scene.world.add(script.target, wrappedDek="!")
    await quarantine_late(scene, script.run_id, [row.id])
    if broken:

        def forgetful(**fields: Any) -> Retirement:
            return Retirement(**{**fields, "quarantined": 0})

        monkeypatch.setattr(approved_retirement, "Retirement", forgetful)

    await script.act("retire_versions", script.retirement())

    expected = [f"version {scene.old} is disabled with bad rows left"] if broken else []
    record = await scene.runs.read(script.run_id)
    assert expected == await wrong(scene, record, {row.id: "malformed_wrap"})

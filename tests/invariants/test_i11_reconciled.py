"""I11: success is never inferred from absence: what was processed is reconciled with what was counted."""

from collections.abc import Generator
from typing import Any

import pytest

from keyturn.contracts.pages import ScanInput, ScanResult
from keyturn.contracts.states import State
from keyturn.deks import census
from keyturn.deks import scan as scanning
from keyturn.rotation import evidence
from orchestrators import soak, sweep
from tests.invariants.checks.runs import unreconciled
from tests.invariants.harness import ActivityHarness

ROWS = 12
unbroken_scan = scanning.scan
unbroken_census = census.take_census


def skip_a_page(monkeypatch: pytest.MonkeyPatch, selection: str) -> None:
    """Break the scan: the first page that it finds is said to be empty, each time that the store is read anew."""

    async def scan(store: Any, request: ScanInput, *chosen: Any) -> ScanResult:
        found: ScanResult = await unbroken_scan(store, request, *chosen)
        skipped = request.cursor is None and request.selection == selection
        return found.model_copy(update={"refs": []}) if skipped else found

    monkeypatch.setattr(scanning, "scan", scan)
    monkeypatch.setattr(sweep, "PASSES_MAX", 3)


def blind_census(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the census of the sweep: nothing is ever stale."""

    async def count(*arguments: Any) -> Any:
        return (await unbroken_census(*arguments)).model_copy(update={"stale": 0})

    monkeypatch.setattr(census, "take_census", count)


async def asked(harness: ActivityHarness, *states: State, **policy: Any) -> tuple[State, list[str]]:
    """Rotate until people are asked, and return the state and what the check says."""
    await harness.local_keyring.add_many(ROWS, harness.old)
    record = await harness.start(**policy)
    await harness.begin(record)
    async with harness.ended_afterwards(record):
        found = await harness.reaches(record, State.AWAITING_APPROVAL, State.NEEDS_ATTENTION, *states)
    return found.state, unreconciled(found, await harness.rows())


async def test_what_people_are_asked_about_was_counted(running_engine: ActivityHarness) -> None:
    """When people are asked, every row is on the target, and as many rows were proven as were rewrapped."""
    assert await asked(running_engine) == (State.AWAITING_APPROVAL, [])


async def test_a_scan_that_skips_a_page_does_not_pass_the_census(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the change feed hides rows, the census counts them, and nobody is asked to approve."""
    skip_a_page(monkeypatch, "stale")

    assert await asked(running_engine) == (State.NEEDS_ATTENTION, [])


async def test_a_proof_that_skips_a_page_is_not_taken_for_whole(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the proof does not get to see rewrapped rows, the count of them says so, and nobody is asked."""
    skip_a_page(monkeypatch, "rewrapped")

    assert await asked(running_engine) == (State.NEEDS_ATTENTION, [])


async def test_broken_no_census_after_a_sweep(running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the census is blind too, people are asked with rows left behind, and the check names them."""
    skip_a_page(monkeypatch, "stale")
    blind_census(monkeypatch)

    state, wrong = await asked(running_engine)

    assert State.AWAITING_APPROVAL is state
    assert 0 < sum("is not on the target" in reason for reason in wrong) <= ROWS


async def test_broken_no_count_after_a_proof(running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the proven rows are not counted against the rewrapped ones, people are asked, and the check says so."""
    skip_a_page(monkeypatch, "rewrapped")
    monkeypatch.setattr(soak, "RECOUNTS_MAX", 0)
    monkeypatch.setattr(soak, "_unproven", count_nothing)
    monkeypatch.setattr(evidence, "check_followed", lambda *_: None)

    state, wrong = await asked(running_engine)

    assert State.AWAITING_APPROVAL is state
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{ROWS} rows were rewrapped, and ")


def count_nothing(*_: Any) -> Generator[None, None, int]:
    """Stand where the count stood, and find that nothing is missing."""
    yield from ()
    return 0

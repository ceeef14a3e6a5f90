"""How often a keyring may be rotated within a day, and what a start is told of a decision that is waited for."""

from datetime import timedelta
from typing import Literal

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import RewrapDeks
from keyturn.contracts.states import State
from keyturn.errors import RotationRunningError, TooManyStartsError
from keyturn.http import problem_of
from keyturn.migrations.start import start_migration
from keyturn.rotation.due import start_due
from keyturn.rotation.start import StartRequest, start
from keyturn.runs.lease import release
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from tests.keyturn.runs.lifecycle import (
    NOW,
    REQUESTER,
    bring_to,
    monthly,
    new_keyring,
    start_run,
    workflows,
)

MOST = 3
HOUR = timedelta(hours=1)


async def begin_and_end(
    runs: RotationStore,
    keyring: str,
    *,
    later: timedelta = timedelta(0),
    requested_by: str = REQUESTER,
    trigger: Literal["http", "schedule"] = "http",
    dry_run: bool = False,
) -> RotationRecord:
    """Start a rotation, and end it at once as an abort in pre-flight does."""
    started = await start(
        runs,
        StartRequest(dry_run=dry_run),
        keyring=keyring,
        requested_by=requested_by,
        trigger=trigger,
        policy=Policy(),
        workflows=workflows(),
        starts_per_day=MOST,
        now=NOW + later,
    )
    await release(runs, started)
    return started


async def exhaust(runs: RotationStore, keyring: str) -> None:
    """Start as often as one may, an hour after each other."""
    for number in range(MOST):
        await begin_and_end(runs, keyring, later=number * HOUR)


async def test_one_start_too_many_learns_when_to_come_again(runs: RotationStore) -> None:
    """Whoever asks: the answer is 429, names the setting and the time, and no record is written."""
    keyring = new_keyring()
    await exhaust(runs, keyring)

    with pytest.raises(TooManyStartsError) as raised:
        await begin_and_end(runs, keyring, later=MOST * HOUR, requested_by="eve@example.com")
    problem = problem_of(raised.value, instance="/api/rotations")

    left = str(int((24 * HOUR - MOST * HOUR).total_seconds()))
    assert (problem.status, problem.headers, problem.body["setting"]) == (
        429,
        {"Retry-After": left},
        "KEYTURN_STARTS_PER_DAY",
    )
    assert len(await runs.newest(keyring)) == MOST


async def test_a_day_after_the_first_start_there_may_be_another(runs: RotationStore) -> None:
    """One, for the others are not a day old; another keyring has days of its own."""
    keyring = new_keyring()
    await exhaust(runs, keyring)

    await begin_and_end(runs, new_keyring(), later=MOST * HOUR)
    await begin_and_end(runs, keyring, later=24 * HOUR)
    with pytest.raises(TooManyStartsError):
        await begin_and_end(runs, keyring, later=24 * HOUR)


@pytest.mark.parametrize("other", [{"dry_run": True}, {"trigger": "schedule"}], ids=["dry runs", "the schedule"])
async def test_neither_uses_up_what_is_anothers(runs: RotationStore, other: dict[str, bool]) -> None:
    """Dry runs, the schedule and people are counted apart, each up to the bound."""
    keyring = new_keyring()
    await exhaust(runs, keyring)

    for _ in range(MOST):
        await begin_and_end(runs, keyring, later=MOST * HOUR, **other)  # type: ignore[arg-type]  # a table of single fields
    with pytest.raises(TooManyStartsError):
        await begin_and_end(runs, keyring, later=MOST * HOUR, **other)  # type: ignore[arg-type]  # the same


async def test_a_start_that_was_overtaken_while_it_was_looked_at_counts_again(
    runs: RotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the count and the lease, others may have come and gone: the lease that was read is not there any more."""
    keyring, query = new_keyring(), runs.documents.query
    raced: list[bool] = []

    async def overtaken(*asked: object) -> list[dict[str, object]]:
        found = await query(*asked)  # type: ignore[arg-type]  # passed on as it is
        if not raced:
            raced.append(True)
            await exhaust(runs, keyring)
        return found

    monkeypatch.setattr(runs.documents, "query", overtaken)

    with pytest.raises(TooManyStartsError):
        await begin_and_end(runs, keyring, later=MOST * HOUR)
    assert len(await runs.newest(keyring)) == MOST


async def test_the_schedule_waits_without_failing(runs: RotationStore) -> None:
    """A rotation that is due is not started where it failed too often today; the tick goes on to the next keyring."""

    async def versions() -> dict[str, object]:
        return {}

    keyring = new_keyring()
    clients, settings = monthly(keyring, versions)  # type: ignore[arg-type]  # a MEK of which nothing tells when it was made
    for _ in range(MOST):
        failed = await begin_and_end(runs, keyring, trigger="schedule")
        await runs.update(failed.run_id, lambda run: run.changed(state=State.FAILED, ended_at=NOW))

    assert await start_due(runs, clients, settings, workflows(), NOW + HOUR) is None
    assert await start_due(runs, clients, settings, workflows(), NOW + 24 * HOUR) is not None


async def test_a_start_learns_of_the_decision_that_is_waited_for(runs: RotationStore) -> None:
    """The refusal says until when the keyring is held, and the commands that free it."""
    waiting = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(RotationRunningError) as raised:
        await start_run(runs, waiting.keyring)
    with pytest.raises(RotationRunningError) as refused:
        await start_migration(
            MigrationStore(runs.documents),
            RewrapDeks(new_version="v"),
            keyring=waiting.keyring,
            requested_by=REQUESTER,
            reason="",
            dry_run=False,
            policy=Policy(),
            workflows=workflows(),
            now=NOW,
        )

    assert raised.value.facts["state"] == "awaiting_approval"
    assert raised.value.facts["approvalExpiresAt"] == (NOW + timedelta(days=7)).isoformat()
    assert f"keyturn abort {waiting.run_id}" in raised.value.hint
    assert f"keyturn reject {waiting.run_id} --digest" in raised.value.hint
    assert raised.value.facts == refused.value.facts


async def test_a_start_learns_of_no_decision_while_rows_move(runs: RotationStore) -> None:
    """There is nothing to decide, and waiting is right."""
    sweeping = await bring_to(runs, State.SWEEPING)

    with pytest.raises(RotationRunningError) as raised:
        await start_run(runs, sweeping.keyring)

    assert "approvalExpiresAt" not in raised.value.facts
    assert raised.value.hint == f"wait for it: keyturn watch {sweeping.run_id}"

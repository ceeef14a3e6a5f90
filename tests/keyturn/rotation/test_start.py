"""Starting a rotation: once per request, one at a time, and past a run that lost its workflow."""

import asyncio
from datetime import datetime, timedelta

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.states import State
from keyturn.errors import (
    FencedError,
    IdempotencyConflictError,
    InvalidRequestError,
    RotationRunningError,
    UnavailableError,
)
from keyturn.http import parse
from keyturn.rotation.start import START_GRACE, StartRequest, Workflows, start
from keyturn.runs import lease
from keyturn.runs.commands import record_command
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import (
    NOW,
    REQUESTER,
    approve,
    bring_to,
    new_keyring,
    start_run,
    start_with,
    step_to,
    workflows,
)

LATER = NOW + START_GRACE + timedelta(seconds=1)


async def restart(runs: RotationStore, keyring: str, flows: Workflows, *, now: datetime = LATER) -> RotationRecord:
    """Start another rotation of the keyring, after the grace of a first one is over."""
    return await start(
        runs,
        StartRequest(),
        keyring=keyring,
        requested_by=REQUESTER,
        trigger="http",
        policy=Policy(),
        workflows=flows,
        starts_per_day=1000,
        now=now,
    )


async def test_a_started_rotation_is_requested_and_holds_its_keyring(runs: RotationStore) -> None:
    """The record says who asked for what and when, and what the workflow is started with follows from it."""
    record = await start_run(runs, dryRun=True, reason="yearly", force={"reason": "night shift agreed"})

    given = record.to_input()

    assert (record.state, record.step, record.requested_by, record.requested_at) == (State.REQUESTED, 0, REQUESTER, NOW)
    assert record.instance_id == f"rotation-{record.keyring}"
    assert record.options.force is not None
    assert (record.run_id, 1, True) == (given.run.run_id, given.run.fencing_token, given.dry_run)


async def test_the_same_key_and_body_replays_the_first_answer(runs: RotationStore) -> None:
    """A repeated request is answered with the rotation that it started, while that runs and when it has ended."""
    keyring, key = new_keyring(), new_keyring()
    first = await start_with(runs, keyring, key, reason="yearly")
    running = await start_with(runs, keyring, key, reason="yearly")
    for state in (State.PREFLIGHT, State.BLOCKED):
        await step_to(runs, await runs.read(first.run_id), state)
    ended = await start_with(runs, keyring, key, reason="yearly")

    assert {one.run_id for one in (first, running, ended)} == {first.run_id}
    assert (running.state, ended.state, len(await runs.newest(keyring))) == (State.REQUESTED, State.BLOCKED, 1)


@pytest.mark.parametrize(
    "change",
    [{"reason": "other"}, {"dryRun": True}],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_key_with_another_request_is_refused(runs: RotationStore, change: dict[str, object]) -> None:
    """Another body under a used key is a conflict, whatever runs."""
    keyring, key = new_keyring(), new_keyring()
    await start_with(runs, keyring, key)

    with pytest.raises(IdempotencyConflictError) as raised:
        await start_with(runs, keyring, key, **change)  # type: ignore[arg-type]  # a table of single changes

    assert raised.value.facts == {"idempotencyKey": key}


async def test_a_key_is_its_callers_and_keyrings_own(runs: RotationStore) -> None:
    """A key is not used up by others: the same one starts another keyring, and a stranger's is no claim on it."""
    first, second, key = new_keyring(), new_keyring(), "monthly"
    await start_with(runs, first, key)
    other = await start_with(runs, second, key)

    with pytest.raises(RotationRunningError):  # taken for a request of its own, and refused as such
        await start_with(runs, second, key, requested_by="eve@example.com")
    again = await start_with(runs, second, key)

    assert again.run_id == other.run_id


async def test_of_twenty_concurrent_requests_with_one_key_one_rotation_comes(runs: RotationStore) -> None:
    """Twenty times the same request at once: one rotation, and every answer names it."""
    keyring, key = new_keyring(), new_keyring()

    answers = await asyncio.gather(*(start_with(runs, keyring, key) for _ in range(20)))

    assert len({answer.run_id for answer in answers}) == 1
    assert len(await runs.newest(keyring)) == 1


async def test_of_twenty_concurrent_requests_without_a_key_one_runs(runs: RotationStore) -> None:
    """Twenty requests in the same millisecond: one rotation; the others are told its id and address."""
    keyring = new_keyring()

    answers = await asyncio.gather(*(start_run(runs, keyring) for _ in range(20)), return_exceptions=True)

    started = [answer for answer in answers if isinstance(answer, RotationRecord)]
    refused = [answer for answer in answers if isinstance(answer, RotationRunningError)]
    assert [len(started), len(refused)] == [1, 19]
    assert {error.facts["rotationId"] for error in refused} == {started[0].run_id}


async def test_a_request_that_died_after_its_claim_is_finished_by_its_repetition(
    runs: RotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is written before the work: the repetition starts the rotation that the claim names."""
    keyring, key = new_keyring(), new_keyring()

    async def die(*_operations: object) -> bool:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(runs.documents, "batch", die)
        with pytest.raises(ConnectionResetError):
            await start_with(runs, keyring, key)
    first, second = [await start_with(runs, keyring, key) for _ in range(2)]

    assert first.run_id == second.run_id
    assert len(await runs.newest(keyring)) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\nb"])
async def test_a_key_that_is_none_is_refused(runs: RotationStore, key: str) -> None:
    """An Idempotency-Key is 1 to 255 printable ASCII characters."""
    with pytest.raises(InvalidRequestError) as raised:
        await start_with(runs, new_keyring(), key)

    assert raised.value.facts["field"] == "Idempotency-Key"


def lost_workflows(started: list[RunRecord]) -> Workflows:
    """Return workflows that are all gone; what goes on is started by being put into the list."""

    async def start_workflow(record: RunRecord) -> None:
        started.append(record)

    return workflows(alive=False)._replace(start=start_workflow)


@pytest.mark.parametrize("state", [State.PREFLIGHT, State.SWEEPING, State.SOAKING, State.AWAITING_APPROVAL])
async def test_a_run_whose_workflow_is_gone_goes_on_with_another(runs: RotationStore, state: State) -> None:
    """The next start lets the lost run go on, under a greater token, and is refused because that run is running."""
    lost, started = await bring_to(runs, state), list[RunRecord]()

    with pytest.raises(RotationRunningError):
        await restart(runs, lost.keyring, lost_workflows(started))
    found = await runs.read(lost.run_id)
    held = await lease.read_lease(runs, lost.keyring)

    assert (found.state, found.fencing_token) == (State.NEEDS_ATTENTION, lost.fencing_token + 1)
    assert found.history[-1].detail == "WorkflowLostError"
    assert held is not None
    assert (held.holder, held.fencing_token) == (lost.run_id, found.fencing_token)
    assert started == [found]
    assert found.to_input().run.fencing_token == found.fencing_token
    with pytest.raises(FencedError):
        await step_to(runs, lost, State.SWEEPING)


@pytest.mark.parametrize("state", [State.RETIRING, State.WATCHING])
async def test_a_lost_run_that_may_have_disabled_versions_enables_them_first(runs: RotationStore, state: State) -> None:
    """The retirement is not in force any more, and the workflow that goes on begins by taking it back."""
    lost, started = await bring_to(runs, state), list[RunRecord]()

    with pytest.raises(RotationRunningError):
        await restart(runs, lost.keyring, lost_workflows(started))
    found = await runs.read(lost.run_id)

    assert (found.retirement_in_force, found.to_input().reinstate) == (False, True)
    assert started == [found]


async def test_a_lost_run_whose_workflow_cannot_be_started_is_tried_again(runs: RotationStore) -> None:
    """Where the hub is away the start fails too; the run keeps its keyring, and a later start tries again."""
    lost, started = await bring_to(runs, State.SWEEPING), list[RunRecord]()

    async def unavailable(_record: RunRecord) -> None:
        raise UnavailableError("the workflow could not be started", resource="the task hub")

    with pytest.raises(UnavailableError):
        await restart(runs, lost.keyring, lost_workflows(started)._replace(start=unavailable))
    with pytest.raises(RotationRunningError):
        await restart(runs, lost.keyring, lost_workflows(started), now=LATER + START_GRACE + timedelta(seconds=1))

    assert [record.fencing_token for record in started] == [lost.fencing_token + 2]


async def test_a_lost_run_that_was_to_be_aborted_ends(runs: RotationStore) -> None:
    """An abort that no workflow obeyed is obeyed, and the keyring is free."""
    lost, started = await bring_to(runs, State.SWEEPING), list[RunRecord]()
    await record_command(runs, lost.run_id, "abort", by=REQUESTER, now=NOW)

    record = await restart(runs, lost.keyring, lost_workflows(started))

    assert State.ABORTED is (await runs.read(lost.run_id)).state
    assert started == []
    assert record.fencing_token > lost.fencing_token


async def test_a_run_whose_workflow_lives_keeps_its_keyring(runs: RotationStore) -> None:
    """However old a rotation is, one that lives is not disturbed."""
    record = await bring_to(runs, State.SWEEPING)

    with pytest.raises(RotationRunningError):
        await restart(runs, record.keyring, workflows(alive=True))

    assert State.SWEEPING is (await runs.read(record.run_id)).state


async def test_a_run_that_is_just_starting_is_not_taken_for_lost(runs: RotationStore) -> None:
    """Between the record and its workflow lies a moment in which a second start must not declare the first dead."""
    record = await start_run(runs)

    with pytest.raises(RotationRunningError):
        await restart(runs, record.keyring, workflows(alive=False), now=NOW + START_GRACE - timedelta(seconds=1))
    assert State.REQUESTED is (await runs.read(record.run_id)).state
    started = list[RunRecord]()
    with pytest.raises(RotationRunningError):
        await restart(runs, record.keyring, lost_workflows(started))

    assert started == [record]


async def test_a_run_that_ended_without_giving_its_keyring_back_does_not_block_it(runs: RotationStore) -> None:
    """A crash between the last state change and the release is repaired by the next start."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    await approve(runs, record)
    await runs.update(record.run_id, lambda run: run.changed(state=State.REJECTED, ended_at=NOW))

    started = await start_run(runs, record.keyring)

    assert started.fencing_token == record.fencing_token + 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": 1}, "reason"),
        ({"dryrun": True}, "dryrun"),
        ({"force": {}}, "force.reason"),
        ({"force": {"reason": " "}}, "force.reason"),
        ({"waivers": [{"check": "backup"}]}, "waivers.0.why"),
        ({"waivers": [{"check": "c", "why": "w"}] * 21}, "waivers"),
        ({"requestedBy": ""}, "requestedBy"),
        (["reason"], "body"),
    ],
)
def test_a_body_that_is_off_is_refused_by_field(body: object, field: str) -> None:
    """The error names the field that is off and what was expected of it."""
    with pytest.raises(InvalidRequestError) as raised:
        parse(StartRequest, body)

    assert raised.value.facts["field"] == field
    assert raised.value.facts["expected"]

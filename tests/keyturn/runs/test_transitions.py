"""State changes in the record: each once, in order, with its history; ends give the keyring back."""

from datetime import timedelta

import pytest

from keyturn.contracts import FailureInput, PageResult, ProgressInput, QuarantinedRow, StepInput
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import FencedError, InvalidTransitionError, InvariantError, NotSettledError
from keyturn.runs import lease
from keyturn.runs.commands import give_command
from keyturn.runs.progress import record_progress, with_quarantined
from keyturn.runs.record_parts import HISTORY_MAX
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import HISTORY_HEAD, advance, enter, lose, record_failure
from tests.keyturn.runs.lifecycle import (
    APPROVER,
    NOW,
    approve,
    bring_to,
    freeze,
    make_record,
    new_keyring,
    start_run,
    step_to,
)


def step_of(
    record: RotationRecord, step: int, target: State, *, detail: str = "", fencing_token: int | None = None
) -> StepInput:
    """Return the input of ``advance``."""
    run = record.ref if fencing_token is None else record.ref.model_copy(update={"fencing_token": fencing_token})
    return StepInput(run=run, step=step, target=target, detail=detail)


async def test_a_step_is_written_with_its_history(runs: RotationStore) -> None:
    """The record's state, step and history tell what happened, when, by whom and why."""
    record = await start_run(runs)

    await advance(runs, step_of(record, 1, State.PREFLIGHT, detail="go"), NOW + timedelta(seconds=3))
    read = await runs.read(record.run_id)

    entry = read.history[-1]
    assert (read.state, read.step) == (State.PREFLIGHT, 1)
    assert (
        entry.source,
        entry.target,
        entry.step,
        entry.actor,
        entry.detail,
    ) == (State.REQUESTED, State.PREFLIGHT, 1, "keyturn", "go")
    assert entry.at == NOW + timedelta(seconds=3)


async def test_a_repeated_step_changes_nothing(runs: RotationStore) -> None:
    """An activity that runs twice, also after later steps, leaves the record as it is."""
    record = await start_run(runs)
    for number, target in enumerate([State.PREFLIGHT, State.CREATING_VERSION], start=1):
        await advance(runs, step_of(record, number, target), NOW)
    before = await runs.read(record.run_id)

    await advance(runs, step_of(record, 2, State.CREATING_VERSION), NOW + timedelta(hours=1))
    await advance(runs, step_of(record, 1, State.PREFLIGHT), NOW + timedelta(hours=1))

    assert await runs.read(record.run_id) == before


async def test_a_step_before_its_predecessor_is_to_be_tried_again(runs: RotationStore) -> None:
    """A gap in the numbers means that the record was read from a replica that lags: nothing is written."""
    record = await start_run(runs)

    with pytest.raises(NotSettledError) as raised:
        await advance(runs, step_of(record, 2, State.PREFLIGHT), NOW)

    assert {"rotationId": record.run_id, "step": 2, "expected": 1} == raised.value.facts
    assert await runs.read(record.run_id) == record


async def test_a_change_that_the_table_does_not_know_is_refused(runs: RotationStore) -> None:
    """The table decides, also here: the record stays."""
    record = await start_run(runs)

    with pytest.raises(InvalidTransitionError):
        await advance(runs, step_of(record, 1, State.RETIRING), NOW)

    assert await runs.read(record.run_id) == record


async def test_another_runs_token_is_fenced(runs: RotationStore) -> None:
    """Nothing that carries another token than the run's changes its record."""
    record = await start_run(runs)

    with pytest.raises(FencedError):
        await advance(runs, step_of(record, 1, State.PREFLIGHT, fencing_token=record.fencing_token + 1), NOW)

    assert await runs.read(record.run_id) == record


@pytest.mark.parametrize("state", [State.REQUESTED, State.SWEEPING, State.WATCHING])
async def test_a_workflow_that_lives_on_after_its_run_was_given_up_is_fenced(runs: RotationStore, state: State) -> None:
    """The number that ended the run is not taken for the workflow's own step of the same number."""
    record = await bring_to(runs, state)
    await lose(runs, record.run_id, "the workflow was lost", NOW)

    with pytest.raises(FencedError):
        await advance(runs, step_of(record, record.step + 1, State.PREFLIGHT), NOW)
    with pytest.raises(InvalidTransitionError):
        await advance(runs, step_of(record, record.step + 2, State.SWEEPING), NOW)


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_every_end_has_a_time_and_frees_the_keyring(runs: RotationStore, state: State) -> None:
    """Whatever the end is, the next rotation of the keyring can start."""
    record = await bring_to(runs, state)

    started = await start_run(runs, record.keyring)

    assert record.ended_at == NOW
    assert started.fencing_token == record.fencing_token + 1


async def test_a_run_that_died_before_the_release_frees_the_keyring_when_it_is_repeated(
    runs: RotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record says that the rotation has ended; the repeated step makes up for the release."""
    record = await bring_to(runs, State.PREFLIGHT)
    last = step_of(record, record.step + 1, State.BLOCKED)

    async def die(*_arguments: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("keyturn.runs.transitions.release", die)
        with pytest.raises(ConnectionResetError):
            await advance(runs, last, NOW)
    await advance(runs, last, NOW)
    held = await lease.read_lease(runs, record.keyring)

    assert held is not None
    assert held.holder is None


async def test_an_end_of_an_older_run_does_not_take_the_keyring_from_the_next(runs: RotationStore) -> None:
    """A late repetition of the last step finds another holder and leaves it alone."""
    record = await bring_to(runs, State.BLOCKED)
    following = await start_run(runs, record.keyring)

    await advance(runs, step_of(record, record.step, State.BLOCKED), NOW)
    held = await lease.read_lease(runs, record.keyring)

    assert held is not None
    assert following.run_id == held.holder


async def test_a_failure_is_recorded_once_with_its_reason(runs: RotationStore) -> None:
    """The first failure is the one that is kept, and an end is never turned into another."""
    record = await bring_to(runs, State.SWEEPING)
    failure = FailureInput(run=record.ref, step=9, error_type="KeyDisabled", message="off", retire_attempted=False)

    await record_failure(runs, failure, NOW)
    await record_failure(runs, failure.model_copy(update={"error_type": "Other"}), NOW + timedelta(hours=1))
    failed = await runs.read(record.run_id)
    blocked = await bring_to(runs, State.BLOCKED)
    late = FailureInput(run=blocked.ref, step=9, error_type="Late", message="late", retire_attempted=False)

    assert failed.error is not None
    assert (
        failed.state,
        failed.error.type,
        failed.error.message,
        failed.ended_at,
    ) == (State.FAILED, "KeyDisabled", "off", NOW)
    assert ((await record_failure(runs, late, NOW)).state, blocked.error) == (State.BLOCKED, None)


@pytest.mark.parametrize("case", ["undecided", "rejected", "other evidence", "quarantined"])
async def test_retiring_is_entered_only_with_approval_of_the_evidence_in_force(runs: RotationStore, case: str) -> None:
    """Without approval, with one of other evidence, or with a quarantined row left, the step is refused."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    if case != "undecided":
        record = await approve(runs, record)

    def spoil(run: RotationRecord) -> RotationRecord:
        if case == "quarantined":
            return with_quarantined(run, [QuarantinedRow(id="row", reason="malformed")])
        decision = run.decision
        update = {"decision": "rejected"} if case == "rejected" else {"digest": "0" * 64}
        return run if decision is None else run.changed(decision=decision.model_copy(update=update))

    spoilt = await runs.update(record.run_id, spoil)

    with pytest.raises(InvariantError, match="nothing is retired"):
        await advance(runs, step_of(spoilt, spoilt.step + 1, State.RETIRING), NOW)


async def test_going_back_to_the_sweep_voids_the_decision_and_its_evidence(runs: RotationStore) -> None:
    """What was approved no longer holds; the decision is kept among the voided ones."""
    record = await approve(runs, await bring_to(runs, State.AWAITING_APPROVAL))

    swept = await step_to(runs, record, State.SWEEPING)

    assert swept.decision is None
    assert [record.decision] == swept.decisions
    assert (swept.evidence, swept.evidence_digest, swept.approval_expires_at) == (None, None, None)


async def test_a_new_sweep_forgets_quarantined_rows_because_it_meets_them_again(runs: RotationStore) -> None:
    """After a retry only the rows that still cannot be rewrapped are named."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    row = QuarantinedRow(id="row", reason="malformed")
    await runs.update(record.run_id, lambda run: with_quarantined(run, [row]))

    swept = await step_to(runs, record, State.SWEEPING)

    assert (swept.quarantined.count, swept.quarantined.named) == (0, [])


async def test_a_new_soak_begins_its_proof_anew(runs: RotationStore) -> None:
    """What an earlier soak has proven is not counted towards this one."""
    record = await bring_to(runs, State.SOAKING)
    proven = ProgressInput(
        run=record.ref,
        phase="proof",
        pass_number=1,
        pass_started_at=NOW,
        wave=1,
        scanned=5,
        totals=PageResult(changed=5),
        session_tokens=[],
    )
    record = await record_progress(runs, proven, NOW)
    assert "proof" in record.progress
    for target in (State.SWEEPING, State.SOAKING):
        record = await step_to(runs, record, target)

    assert "proof" not in record.progress


async def test_people_are_named_where_they_brought_the_change_about(runs: RotationStore) -> None:
    """The history names the approver, and who told the rotation to try again or to end."""
    retired = await bring_to(runs, State.RETIRING)
    waiting = await bring_to(runs, State.NEEDS_ATTENTION)
    waiting = await give_command(runs, waiting.run_id, "retry", by="olga", now=NOW)
    swept = await step_to(runs, waiting, State.SWEEPING)
    await give_command(runs, waiting.run_id, "abort", by="otto", now=NOW)
    aborted = await step_to(runs, swept, State.ABORTED)

    actors = [run.history[-1].actor for run in (retired, swept, aborted)]

    assert actors == [APPROVER, "olga", "otto"]


def test_a_very_long_history_keeps_its_beginning_and_its_end() -> None:
    """The middle is left out, and how much of it; the record never outgrows its bounds."""
    record = make_record(new_keyring())
    for target in (State.PREFLIGHT, State.CREATING_VERSION, State.SWEEPING):
        record = enter(record, target, detail="", now=NOW)
    for _ in range(HISTORY_MAX):
        for target in (State.NEEDS_ATTENTION, State.SWEEPING):
            record = enter(record, target, detail="x" * 2000, now=NOW)

    steps = [entry.step for entry in record.history]
    assert len(steps) == HISTORY_MAX
    assert len(steps) + record.history_omitted == record.step + 1
    assert list(range(HISTORY_HEAD)) == steps[:HISTORY_HEAD]
    assert list(range(record.step - HISTORY_MAX + HISTORY_HEAD + 1, record.step + 1)) == steps[HISTORY_HEAD:]


async def test_evidence_is_frozen_before_the_wait(runs: RotationStore) -> None:
    """The helper that brings runs to the wait froze evidence, as the workflow does."""
    record = await bring_to(runs, State.SOAKING)

    frozen = await freeze(runs, record)

    assert frozen.evidence_digest is not None
    assert (await step_to(runs, frozen, State.AWAITING_APPROVAL)).evidence_digest == frozen.evidence_digest

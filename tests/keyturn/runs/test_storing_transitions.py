"""State changes as they are stored: each once, whoever repeats it; ends give the keyring back."""

from datetime import timedelta

import pytest

from keyturn.contracts.base import StepInput
from keyturn.contracts.states import TERMINAL, State
from keyturn.contracts.steps import FailureInput
from keyturn.errors import FencedError, InvalidTransitionError
from keyturn.runs import lease
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose, record_failure, record_step
from tests.keyturn.runs.lifecycle import (
    NOW,
    bring_to,
    freeze,
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

    await record_step(runs, step_of(record, 1, State.PREFLIGHT, detail="go"), NOW + timedelta(seconds=3))
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
        await record_step(runs, step_of(record, number, target), NOW)
    before = await runs.read(record.run_id)

    await record_step(runs, step_of(record, 2, State.CREATING_VERSION), NOW + timedelta(hours=1))
    await record_step(runs, step_of(record, 1, State.PREFLIGHT), NOW + timedelta(hours=1))

    assert await runs.read(record.run_id) == before


async def test_another_runs_token_is_fenced(runs: RotationStore) -> None:
    """Nothing that carries another token than the run's changes its record."""
    record = await start_run(runs)

    with pytest.raises(FencedError):
        await record_step(runs, step_of(record, 1, State.PREFLIGHT, fencing_token=record.fencing_token - 1), NOW)

    assert (await runs.read(record.run_id)).to_document() == record.to_document()


@pytest.mark.parametrize("state", [State.REQUESTED, State.SWEEPING, State.WATCHING])
async def test_a_workflow_that_lives_on_after_its_run_was_given_up_is_fenced(runs: RotationStore, state: State) -> None:
    """The number that ended the run is not taken for the workflow's own step of the same number."""
    record = await bring_to(runs, state)
    await lose(runs, record.run_id, "the workflow was lost", NOW)

    with pytest.raises(FencedError):
        await record_step(runs, step_of(record, record.step + 1, State.PREFLIGHT), NOW)
    with pytest.raises(InvalidTransitionError):
        await record_step(runs, step_of(record, record.step + 2, State.SWEEPING), NOW)


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
            await record_step(runs, last, NOW)
    await record_step(runs, last, NOW)
    held = await lease.read_lease(runs, record.keyring)

    assert held is not None
    assert held.holder is None


async def test_an_end_of_an_older_run_does_not_take_the_keyring_from_the_next(runs: RotationStore) -> None:
    """A late repetition of the last step finds another holder and leaves it alone."""
    record = await bring_to(runs, State.BLOCKED)
    following = await start_run(runs, record.keyring)

    await record_step(runs, step_of(record, record.step, State.BLOCKED), NOW)
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


async def test_evidence_is_frozen_before_the_wait(runs: RotationStore) -> None:
    """The helper that brings runs to the wait froze evidence, as the workflow does."""
    record = await bring_to(runs, State.SOAKING)

    frozen = await freeze(runs, record)

    assert frozen.evidence_digest is not None
    assert (await step_to(runs, frozen, State.AWAITING_APPROVAL)).evidence_digest == frozen.evidence_digest

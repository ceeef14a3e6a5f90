"""The watch after the disable: what ends it, how soon, and what it says."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from durabletask.client import TaskHubGrpcClient
from durabletask.task import RetryPolicy
from durabletask.worker import TaskHubGrpcWorker

import orchestrators
from keyturn.contracts.base import Payload, Policy, RunRef
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.steps import CommandResult, VerifyResult, WatchInput, WatchResult
from keyturn.errors import OperatorError, PermissionMissingError, UnavailableError
from orchestrators import watch
from tests.invariants.engine import registered
from tests.local.task_hub.hub_process import HubProcess

SECONDS = 60
SOON = timedelta(milliseconds=50)
WELL, ILL = VerifyResult(passed=True), VerifyResult(passed=False, failed_checks=["canary:notes/1"])
NO_COMMAND, ORDER = CommandResult(command="none", seen=0), CommandResult(command="reinstate", seen=1)
UNCHANGED = watch.RETRY
REFUSED = PermissionMissingError("the app's identity may not query", resource="deks", operation="query")
AWAY = UnavailableError("container notes did not answer", resource="notes")


def counted(stale: int) -> CensusResult:
    """Return a census with so many stale rows."""
    return CensusResult(total=2, on_target=2 - stale, stale=stale, unlabelled=0, foreign=0, by_version={})


class Answers:
    """What the activities answer, one call after the other, the last one for ever; and which were called."""

    def __init__(self, **answers: list[Payload | Exception]) -> None:
        well: dict[str, list[Payload | Exception]] = {
            "read_command": [NO_COMMAND],
            "verify": [WELL],
            "take_census": [counted(0)],
        }
        self._answers: dict[str, Iterator[Payload | Exception]] = {
            name: _going_on(found) for name, found in {**well, **answers}.items()
        }
        self.calls: list[str] = []

    def activities(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return the activities by name."""
        return {name: self._activity(name) for name in self._answers}

    def _activity(self, name: str) -> Callable[[Any, Any], Any]:
        def work(_context: Any, _payload: Any) -> Any:
            self.calls.append(name)
            answer = next(self._answers[name])
            if isinstance(answer, OperatorError):
                failure = {"errorType": type(answer).__name__, "message": answer.message, "recoverable": True}
                return {"failure": failure}
            if isinstance(answer, Exception):
                raise answer
            return {"result": answer.to_payload()}

        return work


def _going_on(answers: list[Payload | Exception]) -> Iterator[Payload | Exception]:
    yield from answers
    while True:
        yield answers[-1]


async def watched(hub: HubProcess, answers: Answers, period: timedelta = timedelta(0)) -> WatchResult:
    """Run the app's own watch on the hub, and return what it says."""
    return await asyncio.to_thread(_watched, hub, answers, period)


def _watched(hub: HubProcess, answers: Answers, period: timedelta) -> WatchResult:
    name = f"watch-{uuid.uuid4().hex}"
    ref = RunRef(run_id=f"{name}.20261124T030000Z.abcdef", keyring=name, fencing_token=1)
    given = WatchInput(run=ref, target_version="f" * 32, policy=Policy(watch=period, watch_interval=SOON))
    quiet = logging.getLogger("tests.orchestrators")
    quiet.setLevel(logging.ERROR)
    with TaskHubGrpcWorker(host_address=hub.address, logger=quiet) as worker:
        worker._registry.add_named_orchestrator("watch", registered(orchestrators)["watch"].orchestrator_function)
        for activity, work in answers.activities().items():
            worker._registry.add_named_activity(activity, work)
        worker.start()
        client = TaskHubGrpcClient(host_address=hub.address, logger=quiet)
        client.schedule_new_orchestration("watch", input=given.to_payload(), instance_id=name)
        state = client.wait_for_orchestration_completion(name, timeout=SECONDS)
        client.close()
    output = state.get_output(dict) if state is not None else None
    assert output is not None
    return WatchResult.from_payload(output["result"])


@pytest.fixture(autouse=True)
def _retried_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the retries of a look wait little; how often they come stays."""
    attempts = watch.RETRY.max_number_of_attempts
    monkeypatch.setattr(watch, "RETRY", RetryPolicy(first_retry_interval=SOON, max_number_of_attempts=attempts))


async def test_a_look_that_failed_once_is_repeated(hub: HubProcess) -> None:
    """One bad answer is no verdict: the next look is well, and the watch goes on to its end."""
    answers = Answers(verify=[ILL, WELL])

    assert await watched(hub, answers) == WatchResult(healthy=True)
    assert answers.calls.count("verify") == 2


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"verify": [ILL]}, "failed: canary:notes/1"),
        ({"take_census": [counted(1)]}, "1 rows are not on the new version: a writer still wraps under a retired one"),
        ({"verify": [ILL, WELL], "take_census": [counted(1)]}, "1 rows are not on the new version"),
        ({"verify": [AWAY]}, "verify was not possible: container notes did not answer"),
        ({"take_census": [AWAY]}, "take_census was not possible"),
        ({"read_command": [AWAY]}, "read_command was not possible"),
        ({"take_census": [REFUSED]}, "take_census was not possible: the app's identity may not query"),
    ],
)
async def test_two_failed_looks_in_a_row_end_it(
    hub: HubProcess, answers: dict[str, list[Payload | Exception]], reason: str
) -> None:
    """Whatever failed, also that a look was not possible: the reason names it."""
    result = await watched(hub, Answers(**answers), timedelta(hours=1))

    assert not result.healthy
    assert result.reason.startswith(reason)


async def test_a_look_is_tried_a_few_times(hub: HubProcess) -> None:
    """What does not answer is asked again before the look counts as failed."""
    answers = Answers(verify=[AWAY, AWAY, WELL])

    assert await watched(hub, answers) == WatchResult(healthy=True)


@pytest.mark.parametrize("at", [1, 3])
async def test_an_order_ends_it_at_once(hub: HubProcess, at: int) -> None:
    """An operator's order is read at every look, and needs no second one."""
    answers = Answers(read_command=[*[NO_COMMAND] * (at - 1), ORDER])

    result = await watched(hub, answers, timedelta(hours=1))

    assert result == WatchResult(healthy=False, reason="an operator ordered it")
    assert (answers.calls.count("read_command"), answers.calls.count("verify")) == (at, at - 1)


def test_a_look_that_is_not_possible_is_given_up_in_about_a_minute() -> None:
    """Not the hour that an outage of the vault may take while nothing is disabled."""
    waits = [5 * 2**number for number in range((UNCHANGED.max_number_of_attempts or 0) - 1)]

    assert (UNCHANGED.first_retry_interval, UNCHANGED.backoff_coefficient) == (timedelta(seconds=5), 2.0)
    assert 0 < sum(waits) + watch.AGAIN.total_seconds() < 60

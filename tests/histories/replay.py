"""Replays recorded histories with the workflows of the code as it is, as the app's worker does after a deployment.

A worker that takes over a workflow feeds it everything that it was told, and compares what it asks for with what it
asked for then: kind, number and name. Where they differ it fails the workflow. Inputs are not compared, neither by the
worker nor here: an activity of today gets what a workflow of today asks of it.
"""

import base64
import functools
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb

import orchestrators
from tests.histories.recording import Generation, Json
from tests.invariants.engine import registered

type Asked = tuple[str, int, str]  # the event, its number, and the name of what is called or how the workflow ended

# The event that is the trace of each action.
_TRACES: Mapping[str, str] = {
    "scheduleTask": "taskScheduled",
    "createTimer": "timerCreated",
    "createSubOrchestration": "subOrchestrationInstanceCreated",
    "completeOrchestration": "executionCompleted",
}
_STATUSES: Any = pb.OrchestrationStatus  # at run time it has Name(), which its stub leaves out
_CONTINUED: Asked = ("executionCompleted", 0, "ORCHESTRATION_STATUS_CONTINUED_AS_NEW")


def replay(generation: Generation) -> list[str]:
    """Return where the code as it is differs from what was recorded, turn by turn; nothing where the run goes on."""
    turns, wrong = list(generation.turns()), []
    for number, (past, received, recorded) in enumerate(turns, start=1):
        actions = _actions(generation, past, received)
        then = _recorded(recorded, continued=generation.continued and number == len(turns))
        now = sorted(_asked(action) for action in actions)
        if now != then:
            wrong.append(f"turn {number}: {then} was asked for, and now it is {now}{_failure(actions)}")
    return wrong


def _actions(
    generation: Generation, past: list[pb.HistoryEvent], received: list[pb.HistoryEvent]
) -> list[pb.OrchestratorAction]:
    """Return what the workflow asks for in one turn."""
    function = _workflows()[generation.name].orchestrator_function
    request = pb.OrchestratorRequest(instanceId=generation.instance_id, pastEvents=past, newEvents=received)
    body = base64.b64encode(request.SerializeToString()).decode()
    with warnings.catch_warnings():
        # Of azure.functions, once a process: it will want to know the type of what it reads one day.
        warnings.simplefilter("ignore", DeprecationWarning)
        answer = DurableFunctionsWorker().execute_orchestration_request(function, body)
    return list(pb.OrchestratorResponse.FromString(base64.b64decode(answer)).actions)


@functools.cache
def _workflows() -> Mapping[str, Any]:
    return registered(orchestrators)


def _recorded(events: Iterable[Json], *, continued: bool) -> list[Asked]:
    found = [_CONTINUED] if continued else []
    for event in events:
        ended = event["kind"] == "executionCompleted"
        name = event["content"].get("orchestrationStatus" if ended else "name", "")
        found.append((event["kind"], 0 if ended else event["eventId"], name))
    return sorted(found)


def _asked(action: pb.OrchestratorAction) -> Asked:
    kind = action.WhichOneof("orchestratorActionType")
    if kind == "completeOrchestration":
        return _TRACES[kind], 0, _STATUSES.Name(action.completeOrchestration.orchestrationStatus)
    asked: Any = getattr(action, kind)
    return _TRACES.get(kind, kind), action.id, "" if kind == "createTimer" else asked.name


def _failure(actions: Iterable[pb.OrchestratorAction]) -> str:
    return "".join(f": {action.completeOrchestration.failureDetails.errorMessage}" for action in actions)

"""How a workflow calls: activities with retries, sub-workflows with readable ids, both with typed models.

An activity answers with an envelope: its result, or a permanent failure as a value. Only transient failures are raised,
because the retry policy repeats whatever is raised. A sub-workflow answers likewise, because what it raises loses its
type on the way up.
"""

import functools
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.task import OrchestrationContext, RetryPolicy, Task, TaskFailedError

from keyturn.contracts.base import Payload
from keyturn.errors import AbortRequestedError

# What a workflow's generator yields and is sent; it returns T.
type Steps[T = Any] = Generator[Task[Any], Any, T]

# Waits 2, 4, 8, ... 300 s: about an hour in all, so that an outage of the vault or the database that is shorter than
# that only delays a rotation. Never a retry_timeout: it compares with the wall clock and breaks replay.
RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=18,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=5),
)


def now(ctx: OrchestrationContext) -> datetime:
    """Return the workflow's own time: the same on every replay."""
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


class StepFailedError(Exception):
    """An activity failed for good; ``error_type`` and the message are Keyturn's own, never a foreign text."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message


class AbortedError(Exception):
    """An operator asked to end the run: the step that learned of it goes no further."""


def schedule(ctx: OrchestrationContext, activity: str, request: Payload) -> Task[Any]:
    """Start an activity without waiting for it."""
    return ctx.call_activity(activity, input=request.to_payload(), retry_policy=RETRY)


def answer[T: Payload](envelope: Any, kind: type[T]) -> T:
    """Open an envelope; raises AbortedError, or StepFailedError where the failure is permanent."""
    if (failure := envelope.get("failure")) is not None:
        if failure["errorType"] == AbortRequestedError.__name__:
            raise AbortedError
        raise StepFailedError(failure["errorType"], failure["message"])
    return kind.from_payload(envelope["result"])


def call[T: Payload](ctx: OrchestrationContext, activity: str, request: Payload, kind: type[T]) -> Steps[T]:
    """Run an activity and return its typed result; raises as ``answer``, or TaskFailedError after the last retry."""
    envelope = yield schedule(ctx, activity, request)
    return answer(envelope, kind)


def sub_workflow(body: Callable[[OrchestrationContext, Any], Steps]) -> Callable[[OrchestrationContext, Any], Steps]:
    """Return the workflow with its result, or its failure as a value, in an envelope."""

    @functools.wraps(body)
    def run(ctx: OrchestrationContext, payload: Any) -> Steps:
        try:
            result = yield from body(ctx, payload)
        except StepFailedError as error:
            return {"failure": {"errorType": error.error_type, "message": error.message}}
        except TaskFailedError as error:
            return {"failure": {"errorType": error.details.error_type, "message": error.details.message}}
        return None if result is None else {"result": result}  # None: it has continued as new

    return run


def call_workflow[T: Payload](
    ctx: OrchestrationContext, name: str, request: Payload, kind: type[T], *, instance_id: str
) -> Steps[T]:
    """Run a sub-workflow under a readable id, unique to this call; returns its typed result, raises as ``answer``."""
    envelope = yield ctx.call_sub_orchestrator(name, input=request.to_payload(), instance_id=instance_id)
    return answer(envelope, kind)

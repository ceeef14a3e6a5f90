"""How a workflow calls: activities with retries, sub-workflows with readable ids, both with typed models.

An activity answers with an envelope: its result, or a permanent failure as a value. Only transient failures are raised,
because the retry policy repeats whatever is raised. A sub-workflow answers likewise, because what it raises loses its
type on the way up.
"""

import functools
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

from durabletask.task import OrchestrationContext, RetryPolicy, Task, TaskFailedError, when_all

from keyturn.contracts.base import Payload, RunInput
from keyturn.errors import AbortRequestedError, LateError

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

PATIENCE = timedelta(minutes=5)  # between rounds of retries, where nothing but the end of the outage helps
# The time within which an activity may write: longer than its retries and its own run may last (functionTimeout).
TIMELY = timedelta(hours=2)


def now(ctx: OrchestrationContext) -> datetime:
    """Return the workflow's own time: the same on every replay."""
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


class StepFailedError(Exception):
    """An activity failed for good; ``error_type`` and the message are Keyturn's own, never a foreign text.

    ``recoverable`` says that an operator can put it right, or that time can.
    """

    def __init__(self, error_type: str, message: str, *, recoverable: bool) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.recoverable = recoverable

    @classmethod
    def of(cls, error: "StepFailedError | TaskFailedError") -> "StepFailedError":
        """Return the failure itself, or that of an activity which was retried in vain: a transient one."""
        if isinstance(error, StepFailedError):
            return error
        return cls(error.details.error_type, error.details.message, recoverable=True)


class AbortedError(Exception):
    """An operator asked to end the run: the step that learned of it goes no further."""


def answer[T: Payload](envelope: Any, kind: type[T]) -> T:
    """Open an envelope; raises AbortedError, or StepFailedError where the failure is permanent."""
    if (failure := envelope.get("failure")) is not None:
        if failure["errorType"] == AbortRequestedError.__name__:
            raise AbortedError
        raise StepFailedError(failure["errorType"], failure["message"], recoverable=failure.get("recoverable", False))
    return kind.from_payload(envelope["result"])


def call_all[T: Payload](
    ctx: OrchestrationContext, activity: str, requests: Sequence[RunInput], kind: type[T], retry: RetryPolicy = RETRY
) -> Steps[list[T]]:
    """Run an activity on every request at once and return the typed results; raises as ``call``."""
    results = list[Any](repeat(None, len(requests)))
    open_ones = dict(enumerate(requests))
    while open_ones:
        # What waited in a queue for longer than that, because the app was down, is scheduled anew.
        timely = {"not_after": now(ctx) + TIMELY}
        tasks: list[Task[Any]] = [
            ctx.call_activity(activity, input=request.model_copy(update=timely).to_payload(), retry_policy=retry)
            for request in open_ones.values()
        ]
        envelopes = zip(list(open_ones), (yield when_all(tasks)), strict=True)
        answered = {number: envelope for number, envelope in envelopes if not _is_late(envelope)}
        for number, envelope in answered.items():
            results[number] = answer(envelope, kind)
            del open_ones[number]
    return results


def call[T: Payload](
    ctx: OrchestrationContext, activity: str, request: RunInput, kind: type[T], retry: RetryPolicy = RETRY
) -> Steps[T]:
    """Run an activity and return its typed result; raises as ``answer``, or TaskFailedError after the last retry."""
    return (yield from call_all(ctx, activity, [request], kind, retry))[0]


def call_forever[T: Payload](ctx: OrchestrationContext, activity: str, request: RunInput, kind: type[T]) -> Steps[T]:
    """Run an activity for as long as an outage lasts; raises as ``answer``, but only what no operator can put right.

    For what a run needs to wait for an operator, or must not give up.
    """
    while True:
        try:
            return (yield from call(ctx, activity, request, kind))
        except (StepFailedError, TaskFailedError) as failure:
            if not StepFailedError.of(failure).recoverable:
                raise
            yield ctx.create_timer(PATIENCE)


def _is_late(envelope: Any) -> bool:
    return bool(envelope.get("failure", {}).get("errorType") == LateError.__name__)


def sub_workflow(body: Callable[[OrchestrationContext, Any], Steps]) -> Callable[[OrchestrationContext, Any], Steps]:
    """Return the workflow with its result, or its failure as a value, in an envelope."""

    @functools.wraps(body)
    def run(ctx: OrchestrationContext, payload: Any) -> Steps:
        try:
            result = yield from body(ctx, payload)
        except (StepFailedError, TaskFailedError) as failure:
            error = StepFailedError.of(failure)
            told = {"errorType": error.error_type, "message": error.message, "recoverable": error.recoverable}
            return {"failure": told}
        return None if result is None else {"result": result}  # None: it has continued as new

    return run


def call_workflow[T: Payload](
    ctx: OrchestrationContext, name: str, request: Payload, kind: type[T], *, instance_id: str
) -> Steps[T]:
    """Run a sub-workflow under a readable id, unique to this call; returns its typed result, raises as ``answer``."""
    envelope = yield ctx.call_sub_orchestrator(name, input=request.to_payload(), instance_id=instance_id)
    return answer(envelope, kind)

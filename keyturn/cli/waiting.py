"""Waiting for a run, for days if it takes them: over an app that does not answer, is busy or is deployed anew.

A failure that may pass is tried again, less and less often, and told on standard error; a token is renewed before it
expires. A caller whom the app refuses, also with a fresh token, waits for nothing.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from shlex import quote as shell
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keyturn.cli.client import Api
from keyturn.cli.output import echo, note
from keyturn.cli.tables import command_lines
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import (
    ForbiddenError,
    KeyturnError,
    PermissionMissingError,
    TooManyAttemptsError,
    TransientError,
    UnauthenticatedError,
    WrongStateError,
)
from keyturn.ids import run_link

if TYPE_CHECKING:
    from tenacity import RetryCallState

PAUSE_MAX_SECONDS = 60.0  # between two tries, unless the app itself asks for more
ASKED_MAX_SECONDS = 3600.0  # of what the app may ask for
GIVE_UP_SECONDS = 3 * 24 * 3600.0  # without one good answer: longer than a weekend's outage
REPEAT_SECONDS = 600.0  # between two notes on the same failure

_REFUSALS = (UnauthenticatedError, ForbiddenError, PermissionMissingError)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed later; so may one on a defect of the app, which has a correlation id."""
    known = isinstance(error, TransientError | TooManyAttemptsError)
    return known or (isinstance(error, KeyturnError) and "correlationId" in error.facts)


class _Notes:
    """What is said of failures that are waited out: each when it begins, and now and then while it lasts."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._last: tuple[str, float] | None = None

    def failed(self, state: "RetryCallState") -> None:
        """Tell the failure, unless it was told a short while ago."""
        error = state.outcome.exception() if state.outcome is not None else None
        pause = state.next_action.sleep if state.next_action is not None else 0.0
        text = error.message if isinstance(error, KeyturnError) else str(error)
        if self._last is not None and self._last[0] == text and time.monotonic() - self._last[1] < REPEAT_SECONDS:
            return
        self._last = (text, time.monotonic())
        self._tell(f"{stamp()} {text}: waiting on, the next try is in {pause:.0f} s")
        if isinstance(error, KeyturnError) and error.hint:
            self._tell(f"hint: {error.hint}")

    def answered(self) -> None:
        """Tell that a failure is over."""
        if self._last is not None:
            self._tell(f"{stamp()} the app answers again")
        self._last = None


async def get_with_retries(api: Api, path: str, poll: float, tell: Callable[[str], None] = note) -> Any:
    """Return what a GET answers, as JSON, once it does; the first pause is ``poll`` seconds, and each next one longer.

    ``tell`` writes what is said of failures meanwhile.

    Raises:
        KeyturnError: the caller is refused, also with a fresh token; or another failure that will not pass, or has
            not passed for days.
    """
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay

    notes = _Notes(tell)
    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass),
        wait=partial(_pause, poll),
        before_sleep=notes.failed,
        stop=stop_after_delay(GIVE_UP_SECONDS),
        reraise=True,
    )
    answer: Any = await retrying(_get, api, path)
    notes.answered()
    return answer


async def _get(api: Api, path: str) -> Any:
    """GET; a caller who is refused is known by a fresh token, if by any: rights may have been given meanwhile."""
    try:
        return await api.get(path)
    except _REFUSALS:
        if api.tokens is None:
            raise
        await api.tokens.renew()
    return await api.get(path)


def _pause(poll: float, state: "RetryCallState") -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.facts.get("retryAfterSeconds", 0.0) if isinstance(error, KeyturnError) else 0.0
    grown = min(PAUSE_MAX_SECONDS, poll * 2.0 ** min(state.attempt_number - 1, 30))
    return max(grown, min(ASKED_MAX_SECONDS, float(asked)))


async def follow(api: Api, run: str, poll: float, tell: Callable[[str], None] = note) -> AsyncIterator[dict[str, Any]]:
    """Yield the status of a run every ``poll`` seconds, until it needs a person or has ended: that one is the last."""
    while True:
        found: dict[str, Any] = await get_with_retries(api, run_link(quote(run, safe="")), poll, tell)
        yield found
        if _needs_a_person(found):
            return
        await asyncio.sleep(poll)


async def status_of(api: Api, run: str, poll: float | None) -> dict[str, Any]:
    """Return the status of a run; ``poll`` says how often (in seconds) to look until it needs a person, if at all."""
    if poll is None:
        return dict(await api.get(run_link(quote(run, safe=""))))
    found: dict[str, Any] = {}
    try:
        async for seen in follow(api, run, poll):
            if seen["state"] != found.get("state"):
                echo(state_line(run, seen), err=True)
            found = seen
    except asyncio.CancelledError:  # Ctrl-C, which a terminal shows where the cursor is
        note(f"{'\n' if sys.stderr.isatty() else ''}{goes_on(run)}")
        raise
    return found


def goes_on(run: str) -> str:
    """Return what becomes of a run that is waited for no longer."""
    return f"the run goes on; see it again: keyturn watch {shell(run)}"


def state_line(run: str, found: dict[str, Any]) -> str:
    """Return a line on the state of a run: with why, and with what is wanted of people."""
    told = ": ".join(filter(None, [run, found["state"], found.get("detail")]))
    return f"{told}\n{decide_hint(run, found)}" if is_undecided(found) else told


def decide_hint(run: str, found: dict[str, Any]) -> str:
    """Return the command that decides on exactly the evidence of this status."""
    command = ("keyturn", "approve", run, "--digest", str(found.get("evidenceDigest")))
    return "\n".join(command_lines("decide:", command, len("decide: ")))


def is_undecided(found: dict[str, Any]) -> bool:
    """Tell whether a decision is waited for."""
    return State(found["state"]) is State.AWAITING_APPROVAL and _needs_a_person(found)


def _needs_a_person(found: dict[str, Any]) -> bool:
    """Tell whether nothing happens any more without a person; what was decided or asked for is on its way."""
    state, waits = State(found["state"]), found.get("waitsFor")
    if state in TERMINAL:
        return True
    if waits is not None:
        return bool(waits["person"])
    undecided = state is State.AWAITING_APPROVAL and found.get("decision") is None  # of an app that does not tell
    return state is State.NEEDS_ATTENTION or undecided


def require_good_end(run: str, found: dict[str, Any]) -> None:
    """Raise WrongStateError where what was waited for did not come out well."""
    state = State(found["state"])
    said = f"{run} is {state.value}"
    if state is State.COMPLETED and found.get("clean") is False:
        # Of migrations: a check or a dry run has found what cannot be worked on.
        said += f", and {found.get('quarantined', {}).get('count')} rows or documents are quarantined"
    elif state not in {*TERMINAL, State.NEEDS_ATTENTION} - {State.COMPLETED}:
        return
    hint = f"look at it: keyturn report {shell(run)}"
    raise WrongStateError(said, hint=hint, rotationId=run, state=state.value)


def stamp() -> str:
    """Return the time, in UTC and to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

"""Refused attempts: the only events that no record tells of, so they are appended where the request is refused."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from keyturn.audit.events import Attempt, AttemptRefused, AuditEvent
from keyturn.errors import CallerError, KeyturnError, UnknownRotationError
from keyturn.rotation.run_record import RunRecord, keyring_of_run
from keyturn.rotation.run_store import Runs

# Whoever may call the API must not be able to make a chain grow without end; what comes after is only logged.
EVENTS_MAX = 1000

_log = logging.getLogger(__name__)


async def record_refusal[R: RunRecord](
    runs: Runs[R], rotation_id: str, attempt: Attempt, error: KeyturnError, *, by: str | None, now: datetime
) -> None:
    """Append the refused attempt to the rotation's chain; the same refusal within one minute is one event.

    Never fails: the caller is answered with the refusal itself. A refusal without a chain, because there is no such
    rotation or the database is away, is in the log.
    """
    refused = type(error).__name__
    try:
        keyring_of_run(rotation_id)
    except UnknownRotationError:
        _log.warning("refused to %s what is no rotation: %s", attempt, refused)
        return
    facts = {"rotationId": rotation_id, "attempt": attempt, "error": refused}
    _log.warning("refused to %s %s: %s", attempt, rotation_id, refused, extra={"custom_dimensions": facts})
    try:
        end = await runs.audit.end(rotation_id)
        if end is not None and end.sequence < EVENTS_MAX:
            await runs.audit.append(rotation_id, [_refused(attempt, error, by, now)])
    except KeyturnError as failure:
        _log.error("the refusal is not in the audit chain of %s: %s", rotation_id, type(failure).__name__)


@asynccontextmanager
async def refusals_told[R: RunRecord](
    runs: Runs[R], rotation_id: str, attempt: Attempt, *, by: str | None, now: datetime
) -> AsyncIterator[None]:
    """Record what is refused within, and raise it on."""
    try:
        yield
    except CallerError as error:
        await record_refusal(runs, rotation_id, attempt, error, by=by, now=now)
        raise


def _refused(attempt: Attempt, error: KeyturnError, by: str | None, now: datetime) -> AuditEvent:
    name = type(error).__name__
    data = AttemptRefused(attempt=attempt, by=by, error=name, detail=error.message)
    return AuditEvent(key=f"refused:{attempt}:{name}:{by or ''}:{now:%Y%m%dT%H%M}", at=now, data=data)

"""Take a decision to its end: write it, wake the workflow, and mark the message or link that brought it as used."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Literal

from keyturn.access.attempts import counted
from keyturn.audit.refusals import refusals_told
from keyturn.contracts import Payload
from keyturn.errors import CallerError
from keyturn.rotation.decision import DecisionRequest, decide
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.run_store import Runs

# No keyring can have this name: an id is used once, whatever rotation its message names.
PARTITION = "~webhooks"
# A signature is refused after 5 minutes, so remembering ids for longer than that is enough; a link says itself when.
KEEP = timedelta(days=1)

type Wake[R: RunRecord] = Callable[[R], Awaitable[object]]


class UsedMessage(Payload):
    """A message or link that was handled to its end."""

    id: str
    kind: Literal["webhook"] = "webhook"
    keyring: str = PARTITION
    rotation_id: str
    used_at: datetime
    ttl: int  # Cosmos DB removes the document by itself


async def is_used[R: RunRecord](runs: Runs[R], message_id: str) -> bool:
    """Tell whether the message was handled to its end."""
    return await runs.documents.read(PARTITION, _document_id(message_id)) is not None


async def take_decision[R: RunRecord](
    runs: Runs[R],
    request: DecisionRequest,
    *,
    message_id: str,
    wake: Wake[R],
    now: datetime,
    by_id: str | None = None,
    keep: timedelta = KEEP,
) -> R:
    """Take an authentic decision; the same message again finishes what broke half-way.

    Raises:
        TooManyAttemptsError: authentic decisions on this rotation were refused too often.
        CallerError: whatever ``decide`` raises.
    """
    async with (
        refusals_told(runs, request.rotation_id, "decide", by=request.approver, now=now),
        counted(runs.documents, [f"decisions {request.rotation_id}"], CallerError, now, first=True),
    ):
        record = await decide(runs, request, webhook_id=message_id, now=now, by_id=by_id)
    if not record.ended:
        await wake(record)
    used = UsedMessage(
        id=_document_id(message_id),
        rotation_id=record.rotation_id,
        used_at=now,
        ttl=int(max(keep, KEEP).total_seconds()),
    )
    await runs.documents.create(used.to_payload())
    return record


def _document_id(message_id: str) -> str:
    # Hashed: a sender's id may hold characters that a document's id may not.
    return hashlib.sha256(message_id.encode()).hexdigest()

"""The approval webhook's own rules: a Standard Webhooks signature, and every message counts once.

The order is verify, look for a replay, record the decision with the message's id, wake the workflow, mark the id as
used. So a message whose handling broke half-way can be delivered again and finishes the work, while one that was
handled is refused.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from keyturn.audit.refusals import refusals_told
from keyturn.contracts import Payload
from keyturn.errors import SettingsError, UnauthenticatedError
from keyturn.requests import parse, parse_json
from keyturn.rotation.decision import DecisionRequest, decide
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_store import RunStore

# No keyring can have this name: an id is used once, whatever rotation its message names.
PARTITION = "~webhooks"
# The library refuses messages older than 5 minutes, so remembering ids for longer than that is enough.
KEEP = timedelta(days=1)
_ID_MAX = 256

_log = logging.getLogger(__name__)


class UsedMessage(Payload):
    """A message that was handled to its end."""

    id: str
    kind: Literal["webhook"] = "webhook"
    keyring: str = PARTITION
    rotation_id: str
    used_at: datetime
    ttl: int = int(KEEP.total_seconds())  # Cosmos DB removes the document by itself


async def submit_decision(
    runs: RunStore,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    wake: Callable[[RotationRecord], Awaitable[object]],
    now: datetime,
) -> RotationRecord:
    """Take a signed decision; ``wake`` tells the workflow to read the record.

    Raises:
        UnauthenticatedError: not signed by one of the secrets, too old, or handled before.
        InvalidRequestError, and everything that ``decide`` raises.
    """
    async with refusals_told(runs, _claimed_rotation(body), "decide", by=None, now=now):
        webhook_id = verify_signature(headers, body, secrets)
        document_id = hashlib.sha256(webhook_id.encode()).hexdigest()
        if await runs.documents.read(PARTITION, document_id) is not None:
            _log.warning("a webhook message came again after it was handled")
            raise _refused()
        request = parse(DecisionRequest, parse_json(body))
    record = await decide(runs, request, webhook_id=webhook_id, now=now)
    if not record.ended:
        await wake(record)
    used = UsedMessage(id=document_id, rotation_id=record.rotation_id, used_at=now)
    await runs.documents.create(used.to_payload())
    return record


def _claimed_rotation(body: bytes) -> str:
    """Return the rotation that the body names, for the audit only: nothing about the body is known to be true."""
    try:
        return DecisionRequest.model_validate_json(body).rotation_id
    except ValidationError:
        return "(unknown)"


def verify_signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> str:
    """Return the message's id if one of the secrets signed it within the last 5 minutes.

    Raises:
        UnauthenticatedError: for every other message, without saying why.
        SettingsError: a secret is not one.
    """
    if not secrets:
        _log.warning("no decision can be taken: APPROVAL_WEBHOOK_SECRETS is not set")
    lowered = {name.lower(): value for name, value in headers.items()}
    for secret in secrets:
        webhook = _webhook(secret)
        try:
            webhook.verify(body, lowered, json_parse=False)
        except (WebhookVerificationError, ValueError):  # ValueError: the library trips over malformed headers
            continue
        if len(webhook_id := lowered["webhook-id"]) <= _ID_MAX:
            return webhook_id
    raise _refused()


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        expected = "whsec_ and the base64 of the secret; several separated by spaces"
        raise SettingsError(
            f"APPROVAL_WEBHOOK_SECRETS holds something else than {expected}",
            variable="APPROVAL_WEBHOOK_SECRETS",
            value="(masked)",
            expected=expected,
        ) from None


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("the message is not authentic")

"""The approval webhook's own rules: a Standard Webhooks signature, and every message counts once.

The order is verify, look for a replay, record the decision with the message's id, wake the workflow, mark the id as
used. So a message whose handling broke half-way can be delivered again and finishes the work, while one that was
handled is refused.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from keyturn.access.attempts import counted
from keyturn.errors import InvalidRequestError, UnauthenticatedError
from keyturn.http import parse, parse_json
from keyturn.runs.audit import audit_refusals
from keyturn.runs.decisions import DecisionRequest, Wake, is_used, take_decision
from keyturn.runs.record import RunRecord
from keyturn.runs.store import Runs

_ID_MAX = 256

_log = logging.getLogger(__name__)


async def submit_decision[R: RunRecord](
    runs: Runs[R],
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    sign_in: bool,
    sender: str,
    wake: Wake[R],
    now: datetime,
) -> R:
    """Take a signed decision; ``sender`` is the address that it came from, ``wake`` tells the workflow of it.

    Where people sign in, ``sign_in``, it must name the approver by object id: a mail address is no UPN.

    Raises:
        UnauthenticatedError: not signed by one of the secrets, too old, or handled before.
        TooManyAttemptsError: messages of this sender, or about this run, were refused too often.
        InvalidRequestError: the body is no decision, or lacks ``approverId`` where people sign in.
        CallerError: as ``take_decision``.
    """
    claimed = _claimed_run(body)
    async with audit_refusals(runs, claimed, "decide", by=None, now=now):
        forgers = [f"sender {sender}", f"forged {claimed}"]
        async with counted(runs.documents, forgers, UnauthenticatedError, now):
            webhook_id = verify_signature(headers, body, secrets)
            if await is_used(runs, webhook_id):
                _log.warning("a webhook message came again after it was handled")
                raise _refused()
        request = parse(DecisionRequest, parse_json(body))
        if sign_in and request.approver_id is None:
            raise InvalidRequestError.expected("approverId", "the approver's object id in Entra ID")
    if not sign_in:
        request = request.model_copy(update={"approver_id": None})  # the requester's is not vouched for
    return await take_decision(runs, request, message_id=webhook_id, wake=wake, now=now)


def _claimed_run(body: bytes) -> str:
    """Return the run that the body names, for the audit only: nothing about the body is known to be true."""
    try:
        return DecisionRequest.model_validate_json(body).run_id
    except ValidationError:
        return "(unknown)"


def verify_signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> str:
    """Return the message's id if one of the secrets signed it within the last 5 minutes.

    Raises:
        UnauthenticatedError: for every other message, without saying why.
    """
    if not secrets:
        _log.warning("no decision can be taken: APPROVAL_WEBHOOK_SECRETS is not set")
    lowered = {name.lower(): value for name, value in headers.items()}
    for secret in secrets:
        try:
            Webhook(secret).verify(body, lowered, json_parse=False)
        except (WebhookVerificationError, ValueError):  # ValueError: the library trips over malformed headers
            continue
        if len(webhook_id := lowered["webhook-id"]) <= _ID_MAX:
            return webhook_id
    raise _refused()


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("the message is not authentic")

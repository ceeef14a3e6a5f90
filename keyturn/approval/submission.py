"""What an approver's link allows: to read the evidence, and to take one decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from keyturn.access.attempts import counted
from keyturn.access.caller import Caller
from keyturn.access.identity import Identity
from keyturn.approval.links import Link, read_token, where_to_look
from keyturn.approval.questions import outcome_of
from keyturn.errors import (
    AlreadyDecidedError,
    DigestMismatchError,
    ForbiddenError,
    InvalidRequestError,
    UnauthenticatedError,
)
from keyturn.http import parse
from keyturn.runs.audit import audit_refusals
from keyturn.runs.decisions import OUTCOMES, DecisionRequest, Wake, check_approver, is_used, take_decision
from keyturn.runs.record import RunRecord
from keyturn.runs.store import Runs


class LinkRequest(NamedTuple):
    """A request made with a link: to which run, with which token, by which caller, from which address."""

    run_id: str
    token: str
    caller: Caller
    sender: str


async def open_link[R: RunRecord](
    runs: Runs[R], link_request: LinkRequest, *, secrets: Sequence[str], now: datetime
) -> tuple[Link, R]:
    """Return what the link says and the run it is about; changes nothing.

    Where the question is settled, the link opens after its time too: it shows no more than what came of it.

    Raises:
        UnauthenticatedError, ApprovalExpiredError, ForbiddenError: the link is none, its time is over, or it is
            another person's or the requester's.
        TooManyAttemptsError: links of this sender, or for this run, were refused too often.
        DigestMismatchError: other evidence is in force than the link is for.
        EvidenceAlteredError: the evidence was changed after it was frozen.
        UnknownRotationError: there is no such run.
    """
    async with audit_refusals(runs, link_request.run_id, "decide", by=_by(link_request), now=now):
        link = await _authentic(runs, link_request, secrets, now)
    record = await runs.read(link.run_id)
    if outcome_of(record, link.evidence_digest, link.message_id) is not None:
        return link, record
    async with audit_refusals(runs, link.run_id, "decide", by=_by(link_request), now=now):
        link.check_time(now)
        check_approver(record, _approver(link_request, link))
    if record.evidence_digest != link.evidence_digest:
        hint = f"open the link in the newest message, which is to the evidence in force; {where_to_look(link.run_id)}"
        raise DigestMismatchError(
            "other evidence is in force than this link is for", rotationId=record.run_id, hint=hint
        )
    record.check_evidence()
    return link, record


async def decide_by_link[R: RunRecord](
    runs: Runs[R],
    link_request: LinkRequest,
    decision: str | None,
    comment: str,
    acknowledged: Sequence[str],
    *,
    secrets: Sequence[str],
    wake: Wake[R],
    now: datetime,
) -> R:
    """Take the decision, ``approve`` or ``reject``, of the link's approver; a link decides once.

    ``acknowledged`` are the warnings that the approver said to have read, by the keys of the findings.

    Raises:
        AlreadyDecidedError: the link was used.
        InvalidRequestError: it rejects without a comment, or approves without some warning acknowledged.
        CallerError: as ``open_link`` for the link, and as ``take_decision``.
    """
    async with audit_refusals(runs, link_request.run_id, "decide", by=_by(link_request), now=now):
        link = await _authentic(runs, link_request, secrets, now)
        if await is_used(runs, link.message_id):
            raise AlreadyDecidedError("this link was used", rotationId=link.run_id)
        link.check_time(now)
    if decision == "reject" and not comment.strip():
        hint = "go back and say beside Reject why: whoever asked for the run reads it"
        raise InvalidRequestError(
            "comment: expected why it is rejected", field="comment", expected="why it is rejected", hint=hint
        )
    approver = _approver(link_request, link)
    stated = {"decision": decision, "comment": comment, "acknowledged": list(acknowledged)}
    bound = {"rotationId": link.run_id, "evidenceDigest": link.evidence_digest}
    named = {"approver": approver.name, "approverId": approver.object_id}
    request = parse(DecisionRequest, {**stated, **bound, **named})
    record = await take_decision(
        runs,
        request,
        message_id=link.message_id,
        wake=wake,
        now=now,
        keep=link.expires_at - now,
    )
    taken = [one.decision for one in record.taken if one.webhook_id == link.message_id]
    if taken != [OUTCOMES[request.decision]]:
        # An earlier attempt with this link was written before it broke, and said something else.
        raise AlreadyDecidedError("this link was used", rotationId=link.run_id)
    return record


async def _authentic[R: RunRecord](
    runs: Runs[R], link_request: LinkRequest, secrets: Sequence[str], now: datetime
) -> Link:
    forgers = [f"sender {link_request.sender}", f"forged {link_request.run_id}"]
    async with counted(runs.documents, forgers, UnauthenticatedError, now):
        link = read_token(link_request.token, secrets, run_id=link_request.run_id)
    principal = link_request.caller.principal
    if principal is not None and link.approver.lower() != principal.object_id:
        hint = f"use the link that was sent to you, or sign in as its approver; {where_to_look(link.run_id)}"
        raise ForbiddenError("the link was made for another person", rotationId=link.run_id, hint=hint)
    return link


def _by(link_request: LinkRequest) -> str | None:
    principal = link_request.caller.principal
    return principal.name if principal is not None else None


def _approver(link_request: LinkRequest, link: Link) -> Identity:
    principal = link_request.caller.principal
    return Identity(link.approver) if principal is None else principal.identity

"""What an approver's link allows: to read the evidence, and to take one decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from keyturn.access.attempts import counted
from keyturn.access.caller import Caller
from keyturn.approval.links import Link, read_token
from keyturn.errors import AlreadyDecidedError, DigestMismatchError, ForbiddenError, UnauthenticatedError
from keyturn.http import parse
from keyturn.runs.audit import audit_refusals
from keyturn.runs.decisions import OUTCOMES, DecisionRequest, Wake, is_used, take_decision
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

    Raises:
        UnauthenticatedError, ApprovalExpiredError, ForbiddenError: the link is none, its time is over, or it is
            another person's.
        TooManyAttemptsError: links of this sender, or for this run, were refused too often.
        DigestMismatchError: other evidence is in force than the link is for.
        EvidenceAlteredError: the evidence was changed after it was frozen.
        UnknownRotationError: there is no such run.
    """
    async with audit_refusals(runs, link_request.run_id, "decide", by=_by(link_request), now=now):
        link = await _authentic(runs, link_request, secrets, now)
    record = await runs.read(link.run_id)
    if record.evidence_digest != link.evidence_digest:
        raise DigestMismatchError(
            "other evidence is in force than this link is for",
            rotationId=record.run_id,
            hint="wait for the next message: it has a link to the evidence in force",
        )
    record.check_evidence()
    return link, record


async def decide_by_link[R: RunRecord](
    runs: Runs[R],
    link_request: LinkRequest,
    decision: str | None,
    comment: str,
    *,
    secrets: Sequence[str],
    wake: Wake[R],
    now: datetime,
) -> R:
    """Take the decision, ``approve`` or ``reject``, of the link's approver; a link decides once.

    Raises:
        AlreadyDecidedError: the link was used.
        CallerError: as ``open_link`` for the link, and as ``take_decision``.
    """
    async with audit_refusals(runs, link_request.run_id, "decide", by=_by(link_request), now=now):
        link = await _authentic(runs, link_request, secrets, now)
        if await is_used(runs, link.message_id):
            raise AlreadyDecidedError("this link was used", rotationId=link.run_id)
    principal = link_request.caller.principal
    stated = {"decision": decision, "comment": comment, "approver": _by(link_request) or link.approver}
    bound = {"rotationId": link.run_id, "evidenceDigest": link.evidence_digest}
    request = parse(DecisionRequest, {**stated, **bound, "approverId": principal and principal.object_id})
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
        link = read_token(link_request.token, secrets, run_id=link_request.run_id, now=now)
    principal = link_request.caller.principal
    if principal is not None and link.approver.lower() != principal.object_id:
        raise ForbiddenError("the link was made for another person", rotationId=link.run_id)
    return link


def _by(link_request: LinkRequest) -> str | None:
    principal = link_request.caller.principal
    return principal.name if principal is not None else None

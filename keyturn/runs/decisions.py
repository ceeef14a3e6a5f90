"""Decisions on a run: taken once, on exactly the evidence in force, by another person than the requester.

``decide`` says what a decision makes of the record, or why it is refused. ``take_decision`` carries an authentic one to
its end: it stores it, wakes the workflow, and marks the message or link that brought it as used.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from keyturn import errors
from keyturn.access.attempts import counted
from keyturn.access.identity import Identity, same_person
from keyturn.contracts.base import Name, ObjectId, Payload, PersonName, Remark, RunId
from keyturn.contracts.states import State
from keyturn.contracts.steps import DecisionInput, DecisionResult
from keyturn.cosmos.state_container import hashed_id
from keyturn.runs.audit import audit_record, audit_refusals
from keyturn.runs.evidence_summary import findings_of, to_look_at
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import ACKNOWLEDGED_MAX, Decision
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import Runs
from keyturn.runs.transitions import check_live

OUTCOMES: dict[str, Literal["approved", "rejected"]] = {"approve": "approved", "reject": "rejected"}

# No keyring can have this name: an id is used once, whatever run its message names.
PARTITION = "~webhooks"
# A signature is refused after 5 minutes, so remembering ids for longer than that is enough; a link says itself when.
KEEP = timedelta(days=1)

type Wake[R: RunRecord] = Callable[[R], Awaitable[object]]


class DecisionRequest(Payload):
    """The body of the approval webhook; of a link, with whom it was made for or who is signed in."""

    run_id: Annotated[RunId, StringConstraints(max_length=100)]
    decision: Literal["approve", "reject"]
    evidence_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    approver: PersonName
    approver_id: ObjectId | None = None  # in Entra ID; needed where people sign in, and looked at there alone
    comment: Remark = ""
    # The keys of the warnings that the approver said to have read; of approvals, those of all there are. Not stated by
    # an approval system that shows the evidence in a way of its own.
    acknowledged: Annotated[list[Name] | None, Field(max_length=ACKNOWLEDGED_MAX)] = None


def decide[R: RunRecord](record: R, request: DecisionRequest, *, webhook_id: str, now: datetime) -> R:
    """Return the record with the decision; a record that this very message decided is returned as it is.

    Raises:
        ForbiddenError: the approver is the requester, or cannot be told from the requester.
        AlreadyDecidedError: the evidence was decided on.
        ApprovalExpiredError: the time to decide is over.
        WrongStateError: the run does not wait for a decision.
        DigestMismatchError: other evidence is in force; the error names its digest.
        EvidenceAlteredError: the evidence was changed after it was frozen.
        InvalidRequestError: it approves without some of the warnings acknowledged.
    """
    if any(decision.webhook_id == webhook_id for decision in record.taken):
        return record
    _check(record, request, now)
    decision = Decision(
        decision=OUTCOMES[request.decision],
        by=request.approver,
        by_id=request.approver_id,
        digest=request.evidence_digest,
        at=now,
        webhook_id=webhook_id,
        comment=request.comment,
        acknowledged=request.acknowledged or [],
    )
    return record.changed(decision=decision)


async def record_decision[R: RunRecord](
    runs: Runs[R], request: DecisionRequest, *, webhook_id: str, now: datetime
) -> R:
    """Store what ``decide`` makes of the run's record, and return it; raises what ``decide`` raises.

    Raises:
        CallerError: there is no such run.
    """
    record = await runs.update(request.run_id, lambda found: decide(found, request, webhook_id=webhook_id, now=now))
    await audit_record(runs.audit, record, now)
    return record


def check_approver(record: RunRecord, approver: Identity) -> None:
    """Raise ForbiddenError unless the approver is another person than the requester, as far as can be told."""
    run_id = record.run_id
    if same_person(approver, record.requester):
        hint = "another approver must look at the evidence; a name that looks like the requester's is the requester's"
        raise errors.ForbiddenError("a run is not decided on by its requester", rotationId=run_id, hint=hint)
    scheduled = isinstance(record, RotationRecord) and record.trigger == "schedule"
    if (approver.object_id is None) != (record.requested_by_id is None) and not scheduled:
        # KEYTURN_ACCESS has changed since: an id and a name say nothing of each other.
        hint = f"abort the run and ask for it again, then both are known in the same way: keyturn abort {run_id}"
        raise errors.ForbiddenError("approver and requester cannot be told apart", rotationId=run_id, hint=hint)


def _check(record: RunRecord, request: DecisionRequest, now: datetime) -> None:
    run_id = record.run_id
    check_approver(record, Identity(request.approver, request.approver_id))
    if record.decision is not None:
        taken = record.decision.decision
        raise errors.AlreadyDecidedError(f"the evidence was {taken}", rotationId=run_id, decision=taken)
    expires = record.approval_expires_at
    waiting = record.state is State.AWAITING_APPROVAL
    if record.state is State.EXPIRED or (waiting and expires is not None and now >= expires):
        hint = f"ask for a new one: keyturn rotate --keyring {record.keyring}"
        raise errors.ApprovalExpiredError("the time to decide is over", hint=hint, rotationId=run_id)
    if not waiting or record.abort is not None:
        state = "being aborted" if waiting else record.state.value
        allowed = [State.AWAITING_APPROVAL.value]
        said, hint = f"the run is {state}: expected {allowed[0]}", f"see what it waits for: keyturn status {run_id}"
        raise errors.WrongStateError(said, hint=hint, rotationId=run_id, state=state, allowed=allowed)
    if request.evidence_digest != record.evidence_digest:
        digest = record.evidence_digest
        hint = f"read it, and decide on it: keyturn report {run_id}"
        said = "other evidence is in force"
        raise errors.DigestMismatchError(said, hint=hint, rotationId=run_id, evidenceDigest=digest)
    evidence = record.check_evidence()
    if request.decision == "approve" and request.acknowledged is not None:
        _check_acknowledged(evidence, request.acknowledged)


def _check_acknowledged(evidence: Mapping[str, Any], acknowledged: Collection[str]) -> None:
    """Raise InvalidRequestError that names the warnings of the evidence which are not acknowledged."""
    wanted = [finding.key for finding in to_look_at(findings_of(evidence))]
    if missing := [key for key in wanted if key not in acknowledged]:
        expected = f"every warning, and {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        hint = "open the link again, read each warning and tick the box beside it, then approve"
        raise errors.InvalidRequestError(
            f"acknowledged: expected {expected}", field="acknowledged", expected=expected, missing=missing, hint=hint
        )


async def read_decision[R: RunRecord](runs: Runs[R], request: DecisionInput) -> DecisionResult:
    """Return what was decided on exactly this evidence; an operator's abort goes before any decision.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """
    record = await runs.read(request.run.run_id)
    check_live(record, request.run)
    if record.abort is not None:
        return DecisionResult(decision="aborted", decided_by=record.abort.by)
    decision = record.decision
    if decision is None or decision.digest != request.evidence_digest:
        return DecisionResult(decision="none")
    return DecisionResult(decision=decision.decision, decided_by=decision.by)


class UsedMessage(Payload):
    """A message or link that was handled to its end."""

    id: str
    kind: Literal["webhook"] = "webhook"
    keyring: str = PARTITION
    run_id: RunId
    used_at: datetime
    ttl: int  # Cosmos DB removes the document by itself


async def is_used[R: RunRecord](runs: Runs[R], message_id: str) -> bool:
    """Tell whether the message was handled to its end."""
    return await runs.documents.read(PARTITION, hashed_id(message_id)) is not None


async def take_decision[R: RunRecord](
    runs: Runs[R],
    request: DecisionRequest,
    *,
    message_id: str,
    wake: Wake[R],
    now: datetime,
    keep: timedelta = KEEP,
) -> R:
    """Take an authentic decision to its end; the same message again finishes what broke half-way.

    A refusal is audited here, once: callers must not wrap this in ``audit_refusals`` again.

    Raises:
        TooManyAttemptsError: this very message or link was refused too often; others are still heard.
        CallerError: as ``record_decision``.
    """
    async with (
        audit_refusals(runs, request.run_id, "decide", by=request.approver, now=now),
        counted(runs.documents, [f"decisions {message_id}"], errors.CallerError, now, first=True),
    ):
        record = await record_decision(runs, request, webhook_id=message_id, now=now)
    if not record.ended:
        await wake(record)
    seconds = int(max(keep, KEEP).total_seconds())
    used = UsedMessage(id=hashed_id(message_id), run_id=record.run_id, used_at=now, ttl=seconds)
    await runs.documents.create(used.to_payload())
    return record

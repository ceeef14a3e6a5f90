"""Decide on a rotation: once, on exactly the evidence in force, by somebody other than the requester."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import StringConstraints

from keyturn.audit.refusals import refusals_told
from keyturn.contracts import DecisionInput, DecisionResult, Payload
from keyturn.errors import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    DigestMismatchError,
    ForbiddenError,
    WrongStateError,
)
from keyturn.rotation.people import same_identity, same_person
from keyturn.rotation.record_parts import Decision, Name, Remark
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.run_store import Runs
from keyturn.rotation.states import State
from keyturn.rotation.transitions import check_token

OUTCOMES: dict[str, Literal["approved", "rejected"]] = {"approve": "approved", "reject": "rejected"}


class DecisionRequest(Payload):
    """The body of the approval webhook."""

    rotation_id: Annotated[str, StringConstraints(max_length=100)]
    decision: Literal["approve", "reject"]
    evidence_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    approver: Name
    comment: Remark = ""


async def decide[R: RunRecord](
    runs: Runs[R], request: DecisionRequest, *, webhook_id: str, now: datetime, by_id: str | None = None
) -> R:
    """Write the decision into the record; one that this very message wrote before is returned as it is.

    Raises:
        CallerError: there is no such run.
        ForbiddenError: the approver is the requester.
        AlreadyDecidedError: the evidence was decided on.
        ApprovalExpiredError: the time to decide is over.
        WrongStateError: the run does not wait for a decision.
        DigestMismatchError: other evidence is in force; the error names its digest.
    """

    def change(record: R) -> R:
        if _wrote(record, webhook_id):
            return record
        _check(record, request, by_id, now)
        decision = Decision(
            decision=OUTCOMES[request.decision],
            by=request.approver,
            by_id=by_id,
            digest=request.evidence_digest,
            at=now,
            webhook_id=webhook_id,
            comment=request.comment,
        )
        return record.changed(decision=decision)

    async with refusals_told(runs, request.rotation_id, "decide", by=request.approver, now=now):
        record = await runs.update(request.rotation_id, change)
    await runs.audit.follow(record, now)
    return record


def _wrote(record: RunRecord, webhook_id: str) -> bool:
    made = [*record.decisions, *([record.decision] if record.decision is not None else [])]
    return any(decision.webhook_id == webhook_id for decision in made)


def _check(record: RunRecord, request: DecisionRequest, by_id: str | None, now: datetime) -> None:
    rotation_id = record.rotation_id
    if same_person(request.approver, record.requested_by) or same_identity(by_id, record.requested_by_id):
        raise ForbiddenError(
            "a run is not decided on by its requester",
            rotationId=rotation_id,
            hint="somebody else must look at the evidence",
        )
    if record.decision is not None:
        raise AlreadyDecidedError(
            f"the evidence was {record.decision.decision}", rotationId=rotation_id, decision=record.decision.decision
        )
    expires = record.approval_expires_at
    waiting = record.state is State.AWAITING_APPROVAL
    if record.state is State.EXPIRED or (waiting and expires is not None and now >= expires):
        raise ApprovalExpiredError("the time to decide is over", rotationId=rotation_id)
    if not waiting or is_aborted(record):
        state = "being aborted" if waiting else record.state.value
        raise WrongStateError(
            f"the run is {state}", rotationId=rotation_id, state=state, allowed=[State.AWAITING_APPROVAL.value]
        )
    if request.evidence_digest != record.evidence_digest:
        raise DigestMismatchError(
            "other evidence is in force", rotationId=rotation_id, evidenceDigest=record.evidence_digest
        )


def is_aborted(record: RunRecord) -> bool:
    """Tell whether an operator asked to end the rotation."""
    return any(command.command == "abort" for command in record.commands)


async def read_decision[R: RunRecord](runs: Runs[R], request: DecisionInput) -> DecisionResult:
    """Return what was decided on exactly this evidence; an operator's abort goes before any decision.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """
    record = await runs.read(request.rotation_id)
    check_token(record, request)
    for command in record.commands:
        if command.command == "abort":
            return DecisionResult(decision="aborted", decided_by=command.by)
    decision = record.decision
    if decision is None or decision.digest != request.evidence_digest:
        return DecisionResult(decision="none")
    return DecisionResult(decision=decision.decision, decided_by=decision.by)

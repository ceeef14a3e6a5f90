"""Decisions: once, on exactly the evidence in force, while it is waited for, by somebody else than the requester."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from keyturn.contracts import DecisionInput
from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    CallerError,
    DigestMismatchError,
    FencedError,
    ForbiddenError,
    InvalidRequestError,
    UnknownRotationError,
    WrongStateError,
)
from keyturn.http import parse
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.commands import give_command
from keyturn.runs.decisions import DecisionRequest, decide, read_decision
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER, bring_to, freeze, step_to

SOON = NOW + timedelta(minutes=1)
OTHER_DIGEST = "0" * 64


def request_of(record: RotationRecord, **fields: Any) -> DecisionRequest:
    """Return an approval of the evidence in force."""
    body = {
        "rotationId": record.run_id,
        "decision": "approve",
        "evidenceDigest": record.evidence_digest or OTHER_DIGEST,
        "approver": APPROVER,
    }
    return DecisionRequest.model_validate(body | fields)


async def test_an_approval_is_written_and_read_by_the_workflow(runs: RotationStore) -> None:
    """The record says who decided what, on which evidence, when and why, and the workflow is told."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    decided = await decide(runs, request_of(record, comment="looks good"), webhook_id="m1", now=SOON)
    read = await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=record.evidence_digest or ""))

    assert decided.decision is not None
    assert ("approved", APPROVER, record.evidence_digest, SOON, "m1", "looks good") == (
        decided.decision.decision,
        decided.decision.by,
        decided.decision.digest,
        decided.decision.at,
        decided.decision.webhook_id,
        decided.decision.comment,
    )
    assert (read.decision, read.decided_by) == ("approved", APPROVER)


async def test_a_rejection_is_a_decision_too(runs: RotationStore) -> None:
    """Rejecting is written and read like approving."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    await decide(runs, request_of(record, decision="reject"), webhook_id="m1", now=SOON)
    read = await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=record.evidence_digest or ""))

    assert (read.decision, read.decided_by) == ("rejected", APPROVER)


class Refusal(NamedTuple):
    """A decision that is refused: in which state, with what in the body, when, and how."""

    state: State
    body: dict[str, Any]
    error: type[CallerError]
    facts: Mapping[str, Any] = MappingProxyType({})
    after: timedelta = timedelta(minutes=1)


REFUSALS: Mapping[str, Refusal] = {
    "the requester may not approve": Refusal(State.AWAITING_APPROVAL, {"approver": REQUESTER}, ForbiddenError),
    "the requester may not reject": Refusal(
        State.AWAITING_APPROVAL, {"approver": REQUESTER, "decision": "reject"}, ForbiddenError
    ),
    "another case does not make another person": Refusal(
        State.AWAITING_APPROVAL, {"approver": " Ada@Example.COM "}, ForbiddenError
    ),
    "full-width letters do not make another person": Refusal(
        State.AWAITING_APPROVAL, {"approver": "\uff41da@example.com"}, ForbiddenError
    ),
    "other evidence is not in force": Refusal(
        State.AWAITING_APPROVAL, {"evidenceDigest": OTHER_DIGEST}, DigestMismatchError
    ),
    "after the expiry it is too late": Refusal(
        State.AWAITING_APPROVAL, {}, ApprovalExpiredError, after=timedelta(days=7)
    ),
    "an expired rotation is too late too": Refusal(State.EXPIRED, {}, ApprovalExpiredError),
    "before the wait there is nothing to decide": Refusal(
        State.SOAKING, {}, WrongStateError, {"state": "soaking", "allowed": ["awaiting_approval"]}
    ),
    "while rows are swept there is nothing to decide": Refusal(
        State.SWEEPING, {}, WrongStateError, {"state": "sweeping", "allowed": ["awaiting_approval"]}
    ),
    "a blocked rotation is not decided on": Refusal(State.BLOCKED, {}, WrongStateError),
    "what is retiring was decided on": Refusal(State.RETIRING, {}, AlreadyDecidedError, {"decision": "approved"}),
    "what is completed was decided on": Refusal(State.COMPLETED, {}, AlreadyDecidedError, {"decision": "approved"}),
}


@pytest.mark.parametrize("sentence", REFUSALS)
async def test_decisions_are_refused(runs: RotationStore, sentence: str) -> None:
    """Each sentence of the table is a refusal with its own error, and the record stays as it is."""
    case = REFUSALS[sentence]
    record = await bring_to(runs, case.state)

    with pytest.raises(case.error) as raised:
        await decide(runs, request_of(record, **case.body), webhook_id="m1", now=NOW + case.after)

    assert {"rotationId": record.run_id, **case.facts}.items() <= raised.value.facts.items()
    assert await runs.read(record.run_id) == record


async def test_a_wrong_digest_is_answered_with_the_one_in_force(runs: RotationStore) -> None:
    """Whoever looked at older evidence learns which digest to look at."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(DigestMismatchError) as raised:
        await decide(runs, request_of(record, evidenceDigest=OTHER_DIGEST), webhook_id="m1", now=SOON)

    assert {"rotationId": record.run_id, "evidenceDigest": record.evidence_digest} == raised.value.facts


async def test_an_unknown_rotation_is_not_decided_on(runs: RotationStore) -> None:
    """A well-formed id without a record is unknown."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(UnknownRotationError):
        await decide(
            runs, request_of(record, rotationId=new_run_id(RunKind.ROTATION, "default", NOW)), webhook_id="m", now=NOW
        )


async def test_of_concurrent_decisions_one_counts(runs: RotationStore) -> None:
    """Eight people decide at once: the first counts, the others learn that it was decided."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    answers = await asyncio.gather(
        *(
            decide(
                runs,
                request_of(record, approver=f"p{number}", decision="approve" if number % 2 else "reject"),
                webhook_id=f"m{number}",
                now=SOON,
            )
            for number in range(8)
        ),
        return_exceptions=True,
    )

    counted = [answer for answer in answers if isinstance(answer, RotationRecord)]
    refused = [answer for answer in answers if isinstance(answer, AlreadyDecidedError)]
    assert [len(counted), len(refused)] == [1, 7]
    assert counted[0].decision == (await runs.read(record.run_id)).decision


async def test_the_same_message_is_taken_again_at_any_later_time(runs: RotationStore) -> None:
    """A redelivery of the message that was recorded succeeds, also when its decision is void or long acted upon."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    approval = request_of(record)
    decided = await decide(runs, approval, webhook_id="m1", now=SOON)

    again = await decide(runs, approval, webhook_id="m1", now=NOW + timedelta(days=8))
    await step_to(runs, decided, State.SWEEPING)
    voided = await decide(runs, approval, webhook_id="m1", now=SOON)

    assert decided.decision == again.decision
    assert (None, [decided.decision]) == (voided.decision, voided.decisions)


async def test_a_decision_on_voided_evidence_is_not_read(runs: RotationStore) -> None:
    """The workflow asks for its own digest; a decision on any other is none."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    decided = await decide(runs, request_of(record), webhook_id="m1", now=SOON)
    swept = await step_to(runs, decided, State.SWEEPING)
    soaking = await step_to(runs, swept, State.SOAKING)
    frozen = await freeze(runs, soaking, stale_writers=1)

    reads = [
        await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=digest or ""))
        for digest in (record.evidence_digest, frozen.evidence_digest)
    ]

    assert [read.decision for read in reads] == ["none", "none"]


async def test_a_decision_is_read_for_its_own_evidence_only(runs: RotationStore) -> None:
    """A workflow that asks for another digest than the one decided on is told of no decision."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    await decide(runs, request_of(record), webhook_id="m1", now=SOON)

    read = await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=OTHER_DIGEST))

    assert (read.decision, read.decided_by) == ("none", None)


async def test_an_abort_goes_before_an_approval(runs: RotationStore) -> None:
    """An operator's abort ends the wait whatever was decided, and after it nothing more is decided."""
    decided = await bring_to(runs, State.AWAITING_APPROVAL)
    await decide(runs, request_of(decided), webhook_id="m1", now=SOON)
    undecided = await bring_to(runs, State.AWAITING_APPROVAL)
    for record in (decided, undecided):
        await give_command(runs, record.run_id, "abort", by="otto", now=SOON)

    with pytest.raises(WrongStateError, match="being aborted"):
        await decide(runs, request_of(undecided), webhook_id="m2", now=SOON)
    read = await read_decision(runs, DecisionInput(run=decided.ref, evidence_digest=decided.evidence_digest or ""))

    assert (read.decision, read.decided_by) == ("aborted", "otto")


async def test_another_runs_workflow_reads_no_decision(runs: RotationStore) -> None:
    """A workflow whose token is not the run's is fenced."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(FencedError):
        await read_decision(
            runs, DecisionInput(run=record.ref.model_copy(update={"fencing_token": 99}), evidence_digest=OTHER_DIGEST)
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision": "approved"}, "decision"),
        ({"evidenceDigest": "ABC"}, "evidenceDigest"),
        ({"approver": " "}, "approver"),
        ({"rotationId": None}, "rotationId"),
        ({"comment": "x" * 501}, "comment"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_body_that_is_off_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    """The error names the field that is off."""
    body = {"rotationId": "r", "decision": "approve", "evidenceDigest": OTHER_DIGEST, "approver": APPROVER}

    with pytest.raises(InvalidRequestError) as raised:
        parse(DecisionRequest, body | change)

    assert raised.value.facts["field"] == field

"""Decisions as they are stored, once whatever races, and as the workflow reads them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.contracts.steps import DecisionInput
from keyturn.errors import (
    AlreadyDecidedError,
    DigestMismatchError,
    FencedError,
    UnknownRotationError,
    WrongStateError,
)
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.commands import record_command
from keyturn.runs.decisions import DecisionRequest, read_decision, record_decision
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import APPROVER, NOW, bring_to, freeze, step_to

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

    decided = await record_decision(runs, request_of(record, comment="looks good"), webhook_id="m1", now=SOON)
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

    await record_decision(runs, request_of(record, decision="reject"), webhook_id="m1", now=SOON)
    read = await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=record.evidence_digest or ""))

    assert (read.decision, read.decided_by) == ("rejected", APPROVER)


async def test_a_refused_decision_leaves_the_record_as_it_is(runs: RotationStore) -> None:
    """What is refused is not stored; the table of refusals is in tests/keyturn/runs/test_decisions.py."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(DigestMismatchError):
        await record_decision(runs, request_of(record, evidenceDigest=OTHER_DIGEST), webhook_id="m1", now=SOON)

    assert (await runs.read(record.run_id)).to_document() == record.to_document()


async def test_an_unknown_rotation_is_not_decided_on(runs: RotationStore) -> None:
    """A well-formed id without a record is unknown."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(UnknownRotationError):
        await record_decision(
            runs, request_of(record, rotationId=new_run_id(RunKind.ROTATION, "default", NOW)), webhook_id="m", now=NOW
        )


async def test_of_concurrent_decisions_one_counts(runs: RotationStore) -> None:
    """Eight people decide at once: the first counts, the others learn that it was decided."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    answers = await asyncio.gather(
        *(
            record_decision(
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
    decided = await record_decision(runs, approval, webhook_id="m1", now=SOON)

    again = await record_decision(runs, approval, webhook_id="m1", now=NOW + timedelta(days=8))
    await step_to(runs, decided, State.SWEEPING)
    voided = await record_decision(runs, approval, webhook_id="m1", now=SOON)

    assert decided.decision == again.decision
    assert (None, [decided.decision]) == (voided.decision, voided.decisions)


async def test_a_decision_on_voided_evidence_is_not_read(runs: RotationStore) -> None:
    """The workflow asks for its own digest; a decision on any other is none."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    decided = await record_decision(runs, request_of(record), webhook_id="m1", now=SOON)
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
    await record_decision(runs, request_of(record), webhook_id="m1", now=SOON)

    read = await read_decision(runs, DecisionInput(run=record.ref, evidence_digest=OTHER_DIGEST))

    assert (read.decision, read.decided_by) == ("none", None)


async def test_an_abort_goes_before_an_approval(runs: RotationStore) -> None:
    """An operator's abort ends the wait whatever was decided, and after it nothing more is decided."""
    decided = await bring_to(runs, State.AWAITING_APPROVAL)
    await record_decision(runs, request_of(decided), webhook_id="m1", now=SOON)
    undecided = await bring_to(runs, State.AWAITING_APPROVAL)
    for record in (decided, undecided):
        await record_command(runs, record.run_id, "abort", by="otto", now=SOON)

    with pytest.raises(WrongStateError, match="being aborted"):
        await record_decision(runs, request_of(undecided), webhook_id="m2", now=SOON)
    read = await read_decision(runs, DecisionInput(run=decided.ref, evidence_digest=decided.evidence_digest or ""))

    assert (read.decision, read.decided_by) == ("aborted", "otto")


async def test_another_runs_workflow_reads_no_decision(runs: RotationStore) -> None:
    """A workflow whose token is not the run's is fenced."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(FencedError):
        await read_decision(
            runs, DecisionInput(run=record.ref.model_copy(update={"fencing_token": 0}), evidence_digest=OTHER_DIGEST)
        )

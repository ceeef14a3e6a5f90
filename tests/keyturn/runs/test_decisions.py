"""Decisions on a run: which are taken, and every refusal, as a function of record, request and time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    CallerError,
    DigestMismatchError,
    EvidenceAlteredError,
    ForbiddenError,
    InvalidRequestError,
    WrongStateError,
)
from keyturn.http import parse
from keyturn.runs.commands import give_command
from keyturn.runs.decisions import DecisionRequest, decide
from keyturn.runs.evidence_summary import findings_of, to_look_at
from keyturn.runs.record import RunRecord, digest_of
from keyturn.runs.record_parts import Decision
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER
from tests.keyturn.runs.records import APPROVAL, DIGEST, EXPIRES, LATER, STATES, migration, rotation

OTHER_DIGEST = "0" * 64
REQUESTER_ID, APPROVER_ID = "5b5450db-eb26-4c1a-981c-ba1d25f0483d", "9c0b29f4-6f5c-4d6b-8f3a-2f6d1f3d7a10"
WAITING = rotation(State.AWAITING_APPROVAL)
SIGNED_IN = WAITING.changed(requested_by_id=REQUESTER_ID)
BY_ID = {"approverId": APPROVER_ID}
ABORTING = give_command(WAITING, "abort", by="otto", now=NOW)


def request_of(record: RunRecord, **fields: Any) -> DecisionRequest:
    """Return an approval of the evidence that records of these tests have."""
    body = {"rotationId": record.run_id, "decision": "approve", "evidenceDigest": DIGEST, "approver": APPROVER}
    return DecisionRequest.model_validate(body | fields)


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "approved"), ("reject", "rejected")])
@pytest.mark.parametrize("make", [rotation, migration])
def test_a_decision_is_written_down(make: Callable[..., RunRecord], decision: str, outcome: str) -> None:
    """The record says who decided what, on which evidence, when and why, and which message brought it."""
    record = make(State.AWAITING_APPROVAL, requested_by_id=REQUESTER_ID)
    request = request_of(record, decision=decision, comment="seen", approverId=APPROVER_ID.upper())

    decided = decide(record, request, webhook_id="m1", now=LATER)

    expected = Decision.model_validate(
        {
            "decision": outcome,
            "by": APPROVER,
            "by_id": APPROVER_ID,
            "digest": DIGEST,
            "at": LATER,
            "webhook_id": "m1",
            "comment": "seen",
        }
    )
    assert record.changed(decision=expected) == decided


WARNED: dict[str, Any] = {"staleWriters": {"count": 82, "lastSeen": None}, "waivedChecks": []}


def warned() -> tuple[RunRecord, list[str]]:
    """Return a run with warnings in its evidence, and their keys."""
    record = WAITING.changed(evidence=WARNED, evidence_digest=digest_of(WARNED))
    return record, [finding.key for finding in to_look_at(findings_of(WARNED))]


def test_every_warning_is_acknowledged_to_approve() -> None:
    """An approval that leaves one out is refused with its key; the one that is taken names all of them."""
    record, keys = warned()
    assert "stale_writers" in keys

    for left_out in keys:
        stated = [key for key in keys if key != left_out]
        request = request_of(record, evidenceDigest=record.evidence_digest, acknowledged=stated)
        with pytest.raises(InvalidRequestError) as raised:
            decide(record, request, webhook_id="m1", now=LATER)
        assert (raised.value.facts["field"], raised.value.facts["missing"]) == ("acknowledged", [left_out])
    request = request_of(record, evidenceDigest=record.evidence_digest, acknowledged=keys)
    decided = decide(record, request, webhook_id="m1", now=LATER).decision

    assert decided is not None
    assert decided.acknowledged == keys


@pytest.mark.parametrize("stated", [{"decision": "reject", "acknowledged": []}, {}], ids=["rejects", "shows its own"])
def test_what_needs_no_acknowledgement(stated: dict[str, Any]) -> None:
    """A rejection; and an approval by a system that shows the evidence in a way of its own, and states none."""
    record, _ = warned()

    request = request_of(record, evidenceDigest=record.evidence_digest, **stated)

    decided = decide(record, request, webhook_id="m1", now=LATER).decision
    assert decided is not None
    assert decided.acknowledged == []


@pytest.mark.parametrize(("make", "state"), STATES)
def test_a_decision_is_taken_only_while_it_is_waited_for(make: Callable[..., RunRecord], state: State) -> None:
    """Every other state refuses it; an expired run says that it is too late, not that it is in the wrong state."""
    record = make(state, decision=None)
    request = request_of(record)
    if state is State.AWAITING_APPROVAL:
        assert decide(record, request, webhook_id="m1", now=LATER).decision is not None
        return

    with pytest.raises(ApprovalExpiredError if state is State.EXPIRED else WrongStateError) as raised:
        decide(record, request, webhook_id="m1", now=LATER)

    wrong = {} if state is State.EXPIRED else {"state": state.value, "allowed": ["awaiting_approval"]}
    assert raised.value.facts == {"rotationId": record.run_id, **wrong}


class Refusal(NamedTuple):
    """A decision that is refused: of which record, with what in the body, by whom, when, and how."""

    record: RunRecord
    error: type[CallerError]
    facts: Mapping[str, Any]
    body: Mapping[str, Any] = {}
    now: datetime = LATER


DECIDED = {"decision": "approved"}
REFUSALS: Mapping[str, Refusal] = {
    "the requester may not approve": Refusal(WAITING, ForbiddenError, {}, {"approver": REQUESTER}),
    "the requester may not reject": Refusal(WAITING, ForbiddenError, {}, {"approver": REQUESTER, "decision": "reject"}),
    "another case does not make another person": Refusal(
        WAITING, ForbiddenError, {}, {"approver": " Ada@Example.COM "}
    ),
    "full-width letters do not make another person": Refusal(
        WAITING, ForbiddenError, {}, {"approver": "\uff41da@example.com"}
    ),
    "a mail address beside a UPN does not make another person": Refusal(
        SIGNED_IN, ForbiddenError, {}, {"approver": "a.l@example.org", "approverId": REQUESTER_ID.upper()}
    ),
    "letters that look alike do not make another person": Refusal(
        WAITING, ForbiddenError, {}, {"approver": "\u0430d\u0430@example.com"}
    ),
    "a name says nothing of an object id": Refusal(SIGNED_IN, ForbiddenError, {}, {"approverId": None}),
    "an object id says nothing of a name": Refusal(WAITING, ForbiddenError, {}, BY_ID),
    "the requester is told so even where the evidence was decided on": Refusal(
        WAITING.changed(decision=APPROVAL), ForbiddenError, {}, {"approver": REQUESTER}
    ),
    "evidence is decided on once": Refusal(WAITING.changed(decision=APPROVAL), AlreadyDecidedError, DECIDED),
    "what is retiring was decided on": Refusal(rotation(State.RETIRING), AlreadyDecidedError, DECIDED),
    "what is completed was decided on": Refusal(rotation(State.COMPLETED), AlreadyDecidedError, DECIDED),
    "at the expiry it is too late": Refusal(WAITING, ApprovalExpiredError, {}, now=EXPIRES),
    "an expired run is too late too": Refusal(rotation(State.EXPIRED), ApprovalExpiredError, {}),
    "a run that is told to end is not decided on": Refusal(
        ABORTING, WrongStateError, {"state": "being aborted", "allowed": ["awaiting_approval"]}
    ),
    "other evidence is not in force, and the error says which is": Refusal(
        WAITING, DigestMismatchError, {"evidenceDigest": DIGEST}, {"evidenceDigest": OTHER_DIGEST}
    ),
}


@pytest.mark.parametrize("record", [WAITING, migration(State.AWAITING_APPROVAL)], ids=lambda record: record.kind)
@pytest.mark.parametrize("evidence", [{}, {"quarantined": 0, "more": 1}, None])
def test_evidence_that_was_changed_is_not_decided_on(record: RunRecord, evidence: dict[str, Any] | None) -> None:
    """The digest is unchanged, and what it was made of is not: nobody knows what the approver has read."""
    altered = record.changed(evidence=evidence)

    with pytest.raises(EvidenceAlteredError) as raised:
        decide(altered, request_of(altered), webhook_id="m1", now=LATER)

    assert raised.value.facts == {
        "rotationId": record.run_id,
        "evidenceDigest": DIGEST,
        "found": None if evidence is None else digest_of(evidence),
    }


@pytest.mark.parametrize("sentence", REFUSALS)
def test_decisions_are_refused(sentence: str) -> None:
    """Each sentence of the table is a refusal with its own error and facts."""
    case = REFUSALS[sentence]

    with pytest.raises(case.error) as raised:
        decide(case.record, request_of(case.record, **case.body), webhook_id="m1", now=case.now)

    assert raised.value.facts == {"rotationId": case.record.run_id, **case.facts}


@pytest.mark.parametrize("body", [{}, BY_ID], ids=["by name", "by object id"])
def test_what_the_schedule_asked_for_any_approver_may_decide(body: Mapping[str, Any]) -> None:
    """The schedule is no person, however people are known."""
    scheduled = WAITING.changed(trigger="schedule", requested_by="schedule")

    assert decide(scheduled, request_of(scheduled, **body), webhook_id="m1", now=LATER).decision is not None


@pytest.mark.parametrize(
    "record",
    [
        WAITING.changed(decision=APPROVAL),
        rotation(State.SWEEPING, decisions=[APPROVAL]),
        rotation(State.COMPLETED),
    ],
    ids=["in force", "voided", "acted upon"],
)
def test_the_message_that_decided_is_taken_again_at_any_time(record: RunRecord) -> None:
    """A redelivery finds its own decision, and there is nothing to write."""
    request = request_of(record, approver=REQUESTER, evidenceDigest=OTHER_DIGEST)

    assert decide(record, request, webhook_id=APPROVAL.webhook_id or "", now=EXPIRES) is record


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

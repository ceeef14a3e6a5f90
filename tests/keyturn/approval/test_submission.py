"""Deciding by a link: once, by whom it was made for, on the evidence that it was made for."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.access.caller import Caller
from keyturn.access.identity import read_principal
from keyturn.approval.questions import outcome_of
from keyturn.approval.submission import LinkRequest, decide_by_link, open_link
from keyturn.contracts.base import StepInput
from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    CallerError,
    DigestMismatchError,
    EvidenceAlteredError,
    ForbiddenError,
    InvalidRequestError,
    TooManyAttemptsError,
    UnauthenticatedError,
    WrongStateError,
)
from keyturn.runs.evidence_summary import findings_of, to_look_at
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step
from tests.keyturn.access.principals import SOMEBODY, header_of
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET, SOON, link_token
from tests.keyturn.approval.test_webhook import Workflow, body_of, signed, submit
from tests.keyturn.runs.lifecycle import APPROVER, NOW, bring_to, freeze, new_keyring, step_to

KEYS = Caller(None)
OTHER, EVE = "9c0b29f4-6f5c-4d6b-8f3a-2f6d1f3d7a10", "0d3c1f2a-8b7e-4c55-9a41-6f1e2d3c4b5a"


async def asked_by(runs: RotationStore, object_id: str) -> RotationRecord:
    """Return a rotation that waits for a decision, asked for by a person who had signed in."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    return await runs.update(record.run_id, lambda run: run.changed(requested_by_id=object_id))


def signed_in(name: str, object_id: str = SOMEBODY) -> Caller:
    """Return an approver whom the platform vouches for."""
    return Caller(read_principal(header_of("Keyturn.Approver", name=name, object_id=object_id)))


def link_request(record: RotationRecord, token: str, caller: Caller = KEYS, sender: str | None = None) -> LinkRequest:
    """Come with a token."""
    return LinkRequest(record.run_id, token, caller, sender or new_keyring())


async def decide(
    runs: RotationStore,
    coming: LinkRequest,
    decision: str | None = "approve",
    workflow: Workflow | None = None,
    **more: Any,
) -> RotationRecord:
    """Decide by a link, with a comment and every warning acknowledged unless told otherwise."""
    wake = (workflow or Workflow()).wake
    comment = more.get("comment", "looked at")
    evidence = (await runs.read(coming.run_id)).evidence or {}
    acknowledged = more.get("acknowledged", [found.key for found in to_look_at(findings_of(evidence))])
    now = more.get("now", SOON)
    return await decide_by_link(runs, coming, decision, comment, acknowledged, secrets=[SECRET], wake=wake, now=now)


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "approved"), ("reject", "rejected")])
async def test_a_link_decides(runs: RotationStore, decision: str, outcome: str) -> None:
    """The record says whom the link was made for, and the workflow is woken."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow = Workflow()

    decided = await decide(runs, link_request(record, link_token(record)), decision, workflow, comment="seen")

    assert decided.decision is not None
    assert (
        decided.decision.decision,
        decided.decision.by,
        decided.decision.comment,
        decided.decision.by_id,
    ) == (outcome, APPROVER, "seen", None)
    assert [record.run_id] == workflow.woken


async def test_a_link_shows_no_evidence_that_was_changed(runs: RotationStore) -> None:
    """With a warning taken out under an unchanged digest there is nothing to look at and nothing to decide."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    silenced = {**(record.evidence or {}), "staleWriters": {"count": 0, "lastSeen": None}, "foreign": 1}
    await runs.update(record.run_id, lambda found: found.changed(evidence=silenced))
    coming = link_request(record, link_token(record))

    with pytest.raises(EvidenceAlteredError):
        await open_link(runs, coming, secrets=[SECRET], now=SOON)
    with pytest.raises(EvidenceAlteredError):
        await decide(runs, coming)

    assert (await runs.read(record.run_id)).decision is None


async def test_a_link_decides_once(runs: RotationStore) -> None:
    """Used is used, for the same decision and for another, also when the rotation has gone on."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming, workflow = link_request(record, link_token(record)), Workflow()
    decided = await decide(runs, coming, workflow=workflow)

    for _ in range(2):
        for decision in ("approve", "reject"):
            with pytest.raises(AlreadyDecidedError):
                await decide(runs, coming, decision, workflow)
        decided = await step_to(runs, decided, State.SWEEPING) if decided.decision else decided

    assert [record.run_id] == workflow.woken
    assert len((await runs.read(record.run_id)).decisions) == 1


async def test_another_approvers_link_comes_too_late(runs: RotationStore) -> None:
    """Evidence is decided on once, whoever has links."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    await decide(runs, link_request(record, link_token(record)))

    with pytest.raises(AlreadyDecidedError):
        await decide(runs, link_request(record, link_token(record, "otto@example.com")), "reject")


async def test_what_broke_half_way_is_finished_by_the_same_decision_only(runs: RotationStore) -> None:
    """The decision was written and the workflow not woken: pressing the button again wakes it; the other is refused."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming, workflow = link_request(record, link_token(record)), Workflow(failures=1)
    with pytest.raises(ConnectionResetError):
        await decide(runs, coming, workflow=workflow)

    again = await decide(runs, coming, workflow=workflow)

    assert again.decision is not None
    assert ("approved", [record.run_id]) == (again.decision.decision, workflow.woken)


async def test_looking_changes_nothing_and_may_be_repeated(runs: RotationStore) -> None:
    """Mail scanners open links: that decides nothing and uses nothing up."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record))

    for _ in range(3):
        link, found = await open_link(runs, coming, secrets=[SECRET], now=SOON)
        assert (link.approver, found) == (APPROVER, record)

    assert (await decide(runs, coming)).decision is not None


async def test_a_link_to_older_evidence_opens_nothing(runs: RotationStore) -> None:
    """A new soak is new evidence, with links of its own."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record))
    soaking = await step_to(runs, await step_to(runs, record, State.SWEEPING), State.SOAKING)

    with pytest.raises(DigestMismatchError):
        await open_link(runs, coming, secrets=[SECRET], now=SOON)
    with pytest.raises(WrongStateError):
        await decide(runs, coming)
    frozen = await freeze(runs, soaking, stale_writers=1)
    await step_to(runs, frozen, State.AWAITING_APPROVAL)
    with pytest.raises(DigestMismatchError):
        await decide(runs, coming)


async def test_where_people_sign_in_a_link_is_its_approvers_alone(runs: RotationStore) -> None:
    """Whoever finds the link must also be the person it was made for; then the object id is written down."""
    record = await asked_by(runs, OTHER)
    token = link_token(record, SOMEBODY.upper(), KEYTURN_ACCESS="entra")

    for who in (signed_in("eve@example.com", EVE), signed_in(SOMEBODY, EVE)):
        with pytest.raises(ForbiddenError):
            await open_link(runs, link_request(record, token, who), secrets=[SECRET], now=SOON)
        with pytest.raises(ForbiddenError):
            await decide(runs, link_request(record, token, who))
    decided = await decide(runs, link_request(record, token, signed_in(APPROVER)))

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, SOMEBODY)


async def test_a_link_that_was_made_for_a_name_opens_for_nobody_who_signs_in(runs: RotationStore) -> None:
    """A name is its holder's to change: whoever takes the approver's does not take the link with it."""
    record = await asked_by(runs, OTHER)

    with pytest.raises(ForbiddenError):
        await decide(runs, link_request(record, link_token(record, APPROVER), signed_in(APPROVER)))


async def test_a_requester_under_another_name_is_still_the_requester(runs: RotationStore) -> None:
    """Names change; the object id does not."""
    record = await asked_by(runs, OTHER)
    token = link_token(record, SOMEBODY, KEYTURN_ACCESS="entra")
    await runs.update(record.run_id, lambda run: run.changed(requested_by_id=SOMEBODY))

    with pytest.raises(ForbiddenError, match="its requester"):
        await decide(runs, link_request(record, token, signed_in(APPROVER)))


@pytest.mark.parametrize("decision", [None, "", "approved", "APPROVE"])
async def test_what_is_no_decision_is_refused(runs: RotationStore, decision: str | None) -> None:
    """The link stays good for a decision."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record))

    with pytest.raises(InvalidRequestError) as raised:
        await decide(runs, coming, decision)

    assert raised.value.facts["field"] == "decision"
    assert (await decide(runs, coming)).decision is not None


async def test_an_approval_needs_every_warning_acknowledged(runs: RotationStore) -> None:
    """The browser asks for it, and so does the server; the link stays good, and the audit says what was ticked."""
    frozen = await freeze(runs, await bring_to(runs, State.SOAKING), stale_writers=82)
    step = StepInput(run=frozen.ref, step=frozen.step + 1, target=State.AWAITING_APPROVAL)
    record = await record_step(runs, step, NOW)
    coming = link_request(record, link_token(record))

    for stated in ([], ["provenance", "made up"]):
        with pytest.raises(InvalidRequestError, match="stale_writers") as raised:
            await decide(runs, coming, acknowledged=stated)
        assert "tick the box" in raised.value.hint
    decided = await decide(runs, coming)

    assert decided.decision is not None
    assert "stale_writers" in decided.decision.acknowledged
    told = [event["data"] for event in await runs.audit.read_chain(record.run_id)]
    assert decided.decision.acknowledged in [data["acknowledged"] for data in told if "acknowledged" in data]


@pytest.mark.parametrize("comment", ["", "  \n "])
async def test_a_rejection_needs_a_comment(runs: RotationStore, comment: str) -> None:
    """Whoever asked for the run is to know why; the link stays good."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record))

    with pytest.raises(InvalidRequestError) as raised:
        await decide(runs, coming, "reject", comment=comment)

    assert (raised.value.facts["field"], (await runs.read(record.run_id)).decision) == ("comment", None)
    assert (await decide(runs, coming, comment=comment)).decision is not None


async def test_a_link_whose_time_is_over_decides_nothing(runs: RotationStore) -> None:
    """It opens nothing either, as long as there is something to decide, and says how to get another."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming, late = link_request(record, link_token(record)), NOW + timedelta(hours=25)

    with pytest.raises(ApprovalExpiredError, match="the link"):
        await open_link(runs, coming, secrets=[SECRET], now=late)
    with pytest.raises(ApprovalExpiredError, match="the link") as raised:
        await decide(runs, coming, now=late)

    assert f"keyturn open {record.run_id}" in raised.value.hint
    assert (await runs.read(record.run_id)).decision is None


async def test_a_link_opens_for_ever_on_what_came_of_it(runs: RotationStore) -> None:
    """The one that was used, another approver's, and either long after its time."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    used, other = link_token(record), link_token(record, "otto@example.com")
    await decide(runs, link_request(record, used))

    for token in (used, other):
        link, found = await open_link(
            runs, link_request(record, token), secrets=[SECRET], now=NOW + timedelta(days=400)
        )
        told = outcome_of(found, link.evidence_digest, link.message_id)
        assert told is not None
        assert told.happened.startswith(f"{APPROVER} approved it on 1 March 2026")


async def test_the_requesters_own_link_shows_no_question(runs: RotationStore) -> None:
    """None is made for a requester; one made before the names were known to look alike is refused when it is opened."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    token = link_token(record)
    await runs.update(record.run_id, lambda run: run.changed(requested_by="gr\u0430ce@example.com"))

    with pytest.raises(ForbiddenError, match="its requester") as raised:
        await open_link(runs, link_request(record, token), secrets=[SECRET], now=SOON)

    assert "another approver" in raised.value.hint


async def test_forged_links_are_counted_and_lock_nobody_else_out(runs: RotationStore) -> None:
    """After twenty forged links the forger waits, and the approver's own link still decides."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    forged, refusals = link_token(record, secrets=NEXT_SECRET), []
    for _ in range(22):
        with pytest.raises(CallerError) as raised:
            await decide(runs, link_request(record, forged, sender="forger"))
        refusals.append(type(raised.value))

    assert [UnauthenticatedError] * 20 + [TooManyAttemptsError] * 2 == refusals
    assert (await decide(runs, link_request(record, link_token(record)))).decision is not None


@pytest.mark.parametrize("door", ["link", "webhook"])
async def test_a_voided_link_locks_nobody_out(runs: RotationStore, door: str) -> None:
    """Posted 25 times from one address, round after round, it waits itself; the right decision is taken each time."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    for number in range(1, 4):
        voided = link_token(record, "otto@example.com")
        soaking = await step_to(runs, await step_to(runs, record, State.SWEEPING), State.SOAKING)
        frozen = await freeze(runs, soaking, stale_writers=number)
        record = await step_to(runs, frozen, State.AWAITING_APPROVAL)
        refusals = []
        for _ in range(25):
            with pytest.raises(CallerError) as raised:
                await decide(runs, link_request(record, voided, sender="one proxy"))
            refusals.append(type(raised.value))

        if door == "link":
            decided = await decide(runs, link_request(record, link_token(record), sender="one proxy"), "reject")
        else:
            body = body_of(record, decision="reject")
            decided = await submit(runs, signed(body, SECRET), body, Workflow(), sender="one proxy")

        assert refusals == [DigestMismatchError] * 20 + [TooManyAttemptsError] * 5
        assert decided.decision is not None
        record = decided


@pytest.mark.parametrize("senders", [1, 25], ids=["one address", "many addresses"])
async def test_forgers_about_one_run_keep_no_authentic_link_out(runs: RotationStore, senders: int) -> None:
    """However many forged links come, from wherever: they are refused, and the approver's own decides, from there."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    forged = link_token(record, secrets=NEXT_SECRET)
    for number in range(25):
        with pytest.raises(CallerError):
            await decide(runs, link_request(record, forged, sender=f"{record.run_id} {number % senders}"))

    coming = link_request(record, link_token(record), sender=f"{record.run_id} 0")
    assert (await decide(runs, coming)).decision is not None


async def test_refused_attempts_are_in_the_audit(runs: RotationStore) -> None:
    """Who tried to open somebody else's link is written down."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record), signed_in("eve@example.com"))

    with pytest.raises(ForbiddenError):
        await open_link(runs, coming, secrets=[SECRET], now=NOW + timedelta(minutes=2))

    told = [event["data"] for event in await runs.audit.read_chain(record.run_id)]
    assert ("decide", "eve@example.com", "ForbiddenError") in [
        (data["attempt"], data["by"], data["error"]) for data in told if "attempt" in data
    ]

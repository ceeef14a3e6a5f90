"""Deciding by a link: once, by whom it was made for, on the evidence that it was made for."""

from datetime import timedelta

import pytest

from keyturn.approval.questions import outcome_of
from keyturn.approval.submission import open_link
from keyturn.contracts.base import StepInput
from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    DigestMismatchError,
    EvidenceAlteredError,
    ForbiddenError,
    InvalidRequestError,
    WrongStateError,
)
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step
from tests.keyturn.approval.approvers import SECRET, SOON, link_token
from tests.keyturn.approval.doors import (
    Workflow,
    decide,
    link_request,
)
from tests.keyturn.runs.lifecycle import APPROVER, NOW, bring_to, freeze, step_to


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
    """Evidence is decided on once, however many approvers have links."""
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
    events = [event["data"] for event in await runs.audit.read_chain(record.run_id)]
    assert decided.decision.acknowledged in [data["acknowledged"] for data in events if "acknowledged" in data]


@pytest.mark.parametrize("comment", ["", "  \n "])
async def test_a_rejection_needs_a_comment(runs: RotationStore, comment: str) -> None:
    """The requester is to know why; the link stays good."""
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
        outcome = outcome_of(found, link.evidence_digest, link.message_id)
        assert outcome is not None
        assert outcome.happened.startswith(f"{APPROVER} approved it on 1 March 2026")


async def test_the_requesters_own_link_shows_no_question(runs: RotationStore) -> None:
    """None is made for a requester; one made before the names were known to look alike is refused when it is opened."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    token = link_token(record)
    await runs.update(record.run_id, lambda run: run.changed(requested_by="gr\u0430ce@example.com"))

    with pytest.raises(ForbiddenError, match="its requester") as raised:
        await open_link(runs, link_request(record, token), secrets=[SECRET], now=SOON)

    assert "another approver" in raised.value.hint

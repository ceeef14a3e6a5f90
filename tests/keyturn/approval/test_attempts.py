"""Refused attempts to decide: the sender waits, they are in the audit, and no approver is kept out."""

from datetime import timedelta

import pytest

from keyturn.approval.submission import open_link
from keyturn.contracts.states import State
from keyturn.errors import (
    CallerError,
    DigestMismatchError,
    ForbiddenError,
    TooManyAttemptsError,
    UnauthenticatedError,
)
from keyturn.runs.store import RotationStore
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET, link_token
from tests.keyturn.approval.doors import (
    STRANGER,
    Workflow,
    body_of,
    decide,
    link_request,
    signed,
    signed_in,
    submit,
)
from tests.keyturn.runs.lifecycle import NOW, bring_to, freeze, step_to


async def test_a_forger_waits_and_locks_no_approver_out(runs: RotationStore) -> None:
    """After twenty refusals of one sender, 429; what is authentic still decides, from that very address."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body, refusals = Workflow(), body_of(record), []
    forger = f"forger of {record.run_id}"
    for _ in range(22):
        with pytest.raises(CallerError) as raised:
            await submit(runs, signed(body, STRANGER), body, workflow, sender=forger)
        refusals.append(type(raised.value))

    decided = await submit(runs, signed(body, SECRET), body, workflow, sender=forger)

    assert refusals == [UnauthenticatedError] * 20 + [TooManyAttemptsError] * 2
    assert decided.decision is not None


async def test_a_message_that_is_refused_again_and_again_is_bounded(runs: RotationStore) -> None:
    """An authentic message that keeps coming waits after twenty refusals; others about the same run are taken."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    wrong, right = body_of(record, evidenceDigest="0" * 64), body_of(record)
    headers = signed(wrong, SECRET)
    for _ in range(20):
        with pytest.raises(DigestMismatchError):
            await submit(runs, headers, wrong, Workflow())

    with pytest.raises(TooManyAttemptsError) as raised:
        await submit(runs, headers, wrong, Workflow())
    decided = await submit(runs, signed(right, SECRET), right, Workflow())

    assert 0 < raised.value.facts["retryAfterSeconds"] <= 600
    assert decided.decision is not None
    events = [event["data"].get("error") for event in await runs.audit.read_chain(record.run_id)]
    assert {"DigestMismatchError", "TooManyAttemptsError"} <= set(events)


async def test_no_number_of_refused_messages_keeps_the_right_one_out(runs: RotationStore) -> None:
    """An approval system that was wrong twenty-five times, from one address, is believed when it is right."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    wrong, right = body_of(record, evidenceDigest="0" * 64), body_of(record)
    for _ in range(25):
        with pytest.raises(DigestMismatchError):
            await submit(runs, signed(wrong, SECRET), wrong, Workflow(), sender=record.run_id)

    assert (await submit(runs, signed(right, SECRET), right, Workflow(), sender=record.run_id)).decision is not None


async def test_forged_links_are_counted_and_lock_no_approver_out(runs: RotationStore) -> None:
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
async def test_a_voided_link_locks_no_approver_out(runs: RotationStore, door: str) -> None:
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
    """A person who tried to open another's link is named."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    coming = link_request(record, link_token(record), signed_in("eve@example.com"))

    with pytest.raises(ForbiddenError):
        await open_link(runs, coming, secrets=[SECRET], now=NOW + timedelta(minutes=2))

    events = [event["data"] for event in await runs.audit.read_chain(record.run_id)]
    assert ("decide", "eve@example.com", "ForbiddenError") in [
        (data["attempt"], data["by"], data["error"]) for data in events if "attempt" in data
    ]

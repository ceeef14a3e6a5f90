"""The approval webhook: authentic messages count once, and one that broke half-way can be delivered again."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from keyturn.approval.webhook import submit_decision, verify_signature
from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    CallerError,
    DigestMismatchError,
    ForbiddenError,
    InvalidRequestError,
    TooManyAttemptsError,
    UnauthenticatedError,
)
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER, bring_to, new_keyring, step_to

SECRET = "whsec_" + base64.b64encode(b"first secret of the tests").decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"next secret of the tests").decode()
STRANGER = "whsec_" + base64.b64encode(b"somebody else's secret").decode()


def body_of(record: RotationRecord, **fields: Any) -> bytes:
    """Return the body of an approval of the evidence in force."""
    approval = {
        "rotationId": record.run_id,
        "decision": "approve",
        "evidenceDigest": record.evidence_digest,
        "approver": APPROVER,
    }
    return json.dumps(approval | fields).encode()


def signed(body: bytes, *secrets: str, message: str | None = None, age: timedelta = timedelta(0)) -> dict[str, str]:
    """Return the headers of a message signed by each of the secrets."""
    message, at = message or f"msg_{new_keyring()}", datetime.now(UTC) - age
    return {
        "Webhook-Id": message,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(Webhook(secret).sign(message, at, body.decode()) for secret in secrets),
    }


class Workflow:
    """What stands where the workflow is woken; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.woken: list[str] = []

    async def wake(self, record: RotationRecord) -> None:
        """Note the call."""
        if self.failures:
            self.failures -= 1
            raise ConnectionResetError
        self.woken.append(record.run_id)


async def submit(
    runs: RotationStore,
    headers: Mapping[str, str],
    body: bytes,
    workflow: Workflow,
    sender: str = "",
    *,
    sign_in: bool = False,
) -> RotationRecord:
    """Deliver a message."""
    return await submit_decision(
        runs,
        headers,
        body,
        secrets=[SECRET, NEXT_SECRET],
        sign_in=sign_in,
        sender=sender or new_keyring(),
        wake=workflow.wake,
        now=NOW + timedelta(minutes=1),
    )


@pytest.mark.parametrize("secrets", [(SECRET,), (NEXT_SECRET,), (STRANGER, NEXT_SECRET)], ids=["old", "new", "both"])
async def test_a_message_signed_by_any_active_secret_decides(runs: RotationStore, secrets: tuple[str, ...]) -> None:
    """While one secret replaces another, both sign; the decision is recorded and the workflow woken."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(), body_of(record)

    decided = await submit(runs, signed(body, *secrets), body, workflow)

    assert decided.decision is not None
    assert decided.decision.by == APPROVER
    assert [record.run_id] == workflow.woken


REQUESTER_ID, APPROVER_ID = str(uuid.uuid4()), str(uuid.uuid4())


async def of_somebody(runs: RotationStore) -> RotationRecord:
    """Return a rotation that waits for a decision, asked for by a person who had signed in."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    return await runs.update(record.run_id, lambda run: run.changed(requested_by_id=REQUESTER_ID))


async def test_where_people_sign_in_a_decision_is_by_object_id(runs: RotationStore) -> None:
    """The record has the id that was signed."""
    record = await of_somebody(runs)
    body = body_of(record, approverId=APPROVER_ID.upper())

    decided = await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, APPROVER_ID)


@pytest.mark.parametrize("stated", [None, "", APPROVER, "5b5450db"], ids=["none", "empty", "a name", "half of one"])
async def test_where_people_sign_in_a_decision_without_an_object_id_is_refused(
    runs: RotationStore, stated: str | None
) -> None:
    """A mail address says nothing of a UPN: the answer names the field, and nothing is decided."""
    record = await of_somebody(runs)
    body = body_of(record, approverId=stated)

    with pytest.raises(InvalidRequestError) as refused:
        await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert refused.value.facts["field"] == "approverId"
    assert (await runs.read(record.run_id)).decision is None


async def test_the_requesters_mail_address_is_not_a_second_person(runs: RotationStore) -> None:
    """Asked for under the UPN, signed under the mail address, with the same object id: one person."""
    record = await of_somebody(runs)
    body = body_of(record, approver="a.lovelace@example.org", approverId=REQUESTER_ID)

    with pytest.raises(ForbiddenError):
        await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert (await runs.read(record.run_id)).decision is None


async def test_with_keys_an_object_id_counts_for_nothing(runs: RotationStore) -> None:
    """Nobody vouches for the requester's: names are compared, whatever the message says beside."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    other, own = (body_of(record, approver=name, approverId=APPROVER_ID) for name in (APPROVER, REQUESTER))

    with pytest.raises(ForbiddenError):
        await submit(runs, signed(own, SECRET), own, Workflow())
    decided = await submit(runs, signed(other, SECRET), other, Workflow())

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, None)


FORGERIES: Mapping[str, Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]] = {
    "another body": lambda headers, body: (headers, body.replace(b"approve", b"reject")),
    "another message id": lambda headers, body: (headers | {"Webhook-Id": "msg_other"}, body),
    "a later timestamp": lambda headers, body: (
        headers | {"Webhook-Timestamp": str(int(headers["Webhook-Timestamp"]) + 1)},
        body,
    ),
    "no signature": lambda headers, body: (headers | {"Webhook-Signature": ""}, body),
    "no message id": lambda headers, body: ({k: v for k, v in headers.items() if k != "Webhook-Id"}, body),
    "a signature without a version": lambda headers, body: (headers | {"Webhook-Signature": "abc"}, body),
    "a signature that is not base64": lambda headers, body: (headers | {"Webhook-Signature": "v1,ä"}, body),
    "a signature of another scheme": lambda headers, body: (
        headers | {"Webhook-Signature": headers["Webhook-Signature"].replace("v1,", "v1a,")},
        body,
    ),
    "a timestamp that is none": lambda headers, body: (headers | {"Webhook-Timestamp": "now"}, body),
    "a body that is no text": lambda headers, _body: (headers, b"\xff\xfe"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forgeries_are_refused_with_nothing_raised(runs: RotationStore, forgery: str) -> None:
    """Whatever differs from what was signed is refused; nothing is recorded and nobody woken."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(), body_of(record)
    headers, forged = FORGERIES[forgery](signed(body, SECRET), body)

    with pytest.raises(UnauthenticatedError):
        await submit(runs, headers, forged, workflow)

    assert await runs.read(record.run_id) == record
    assert workflow.woken == []


@pytest.mark.parametrize("minutes", [-6, 6], ids=["from the future", "too old"])
def test_a_message_out_of_its_time_is_refused(minutes: int) -> None:
    """More than five minutes off is out of time, in either direction."""
    headers = signed(b"{}", SECRET, age=timedelta(minutes=minutes))

    with pytest.raises(UnauthenticatedError):
        verify_signature(headers, b"{}", [SECRET])


def test_a_strangers_secret_and_no_secret_at_all_authenticate_nothing() -> None:
    """Only active secrets count; without any, no message is authentic."""
    headers = signed(b"{}", STRANGER)

    with pytest.raises(UnauthenticatedError):
        verify_signature(headers, b"{}", [SECRET, NEXT_SECRET])
    with pytest.raises(UnauthenticatedError):
        verify_signature(headers, b"{}", [])


async def test_a_replayed_message_is_refused_with_nothing_raised(runs: RotationStore) -> None:
    """A message that was handled to its end does not count again, whatever the rotation does meanwhile."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(), body_of(record)
    headers = signed(body, SECRET)
    decided = await submit(runs, headers, body, workflow)

    with pytest.raises(UnauthenticatedError):
        await submit(runs, headers, body, workflow)
    await step_to(runs, decided, State.SWEEPING)
    with pytest.raises(UnauthenticatedError):
        await submit(runs, headers, body, workflow)

    assert [record.run_id] == workflow.woken


async def test_a_used_message_id_does_not_count_for_another_rotation(runs: RotationStore) -> None:
    """An id is used once, whatever the message that carries it says."""
    first, second = [await bring_to(runs, State.AWAITING_APPROVAL) for _ in range(2)]
    workflow = Workflow()
    await submit(runs, signed(body_of(first), SECRET, message="msg_once"), body_of(first), workflow)

    with pytest.raises(UnauthenticatedError):
        await submit(runs, signed(body_of(second), SECRET, message="msg_once"), body_of(second), workflow)

    assert [first.run_id] == workflow.woken


async def test_a_redelivery_after_our_failure_finishes_the_work(runs: RotationStore) -> None:
    """The decision was recorded but the workflow not woken: the same message, delivered again, wakes it."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(failures=1), body_of(record)
    headers = signed(body, SECRET)

    with pytest.raises(ConnectionResetError):
        await submit(runs, headers, body, workflow)
    recorded = await runs.read(record.run_id)
    again = await submit(runs, headers, body, workflow)

    assert recorded.decision == again.decision
    assert [record.run_id] == workflow.woken


async def test_a_refused_decision_does_not_use_its_message_up(runs: RotationStore) -> None:
    """A message that was refused for what it says is refused for the same reason when it is delivered again."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(), body_of(record, evidenceDigest="0" * 64)
    headers = signed(body, SECRET)

    for _ in range(2):
        with pytest.raises(DigestMismatchError):
            await submit(runs, headers, body, workflow)

    assert workflow.woken == []


async def test_a_second_decision_is_refused(runs: RotationStore) -> None:
    """Another authentic message after the first is told that the evidence was decided on."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, approval, rejection = Workflow(), body_of(record), body_of(record, decision="reject")
    await submit(runs, signed(approval, SECRET), approval, workflow)

    with pytest.raises(AlreadyDecidedError):
        await submit(runs, signed(rejection, SECRET), rejection, workflow)

    assert [record.run_id] == workflow.woken


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"rotationId": 1}'])
async def test_an_authentic_message_that_is_no_decision_is_refused_by_field(runs: RotationStore, body: bytes) -> None:
    """The signature is right and the body is not: the sender learns what is off."""
    with pytest.raises(InvalidRequestError) as raised:
        await submit(runs, signed(body, SECRET), body, Workflow())

    assert raised.value.facts["field"]


async def test_a_forger_is_told_to_wait_and_locks_nobody_out(runs: RotationStore) -> None:
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
    """An authentic message that keeps coming waits after twenty refusals; others about the same run are heard."""
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
    told = [event["data"].get("error") for event in await runs.audit.read_chain(record.run_id)]
    assert {"DigestMismatchError", "TooManyAttemptsError"} <= set(told)


async def test_no_number_of_refused_messages_keeps_the_right_one_out(runs: RotationStore) -> None:
    """An approval system that was wrong twenty-five times, from one address, is heard when it is right."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    wrong, right = body_of(record, evidenceDigest="0" * 64), body_of(record)
    for _ in range(25):
        with pytest.raises(DigestMismatchError):
            await submit(runs, signed(wrong, SECRET), wrong, Workflow(), sender=record.run_id)

    assert (await submit(runs, signed(right, SECRET), right, Workflow(), sender=record.run_id)).decision is not None

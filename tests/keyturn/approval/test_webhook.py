"""The approval webhook: authentic messages count once, and one that broke half-way can be delivered again."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from keyturn.approval.webhook import verify_signature
from keyturn.contracts.states import State
from keyturn.errors import (
    AlreadyDecidedError,
    DigestMismatchError,
    InvalidRequestError,
    UnauthenticatedError,
)
from keyturn.runs.store import RotationStore
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET
from tests.keyturn.approval.doors import (
    STRANGER,
    Workflow,
    body_of,
    signed,
    submit,
)
from tests.keyturn.runs.lifecycle import APPROVER, bring_to, step_to


@pytest.mark.parametrize("secrets", [(SECRET,), (NEXT_SECRET,), (STRANGER, NEXT_SECRET)], ids=["old", "new", "both"])
async def test_a_message_signed_by_any_active_secret_decides(runs: RotationStore, secrets: tuple[str, ...]) -> None:
    """While one secret replaces another, both sign; the decision is recorded and the workflow woken."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    workflow, body = Workflow(), body_of(record)

    decided = await submit(runs, signed(body, *secrets), body, workflow)

    assert decided.decision is not None
    assert decided.decision.by == APPROVER
    assert [record.run_id] == workflow.woken


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
    """Whatever differs from what was signed is refused; nothing is recorded and no workflow woken."""
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
    """Another authentic message after the first is refused: the evidence was decided on."""
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

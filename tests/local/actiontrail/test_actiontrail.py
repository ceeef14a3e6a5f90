"""The local actiontrail takes signed CloudEvents only, each once, and keeps them in their order across a kill."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from tests.field_encrypt.local_vault import SECONDS
from tests.local.actiontrail.receiver import Receiver, new_secret


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """The receiver of these tests."""
    running = Receiver(tmp_path_factory.mktemp("actiontrail"))
    yield running
    running.service.stop()


def event_of(subject: str, **more: Any) -> dict[str, Any]:
    """Return an event."""
    values = {"id": uuid.uuid4().hex, "source": "/tests", "type": "dev.keyturn.test", "subject": subject}
    return {"specversion": "1.0", "data": {"text": "größer \u2028 €"}, **values, **more}


def send(
    receiver: Receiver,
    event: dict[str, Any],
    *,
    secret: str | None = None,
    sent_at: datetime | None = None,
    body: bytes | None = None,
    **headers: str,
) -> int:
    """Send an event as the product does, but for what is given, and return the status of the answer."""
    text, at = json.dumps(event), sent_at or datetime.now(UTC)
    sent = {
        "content-type": "application/cloudevents+json",
        "webhook-id": event["id"],
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret or receiver.secrets[0]).sign(event["id"], at, text),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return requests.post(receiver.url, data=body or text.encode(), headers=sent, timeout=SECONDS).status_code


def test_events_are_kept_in_their_order_across_a_kill(receiver: Receiver) -> None:
    """What was acknowledged is there after a kill, in the order in which it came; either secret will do."""
    events = [event_of("kill") for _ in range(3)]

    statuses = [send(receiver, event, secret=receiver.secrets[n % 2]) for n, event in enumerate(events)]
    receiver.service.kill()
    receiver.service.start()

    assert statuses == [204] * 3
    assert receiver.events("kill") == events


def test_a_line_that_was_cut_off_is_taken_again(receiver: Receiver) -> None:
    """Half a line at the end of the file is no event, and does not spoil the one that follows."""
    first, second = event_of("cut"), event_of("cut")
    send(receiver, first)

    receiver.service.kill()
    with (receiver.state / "events.jsonl").open("a") as file:
        file.write(json.dumps(second)[:40])
    receiver.service.start()
    send(receiver, second)
    receiver.service.kill()
    receiver.service.start()

    assert receiver.events("cut") == [first, second]


def test_an_event_that_comes_again_is_kept_once(receiver: Receiver) -> None:
    """A repeated message is acknowledged like the first, and counted."""
    event, repeated = event_of("again"), receiver.repeated

    assert [send(receiver, event), send(receiver, event)] == [204, 204]
    assert receiver.events("again") == [event]
    assert receiver.repeated == repeated + 1


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": new_secret()},
        {"body": b"{}"},
        {"body": b"\xff"},
        {"sent_at": datetime.now(UTC) - timedelta(minutes=6)},
        {"webhook_id": "another"},
        {"webhook_signature": "nonsense"},
    ],
    ids=["other secret", "other body", "no text", "too old", "other id", "malformed"],
)
def test_what_is_not_signed_is_refused(receiver: Receiver, forged: dict[str, Any]) -> None:
    """A wrong secret, another body or id, an old message and a malformed signature are all 401."""
    assert send(receiver, event_of("forged"), **forged) == 401
    assert receiver.events("forged") == []


def test_what_is_no_event_is_refused(receiver: Receiver) -> None:
    """A signed message must still be a structured CloudEvent, under its own id."""
    assert send(receiver, event_of("off"), content_type="application/json") == 415
    assert send(receiver, event_of("off", type="")) == 400
    assert receiver.events("off") == []


def test_the_receiver_can_be_down(receiver: Receiver) -> None:
    """An armed fault refuses every event until it is cleared."""
    receiver.fault(kind="status", status=503, count=None)
    refused = send(receiver, event_of("down"))
    receiver.clear_faults()

    assert (refused, send(receiver, event_of("up"))) == (503, 204)
    assert receiver.events("down") == []

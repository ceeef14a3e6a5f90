"""The inbox keeps what it is sent, as the production client sends it."""

from collections.abc import Iterator
from typing import Any

import apprise
import pytest
import requests

from tests.local.services import ServiceProcess, start_service

SECONDS = 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A running inbox."""
    running = start_service("local.inbox", "--state", tmp_path_factory.mktemp("inbox") / "inbox")
    yield running
    running.stop()


def send(service: ServiceProcess, channel: str) -> bool:
    """Send a message by apprise; returns whether it was taken."""
    sender = apprise.Apprise.instantiate(f"json://localhost:{service.port}/channels/{channel}")
    return bool(sender and sender.notify(body="it is done", title="Keyturn", notify_type=apprise.NotifyType.SUCCESS))


def kept(service: ServiceProcess) -> list[dict[str, str]]:
    """Return the messages."""
    messages: list[dict[str, str]] = requests.get(f"{service.url}/_control/messages", timeout=SECONDS).json()[
        "messages"
    ]
    return messages


def test_messages_are_kept_by_channel_across_a_kill(service: ServiceProcess) -> None:
    """What was taken is there after a crash."""
    assert send(service, "people")

    service.kill()
    service.start()

    assert kept(service)[-1] == {
        "channel": "people",
        "title": "Keyturn",
        "message": "it is done",
        "type": "success",
    }


def test_a_channel_fails_alone(service: ServiceProcess) -> None:
    """A fault on one channel leaves the others alone."""
    rule: dict[str, Any] = {"operation": "pager", "kind": "status", "status": 503}
    requests.post(f"{service.url}/_control/faults", json=rule, timeout=SECONDS).raise_for_status()

    assert [send(service, "people"), send(service, "pager"), send(service, "pager")] == [True, False, True]


def test_what_is_no_message_is_refused(service: ServiceProcess) -> None:
    """A body without a title is answered 400."""
    answer = requests.post(f"{service.url}/channels/people", json={"message": "hm"}, timeout=SECONDS)

    assert answer.status_code == 400

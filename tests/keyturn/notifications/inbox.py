"""A desk on the local Cosmos DB, and the local inbox as the place where people read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.notifications.notifier import Channels, Notifier
from keyturn.runs.record import RunRecord
from keyturn.runs.store import Runs
from keyturn.settings.channels import approvers_channels, channels_of
from tests.local.services import ServiceProcess, start_service

TIMEOUT = 10


class Inbox:
    """The running inbox."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service

    def channel(self, name: str) -> str:
        """Return the apprise URL of a channel."""
        return f"json://someone:secret-of-{name}@localhost:{self.service.port}/channels/{name}"

    def read(self, channel: str, run_id: str) -> list[dict[str, str]]:
        """Return the messages about a rotation on a channel."""
        messages = requests.get(f"{self.service.url}/_control/messages", timeout=TIMEOUT).json()["messages"]
        return [item for item in messages if item["channel"] == channel and run_id in item["message"]]

    def fail(self, channel: str, **rule: Any) -> None:
        """Arm a fault of a channel."""
        armed: dict[str, Any] = {"operation": channel, "kind": "status", "count": None, **rule}
        requests.post(f"{self.service.url}/_control/faults", json=armed, timeout=TIMEOUT).raise_for_status()

    def heal(self) -> None:
        """Disarm every fault."""
        requests.delete(f"{self.service.url}/_control/faults", timeout=TIMEOUT).raise_for_status()


@pytest.fixture(scope="session")
def running_inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    """An inbox for all tests."""
    service = start_service("local.inbox", "--state", tmp_path_factory.mktemp("inbox") / "inbox")
    yield Inbox(service)
    service.stop()


@pytest.fixture
def inbox(running_inbox: Inbox) -> Iterator[Inbox]:
    """The inbox, without faults afterwards."""
    yield running_inbox
    running_inbox.heal()


def links(record: RunRecord, _now: datetime) -> dict[str, str]:
    """Return the approvers' links."""
    return {"grace@example.com": f"https://keyturn.example/{record.run_id}?token=of-grace"}


def notifier_of(runs: Runs[Any], inbox: Inbox, *, everything: str = "all", on_call: str = "") -> Notifier:
    """Return a desk that tells the inbox; a channel is a name, several are separated by spaces."""

    def urls(names: str) -> SecretStr | None:
        return SecretStr(" ".join(inbox.channel(name) for name in names.split())) if names else None

    approvers = {f"{name}@example.com": SecretStr(inbox.channel(name)) for name in ("ada", "grace")}
    channels = Channels(
        everything=channels_of("NOTIFICATION_URLS", urls(everything)),
        on_call=channels_of("ON_CALL_URLS", urls(on_call)),
        approvers=approvers_channels(approvers),
    )
    return Notifier(runs, channels, public_url="https://keyturn.example", links=links)


async def no_versions() -> dict[str, MekVersionProperties]:
    """Return no version of a MEK: records tell enough."""
    return {}

"""The local actiontrail as the tests use it."""

import base64
import os
from pathlib import Path
from typing import Any

import requests

from tests.field_encrypt.local_vault import SECONDS
from tests.local.services import start_service


def new_secret() -> str:
    """Return a fresh secret."""
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


class Receiver:
    """A running receiver that knows two secrets."""

    def __init__(self, folder: Path) -> None:
        self.secrets = [new_secret(), new_secret()]
        (folder / "secrets").write_text(" ".join(self.secrets))
        self.state = folder / "actiontrail"
        self.service = start_service("local.actiontrail", "--state", self.state, "--secrets", folder / "secrets")
        self.url = f"{self.service.url}/events"

    def control(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call a control endpoint."""
        answer = requests.request(method, f"{self.service.url}/_control/{path}", timeout=SECONDS, **options)
        answer.raise_for_status()
        return answer

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return the events of a rotation in the order in which they came."""
        shown: dict[str, list[dict[str, Any]]] = self.control("GET", "events", params={"subject": run_id}).json()
        return shown["events"]

    @property
    def repeated(self) -> int:
        """How many messages came again since the service started."""
        return int(self.control("GET", "events").json()["repeated"])

    def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        self.control("POST", "faults", json={"operation": "receive", **rule})

    def clear_faults(self) -> None:
        """Disarm every fault."""
        self.control("DELETE", "faults")

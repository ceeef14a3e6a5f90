"""The sample app on a local Functions host and task hub, each in a process of its own."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.local.services import ServiceProcess, start_service
from tests.local.task_hub.hub_process import HubProcess

SAMPLE_APP = Path(__file__).parent / "sample_app"
KEYS = {"function": "a-function-key", "host": "a-host-key", "system": "a-system-key", "master": "a-master-key"}
NEVER = "0 0 0 29 2 *"
WAIT_SECONDS = 60


def wait_until[T](found: Callable[[], T | Literal[False]], what: str) -> T:
    """Wait until the function returns something true, and return that."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.03)
    return value


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self.body)


class SampleHost:
    """A host that runs the sample app; effects of its functions are lines of files in ``effects``."""

    def __init__(
        self,
        folder: Path,
        hub: HubProcess,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.effects = folder / "effects"
        self.effects.mkdir(parents=True)
        self.state = folder / "host"
        keys = [argument for kind, key in KEYS.items() for argument in (f"--{kind}-key", key)]
        self.process: ServiceProcess = start_service(
            "local.functions_host",
            *("--state", self.state, "--app", SAMPLE_APP, "--task-hub", hub.address, *keys, *arguments),
            env={
                "SAMPLE_EFFECTS": str(self.effects),
                "SAMPLE_TASK_HUB": "samplehub",
                "SAMPLE_SCHEDULE": NEVER,
                **(environment or {}),
            },
        )

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and return its response, whatever the status."""
        url = self.process.url + path
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310 - the URL is our own, on loopback
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def start(self, orchestrator: str, instance_id: str, payload: Any = None) -> Answer:
        """Start an orchestration over HTTP."""
        path = f"/api/start/{orchestrator}?id={instance_id}&code={KEYS['function']}"
        return self.call("POST", path, json.dumps(payload).encode())

    def instance(self, instance_id: str, rest: str = "", *, key: str = KEYS["system"]) -> str:
        """Return the path of an instance at the durable extension's endpoints."""
        return f"/runtime/webhooks/durabletask/instances/{instance_id}{rest}?code={key}"

    def wait_for(self, instance_id: str, status: str = "Completed") -> Any:
        """Wait for the instance to have this status and return what the extension tells of it."""
        return wait_until(
            lambda: (found := self.call("GET", self.instance(instance_id)).json)["runtimeStatus"] == status and found,
            f"{instance_id} to be {status}",
        )

    def arm(self, **rule: Any) -> None:
        """Arm a fault rule."""
        self.call("POST", "/_control/faults", json.dumps(rule).encode())

    def release(self) -> None:
        """Let go on what a rule holds."""
        self.call("DELETE", "/_control/faults?kind=hold")

    def log(self) -> str:
        """Return what the host has logged so far."""
        return (self.state.parent / f"{self.state.name}.log").read_text()

    def lines(self, name: str) -> list[str]:
        """Return the effects of this name."""
        path = self.effects / name
        return path.read_text().splitlines() if path.exists() else []

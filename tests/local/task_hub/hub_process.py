"""A task hub in a process of its own, for tests."""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from local.common.process import ServiceProcess
from tests.local.services import REPOSITORY, free_port


class HubProcess:
    """A running task hub: gRPC at ``address``, its control endpoint at ``control_url``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port, self.control_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.control_url = f"http://127.0.0.1:{self.control_port}"
        self._folder, self._arguments = folder, arguments
        self.start()

    def start(self) -> None:
        """Start the hub, empty and on the same ports after a stop, and wait until it is healthy."""
        self._process = ServiceProcess.start(
            "task_hub",
            [
                *(sys.executable, "-m", "local.task_hub"),
                *("--port", str(self.port), "--control-port", str(self.control_port), *self._arguments),
            ],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            log_path=self._folder / "task_hub.log",
            health_url=f"{self.control_url}/_control/health",
        )
        self._process.wait_healthy()

    def history(self, instance_id: str) -> dict[str, Any]:
        """Return every event of every run of the instance."""
        url = f"{self.control_url}/_control/instances/{instance_id}/history"
        with urllib.request.urlopen(url) as response:  # noqa: S310 - the URL is our own, on loopback
            found: dict[str, Any] = json.load(response)
        return found

    def give_up(self, name: str) -> int:
        """Take the activities of this name from their workers, hand them out again, and return how many."""
        url = f"{self.control_url}/_control/activities/{name}/give_up"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as response:  # noqa: S310 - ours
            return int(json.load(response)["handedOutAgain"])

    def stop(self) -> None:
        """End the hub."""
        self._process.terminate()

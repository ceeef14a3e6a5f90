"""Where a local Azure keeps its things, and on which ports its services listen."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from local.common.files import write_private
from local.common.serve import LOOPBACK

REPOSITORY = Path(__file__).parents[2]

SERVICES = (
    "identity",
    "key_vault",
    "cosmos",
    "resource_manager",
    "actiontrail",
    "inbox",
    "task_hub",
    "functions_host",
    "second_host",
    "backend",
)

_ENCRYPTED = ("key_vault", "cosmos", "resource_manager", "actiontrail")

# The task hub has two: gRPC for workers and clients, HTTP for health and tests.
PORTS = (*SERVICES, "task_hub_control")


@dataclass(frozen=True)
class Layout:
    """Folders and ports of one state folder."""

    state: Path
    ports: dict[str, int]

    @classmethod
    def of(cls, state: Path) -> "Layout":
        """Return the layout of a state folder; ports stay the same from one ``up`` to the next while they are free."""
        path = state / "ports.json"
        known: dict[str, int] = json.loads(path.read_bytes()) if path.exists() else {}
        kept = {name: port for name, port in known.items() if _is_free(port)}
        ports = {name: kept.get(name) or _free_port() for name in PORTS}
        write_private(path, json.dumps(ports).encode())
        return cls(state=state, ports=ports)

    def folder(self, service: str) -> Path:
        """Return the service's own folder."""
        return self.state / service

    def log(self, service: str) -> Path:
        """Return where the service's output goes."""
        return self.state / "logs" / f"{service}.log"

    def url(self, service: str) -> str:
        """Return the service's URL; the name is ``localhost``, which is what its certificate and key ids say."""
        scheme = "https" if service in _ENCRYPTED else "http"
        return f"{scheme}://localhost:{self.ports[service]}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])

"""Where a local Azure keeps its things, and on which ports its services listen."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from local.common.files import write_private
from local.common.ports import free_port, is_free

REPOSITORY = Path(__file__).parents[2]

SERVICES = (
    "identity",
    "key_vault",
    "drill_vault",
    "cosmos",
    "resource_manager",
    "actiontrail",
    "inbox",
    "task_hub",
    "functions_host",
    "second_host",
    "backend",
)

_ENCRYPTED = ("key_vault", "drill_vault", "cosmos", "resource_manager", "actiontrail")

# What is installed with the package -> how this checkout's is run.
_PROGRAMS = {
    "keyturn": "exec {python} -m keyturn.cli",
    "encrypt-migrate": "exec {python} -c 'from keyturn.cli.direct import encrypt_migrate; encrypt_migrate()'",
}

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
        kept = {name: port for name, port in known.items() if is_free(port)}
        ports = {name: kept.get(name) or free_port() for name in PORTS}
        write_private(path, json.dumps(ports).encode())
        return cls(state=state, ports=ports)

    def folder(self, service: str) -> Path:
        """Return the service's own folder."""
        return self.state / service

    def log(self, service: str) -> Path:
        """Return where the service's output goes."""
        return self.state / "logs" / f"{service}.log"

    def write_programs(self) -> None:
        """Write ``bin/keyturn`` and ``bin/encrypt-migrate``, which run the command line of this checkout."""
        repository, python = shlex.quote(str(REPOSITORY)), shlex.quote(sys.executable)
        (self.state / "bin").mkdir(exist_ok=True)
        for name, runs in _PROGRAMS.items():
            program = self.state / "bin" / name
            program.write_text(f'#!/bin/sh\nPYTHONPATH={repository} {runs.format(python=python)} "$@"\n')
            program.chmod(0o755)

    def url(self, service: str) -> str:
        """Return the service's URL; the name is ``localhost``, which is what its certificate and key ids say."""
        scheme = "https" if service in _ENCRYPTED else "http"
        return f"{scheme}://localhost:{self.ports[service]}"

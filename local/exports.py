"""The environment of a person at a local Azure that is up: what the command line, the library and an SDK client need.

The names are those that ``azd env get-values`` gives of a deployment, and the app's own settings beside them.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from local.supervisor.environment import APPROVER
from local.supervisor.layout import REPOSITORY

type Who = Literal["operator", "approver"]

STATE = REPOSITORY / ".local" / "azure"
PYTHON = shlex.quote(sys.executable)  # of a checkout's environment, which is on nobody's path
NAMES: Mapping[Who, str] = {"operator": "dana@example.com", "approver": APPROVER}

# Of the process that started the app alone.
_OF_THE_PROCESS = frozenset({"HOME", "LANG", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "TMPDIR"})
# What a person's shell may set on top, for the command line and the library.
_OWN = ("KEYTURN_", "FIELD_ENCRYPT_")
# The settings that more than the app reads: the library's and the command line's.
_SHARED = ("AZURE_KEYVAULT_URL", "COSMOS_", "DEK_CONTAINER", "FIELD_ENCRYPT_", "NOTES_CONTAINER")


class NotUpError(Exception):
    """No local Azure is up in this state folder."""


def read_endpoints(state: Path) -> dict[str, Any]:
    """Return what ``up`` wrote; raises NotUpError where its app no longer runs."""
    try:
        endpoints: dict[str, Any] = json.loads((state / "endpoints.json").read_bytes())
        os.kill(endpoints["pids"]["functions_host"], 0)
    except (FileNotFoundError, ProcessLookupError):
        command = f"{PYTHON} -m local up --state {shlex.quote(str(state))}"
        raise NotUpError(f"no local Azure is up in {state}: {command}") from None
    return endpoints


def person(endpoints: Mapping[str, Any], state: Path, who: Who = "operator") -> dict[str, str]:
    """Return what this person exports: the app's settings, an identity, the app's address and key, and their name."""
    settings = {name: value for name, value in endpoints["appEnvironment"].items() if name not in _OF_THE_PROCESS}
    return {
        **settings,
        **endpoints["environment"],
        "KEYTURN_URL": endpoints["functionsUrl"],
        "KEYTURN_FUNCTION_KEY": endpoints["functionKey"],
        "KEYTURN_BY": NAMES[who],
        "APPROVER_SECRET_FILE": str(state.resolve() / "approval_secret"),
    }


def needed(endpoints: Mapping[str, Any], state: Path) -> dict[str, str]:
    """Return of the operator's exports those that the command line and the library need, without the app's own."""
    given = person(endpoints, state)
    own = {"KEYTURN_URL", "KEYTURN_FUNCTION_KEY", "KEYTURN_BY", "APPROVER_SECRET_FILE", *endpoints["environment"]}
    return {name: value for name, value in given.items() if name in own or name.startswith(_SHARED)}


def shell_lines(environment: Mapping[str, str], state: Path) -> list[str]:
    """Return POSIX shell commands that set the environment, and put ``keyturn`` on the path."""
    quoted = {name: value.replace("'", "'\\''") for name, value in environment.items()}
    path = f'export PATH={shlex.quote(str(state.resolve() / "bin"))}:"$PATH"'
    return [*(f"export {name}='{value}'" for name, value in sorted(quoted.items())), path]


def run_environment(endpoints: Mapping[str, Any], state: Path, *, operator: bool) -> dict[str, str]:
    """Return what ``run`` gives a command: an identity and its settings, under the caller's own variables."""
    identity = {} if operator else {name: endpoints["appEnvironment"][name] for name in endpoints["environment"]}
    own = {name: value for name, value in os.environ.items() if name.startswith(_OWN)}
    process = {name: endpoints["appEnvironment"][name] for name in ("PYTHONPATH", "PYTHONUNBUFFERED")}
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(state.resolve() / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**kept, **process, **person(endpoints, state), **identity, **own, "PATH": path}

"""The command line as a person at a desk runs it against a local Azure: a process of its own, its own environment."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.supervisor import LocalAzure
from local.supervisor.environment import app_environment

REPOSITORY = Path(__file__).parents[2]
SECONDS = 150


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote, as JSON."""
        return json.loads(self.out)


def operator_environment(azure: LocalAzure) -> dict[str, str]:
    """Return the environment of a desk: the app's address and key, its settings, and an operator who is signed in."""
    endpoints = azure.endpoints()
    settings = app_environment(
        azure.layout, azure.options, azure.headers["operator"], azure.ca_bundle, endpoints["approvalSecret"]
    )
    secrets = azure.actiontrail_secrets.read_text()
    return {
        **settings,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ACTIONTRAIL_SECRETS": secrets,
        "KEYTURN_URL": endpoints["functionsUrl"],
        "KEYTURN_FUNCTION_KEY": endpoints["functionKey"],
        "KEYTURN_BY": "dana@example.com",
        "KEYTURN_POLL": "0.2",
    }


def installed(folder: Path) -> str:
    """Return a PATH on which ``keyturn`` is, as pipx would have installed it: a pasted command finds it there."""
    program = folder / "bin" / "keyturn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m keyturn.cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


async def execute(*command: str, cwd: Path, env: Mapping[str, str]) -> Ended:
    """Run a command to its end; one that takes too long is killed and is a TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=dict(env), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def keyturn(azure: LocalAzure, *arguments: str, **environment: str) -> Ended:
    """Run ``python -m keyturn.cli`` on the operator's machine, with these variables on top."""
    command = (sys.executable, "-m", "keyturn.cli", *arguments)
    return await execute(*command, cwd=REPOSITORY, env={**operator_environment(azure), **environment})

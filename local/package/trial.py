"""A rotation by a bundle, in a clean environment, on the local Azure.

The shell of the functions host comes from the working copy; it needs no package that the app does not need. All that
it finds of ours beside itself is the bundle.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import local
from local.callers import Callers
from local.package.bundle import Bundle
from local.package.environment import Environment
from local.supervisor import LocalAzure, Options

DEKS = 20
BITS = 2048
# What a person would wait for, and what a trial does not.
_QUICK = {"KEYTURN_SOAK": "PT1S", "KEYTURN_QUIET_INTERVAL": "PT1S", "KEYTURN_WATCH": "PT2S"}


@dataclass(frozen=True)
class Trial:
    """What a trial measured, in seconds, and how its rotation ended."""

    cold_start: float  # a new process to its first answer, the bundle's modules not compiled yet
    rotation: float
    state: str
    rows: int


async def try_bundle(bundle: Bundle, environment: Environment) -> Trial:
    """Index the bundle and rotate with it.

    Raises:
        ServiceFailedError: the worker does not start; the text holds the end of its log.
        UnexpectedStateError: the rotation did not complete.
    """
    with TemporaryDirectory(prefix="keyturn-package-") as scratch:
        shell = _shell(Path(scratch))
        azure = LocalAzure(
            Options(
                state=Path(scratch, "azure"),
                deks=DEKS,
                bits=BITS,
                vault_limits="off",
                app=bundle.folder,
                app_python=environment.python,
                # Without the second, Python would also look into the folder that it is started in.
                settings={**_QUICK, "PYTHONPATH": str(shell), "PYTHONSAFEPATH": "1"},
            )
        )
        with azure.running():
            cold_start = azure.processes["functions_host"].seconds_to_healthy
            began = time.monotonic()
            status = await _rotate(azure)
            rotation = time.monotonic() - began
    return Trial(cold_start, rotation, status["state"], status["census"]["total"])


def _shell(scratch: Path) -> Path:
    """Return a folder in which Python finds ``local`` and nothing else of the working copy."""
    folder = scratch / "shell"
    folder.mkdir()
    (folder / "local").symlink_to(Path(local.__file__).parent, target_is_directory=True)
    return folder


async def _rotate(azure: LocalAzure) -> dict[str, Any]:
    async with Callers(azure.endpoints()) as callers:
        answer = await callers.request_rotation(reason="trial of a bundle")
        run_id: str = answer.body["rotationId"]
        waiting = await callers.wait_for(run_id, "awaiting_approval")
        await callers.decide(run_id, waiting["evidenceDigest"])
        return await callers.wait_for(run_id, "completed")

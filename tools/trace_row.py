"""``python -m tools.trace_row``: which files of ours one stale row crosses, from its scan to its write.

Starts a local vault and a local Cosmos DB, seeds one row, makes a new version, and runs the registered activities
``list_ranges``, ``scan_page`` and ``rewrap_page`` on it, as the worker would: the functions come from ``function_app``,
their payloads are plain JSON. So modules may move without this script, as long as the activities keep their names.

The trace begins with the call of ``scan_page`` and ends where the SDK is asked to write the row. It counts a file once
a function defined in it is entered; modules and classes that are only imported do not count, nor does generated code
(a dataclass's ``__init__``). The clients are open before, as they are for every row but a worker's first. What runs
between the two activities, the workflow, is not in it.
"""

import asyncio
import inspect
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from keyturn.contracts.base import Policy
from keyturn.resources import process_resources
from keyturn.rotation.start import StartRequest, Workflows, start
from local.supervisor import LocalAzure, Options
from local.supervisor.layout import REPOSITORY

# The write of a row is one of these, whichever the dek store prefers.
_WRITES = ("patch_item", "replace_item", "execute_item_batch")
_NOT_OURS = frozenset({"local", "tests", "tools", "bench", "conformance"})
_INSIDE = "--inside"  # the argument of the process that has the app's environment
_BITS = 2048
_TOOL = sys.monitoring.PROFILER_ID
_STARTED = sys.monitoring.events.PY_START


def registered() -> dict[str, Any]:
    """Return the app's functions by name."""
    import function_app  # noqa: PLC0415 - configures telemetry from the environment, so only the traced process may

    return {str(found.get_function_name()): found.get_user_function() for found in function_app.app.get_functions()}


@contextmanager
def entered_files() -> Iterator[Counter[str]]:
    """Count entered functions by file, until the SDK is asked for a write; a resumed coroutine is not entered again."""
    entered: Counter[str] = Counter()
    writes = {inspect.unwrap(getattr(ContainerProxy, name)).__code__ for name in _WRITES}

    def started(code: CodeType, _offset: int) -> object:
        if code in writes:
            sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
        elif (file := _file_of_ours(code)) is not None:
            entered[file] += 1
        return None

    sys.monitoring.use_tool_id(_TOOL, "trace_row")
    sys.monitoring.register_callback(_TOOL, _STARTED, started)
    sys.monitoring.set_events(_TOOL, _STARTED)
    try:
        yield entered
        if sys.monitoring.get_events(_TOOL):
            raise RuntimeError(f"the row was written by none of {', '.join(_WRITES)}: the trace has no end")
    finally:
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
        sys.monitoring.free_tool_id(_TOOL)


def _file_of_ours(code: CodeType) -> str | None:
    """Return the file of a function of the app, relative to the repository; None for any other code."""
    path = Path(code.co_filename)
    if not code.co_flags & inspect.CO_OPTIMIZED or not path.is_relative_to(REPOSITORY):
        return None  # the body of a module or of a class, or code from elsewhere
    relative = path.relative_to(REPOSITORY)
    top = relative.parts[0]
    return None if top in _NOT_OURS or top.startswith(".") else relative.as_posix()


async def _new_version() -> str:
    async with (
        DefaultAzureCredential() as credential,
        KeyClient(os.environ["AZURE_KEYVAULT_URL"], credential, verify_challenge_resource=False) as keys,
    ):
        key = await keys.create_rsa_key(os.environ["FIELD_ENCRYPT_MEK_NAME"], size=_BITS)
    return str(key.properties.version)


async def _run_that_holds(keyring: str) -> dict[str, Any]:
    """Start a rotation of the keyring, without a workflow, and return what activities name it by."""

    async def alive(_instance_id: str) -> bool:
        return True

    async def begin(_record: object) -> None:
        """Nothing goes on here: no other run holds the keyring."""

    started = await start(
        (await process_resources()).run_store,
        StartRequest(),
        keyring=keyring,
        requested_by="trace@example.com",
        trigger="cli",
        policy=Policy(),
        workflows=Workflows(alive, begin),
        starts_per_day=1000,
        now=datetime.now(UTC),
    )
    return started.ref.to_payload()


async def trace() -> Counter[str]:
    """Rewrap the store's one stale row, and return the files that were entered.

    Raises:
        RuntimeError: an activity failed, or the row was not moved: what was traced is not the path of a row.
    """
    target, keyring = await _new_version(), os.environ["KEYTURN_KEYRING"]
    run = await _run_that_holds(keyring)
    activities = registered()

    async def act(name: str, **payload: Any) -> dict[str, Any]:
        envelope: dict[str, Any] = await activities[name]({"run": run, **payload})
        if "failure" in envelope:
            raise RuntimeError(f"{name}: {envelope['failure']}")
        result: dict[str, Any] = envelope["result"]
        return result

    [feed_range] = (await act("list_ranges"))["ranges"]
    with entered_files() as entered:
        scanned = await act("scan_page", targetVersion=target, selection="stale", range=feed_range, pageRows=1)
        page = await act("rewrap_page", targetVersion=target, refs=scanned["refs"], operationsPerSecond=1000.0)
    if page["changed"] != 1:
        raise RuntimeError(f"the row was not rewrapped: {page}")
    return entered


def report(entered: Counter[str]) -> None:
    """Print a line for each file, with how often a function of it was entered, and the sums."""
    for file, count in sorted(entered.items()):
        print(f"{count:5}  {file}")
    print(f"{len(entered)} files, {len({Path(file).parent for file in entered})} packages")


def main() -> int:
    """Start the local services, and run the traced part in a process that has the app's environment from its start."""
    with tempfile.TemporaryDirectory(prefix="keyturn-trace-") as state:
        azure = LocalAzure(Options(state=Path(state), deks=1, bits=_BITS, vault_limits="off"))
        try:
            for service in ("identity", "key_vault", "cosmos"):
                azure.start(service)
            azure.seed()
            command = [sys.executable, "-m", "tools.trace_row", _INSIDE]
            return subprocess.run(command, env=azure.app_environment(), check=False).returncode  # noqa: S603 - our own
        finally:
            azure.down()


if __name__ == "__main__":
    if sys.argv[1:] == [_INSIDE]:
        report(asyncio.run(trace()))
    else:
        sys.exit(main())

"""Migrations as their operators see them: started over HTTP, and waited for."""

import asyncio
import json
import time
from typing import Any

import aiohttp

from local.people import ENDS, POLL_SECONDS, UnexpectedStateError
from tests.end_to_end.stage import Stage

OPERATOR = "dana@example.com"


async def begin(stage: Stage, path: str, **body: Any) -> str:
    """Start a migration through this route and return its id."""
    data = json.dumps({"requestedBy": OPERATOR, **body}).encode()
    answer = await stage.people.call("POST", path, data=data)
    assert answer.status == 202, answer.body
    assert answer.headers["Location"] == f"/api/migrations/{answer.body['migrationId']}"
    return str(answer.body["migrationId"])


async def status_of(stage: Stage, migration_id: str) -> dict[str, Any]:
    """Read a migration's status."""
    body: dict[str, Any] = (await stage.people.call("GET", f"/api/migrations/{migration_id}")).body
    return body


async def reach(stage: Stage, migration_id: str, state: str, seconds: float = 90) -> dict[str, Any]:
    """Wait until the migration is in the state, also while the app is down, and return its status."""
    deadline = time.monotonic() + seconds
    status: dict[str, Any] = {}
    while time.monotonic() < deadline:
        try:
            status = await status_of(stage, migration_id)
        except aiohttp.ClientError:
            status = {"state": "(the app does not answer)"}
        if status.get("state") == state:
            return status
        if status.get("state") in ENDS:
            break
        await asyncio.sleep(POLL_SECONDS)
    raise UnexpectedStateError(f"expected {state}, found {json.dumps(status, indent=1)}")


async def command(stage: Stage, migration_id: str, what: str) -> None:
    """Tell the migration to try again or to end."""
    data = json.dumps({"requestedBy": OPERATOR}).encode()
    answer = await stage.people.call("POST", f"/api/migrations/{migration_id}/{what}", data=data)
    assert answer.status == 202, answer.body


async def all_rows(stage: Stage) -> dict[str, dict[str, Any]]:
    """Return every row as it is stored, by its id."""
    return {row["id"]: row async for row in stage.rows.read_all_items()}


async def version_of_rows(stage: Stage) -> str:
    """Return the version that all rows are on."""
    ((version, _),) = (await stage.census()).items()
    return version

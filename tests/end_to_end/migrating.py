"""Migrations as their operators see them: started over HTTP, and waited for."""

import json
from typing import Any

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
    return await stage.people.status(migration_id)


async def reach(stage: Stage, migration_id: str, state: str) -> dict[str, Any]:
    """Wait until the migration is in the state, also while the app is down, and return its status."""
    return await stage.people.wait_for(migration_id, state)


async def command(stage: Stage, migration_id: str, what: str) -> None:
    """Tell the migration to try again or to end."""
    answer = await stage.people.command(migration_id, what, by=OPERATOR)
    assert answer.status == 202, answer.body


async def all_rows(stage: Stage) -> dict[str, dict[str, Any]]:
    """Return every row as it is stored, by its id."""
    return {row["id"]: row async for row in stage.rows.read_all_items()}


async def version_of_rows(stage: Stage) -> str:
    """Return the version that all rows are on."""
    ((version, _),) = (await stage.census()).items()
    return version

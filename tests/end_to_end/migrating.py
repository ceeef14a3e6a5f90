"""Migrations as their operators see them: started over HTTP, and waited for."""

import json
from typing import Any

from tests.end_to_end.app_harness import AppHarness

OPERATOR = "dana@example.com"


async def begin(app: AppHarness, path: str, **body: Any) -> str:
    """Start a migration through this route and return its id."""
    data = json.dumps({"requestedBy": OPERATOR, **body}).encode()
    answer = await app.callers.call("POST", path, data=data)
    assert answer.status == 202, answer.body
    assert answer.headers["Location"] == f"/api/migrations/{answer.body['migrationId']}"
    return str(answer.body["migrationId"])


async def status_of(app: AppHarness, migration_id: str) -> dict[str, Any]:
    """Read a migration's status."""
    return await app.callers.status(migration_id)


async def reach(app: AppHarness, migration_id: str, state: str) -> dict[str, Any]:
    """Wait until the migration is in the state, also while the app is down, and return its status."""
    return await app.callers.wait_for(migration_id, state)


async def command(app: AppHarness, migration_id: str, what: str) -> None:
    """Tell the migration to try again or to end."""
    answer = await app.callers.command(migration_id, what, by=OPERATOR)
    assert answer.status == 202, answer.body


async def all_rows(app: AppHarness) -> dict[str, dict[str, Any]]:
    """Return every row as it is stored, by its id."""
    return {row["id"]: row async for row in app.rows.read_all_items()}


async def version_of_rows(app: AppHarness) -> str:
    """Return the version that all rows are on."""
    ((version, _),) = (await app.census()).items()
    return version


async def bring_back(app: AppHarness, count: int) -> tuple[str, str, dict[str, dict[str, Any]]]:
    """Rotate, and overwrite so many rows with what a backup from before has; returns both versions, and the rows."""
    old = await version_of_rows(app)
    backup = dict(list((await all_rows(app)).items())[:count])
    rotation = await app.rotate()
    for row in backup.values():
        await app.rows.upsert_item({name: value for name, value in row.items() if not name.startswith("_")})
    return old, str(rotation["targetVersion"]), backup


async def decide(app: AppHarness, restore_id: str, status: dict[str, Any], approver: str = "sam@example.com") -> int:
    """Approve the restore's evidence and return the HTTP status."""
    return (await app.callers.decide(restore_id, status["evidenceDigest"], approver=approver)).status


async def approved(app: AppHarness, migration_id: str) -> dict[str, Any]:
    """Have another person approve that a completed rotation is rolled back, and wait for the end."""
    waiting = await reach(app, migration_id, "awaiting_approval")
    assert (await app.callers.decide(migration_id, waiting["evidenceDigest"], approver=OPERATOR)).status == 403
    assert (await app.callers.decide(migration_id, waiting["evidenceDigest"])).status == 200
    return await reach(app, migration_id, "completed")

"""Rewrapping from any version to any version, as one command over HTTP."""

import json
from typing import Any

import pytest

from local.callers import Answer
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.migrating import all_rows, begin, command, reach, status_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


async def two_versions(app: AppHarness) -> tuple[str, str]:
    """Return the version that most rows are on, and a newer one."""
    ((old, _),) = (await app.census()).most_common(1)
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    return old, await app.newest_version()


async def test_moves_every_row_and_back_again(app: AppHarness) -> None:
    """Rows go from one version to another and back; each says where it is, and every note stays readable."""
    old, new = await two_versions(app)
    rows = (await app.census()).total()

    there = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new)
    status = await reach(app, there, "completed")

    assert await app.census() == {new: rows}
    assert status["detail"] == f"{rows} rows were moved"
    assert status["counts"]["sweep"]["percent"] == 100.0
    assert await app.unreadable_notes() == []

    back = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=old, oldVersion=new)
    await reach(app, back, "completed")

    assert await app.census() == {old: rows}
    assert await app.unreadable_notes() == []


async def test_moves_only_the_rows_of_the_version_that_is_named(app: AppHarness) -> None:
    """With oldVersion, rows on other versions are not touched."""
    old, new = await two_versions(app)
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    third = await app.newest_version()
    other = await app.add_row(third)
    before = await app.row(other)

    await reach(
        app, await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new, oldVersion=old), "completed"
    )

    assert set(await app.census()) == {new, third}
    assert await app.row(other) == before


async def test_a_dry_run_changes_no_row(app: AppHarness) -> None:
    """A dry run says how many rows would be moved, and writes nothing but its own record."""
    _, new = await two_versions(app)
    before = await all_rows(app)

    dry = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new, dryRun=True)
    status = await reach(app, dry, "completed")

    assert await all_rows(app) == before
    assert status["detail"] == f"dry run: {len(before)} rows would be moved, 0 cannot"
    assert status["counts"]["check"]["changed"] == len(before)


async def test_the_host_dies_after_a_page_was_rewrapped(azure: LocalAzure, app: AppHarness) -> None:
    """A page whose report was lost is run again, to the same outcome."""
    _, new = await two_versions(app)
    rows = (await app.census()).total()
    app.arm("functions_host", operation="rewrap_chosen_page", kind="kill_after")

    migration_id = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new)
    async with app.keep_alive(azure, "functions_host") as restarts:
        await reach(app, migration_id, "completed")

    assert restarts.count == 1
    assert await app.census() == {new: rows}
    assert await app.unreadable_notes() == []


async def test_a_row_that_cannot_be_moved_is_named(app: AppHarness) -> None:
    """A malformed row is quarantined and asks for attention; after it is gone, a retry completes."""
    old, new = await two_versions(app)
    malformed = await app.add_row(old, wrappedDek="this is not base64!")

    migration_id = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new)
    status = await reach(app, migration_id, "needs_attention")
    await app.rows.delete_item(malformed, partition_key=malformed)

    assert [row["id"] for row in status["quarantined"]["named"]] == [malformed]
    await command(app, migration_id, "retry")
    assert (await reach(app, migration_id, "completed"))["quarantined"]["count"] == 0
    assert set(await app.census()) == {new}


async def test_a_key_that_no_row_names_is_no_success(azure: LocalAzure, app: AppHarness) -> None:
    """The name of another key in the settings: it moves nothing, and says why where it would have been complete."""
    rows, other = await all_rows(app), "another-mek"
    made = await app.keys.create_rsa_key(other, size=2048)
    azure.reconfigure({**QUICK, "FIELD_ENCRYPT_MEK_NAME": other})

    dry, real = [
        await _moved_to(app, str(made.properties.version), dry_run=dry_run, state=state)
        for dry_run, state in ((True, "completed"), (False, "needs_attention"))
    ]

    said = f"all {len(rows)} rows of the dek store name other keys: compare COSMOS_DATABASE, DEK_CONTAINER"
    assert said in dry["detail"]
    assert said in real["detail"]
    assert await all_rows(app) == rows
    await command(app, str(real["migrationId"]), "abort")
    await reach(app, str(real["migrationId"]), "aborted")


async def _moved_to(app: AppHarness, version: str, *, dry_run: bool, state: str) -> dict[str, Any]:
    begun = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=version, dryRun=dry_run)
    return await reach(app, begun, state)


async def test_one_run_at_a_time(app: AppHarness) -> None:
    """While a migration runs, neither a rotation nor another migration starts; when it is aborted, both may."""
    _, new = await two_versions(app)
    app.arm("key_vault", operation="unwrap", kind="hold", count=None)
    migration_id = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new)

    rotation = await app.callers.request_rotation()
    body = {"kind": "rewrap-deks", "newVersion": new, "requestedBy": "lee@example.com"}
    other = await app.callers.call("POST", "/api/migrations", data=json.dumps(body).encode())

    assert [rotation.status, other.status] == [409, 409]
    assert rotation.body["statusUrl"] == other.body["statusUrl"] == f"/api/migrations/{migration_id}"
    await command(app, migration_id, "abort")
    app.control("key_vault", "DELETE", "faults")
    await reach(app, migration_id, "aborted")
    assert await app.unreadable_notes() == []
    await app.rotate()


async def test_the_same_request_with_the_same_key_is_one_migration(app: AppHarness) -> None:
    """Whoever sends it again gets the same one; another request with this key is refused."""
    _, new = await two_versions(app)
    body = {"kind": "rewrap-deks", "newVersion": new, "requestedBy": "lee@example.com"}
    headers = {"Idempotency-Key": f"move onto {new}"}

    async def ask(**more: object) -> Answer:
        data = json.dumps({**body, **more}).encode()
        return await app.callers.call("POST", "/api/migrations", data=data, headers=headers)

    answers = [await ask(), await ask()]
    other = await ask(reason="another one")
    status = await reach(app, answers[0].body["migrationId"], "completed")

    assert [answer.status for answer in (*answers, other)] == [202, 202, 422]
    assert {status["migrationId"]} == {answer.body["migrationId"] for answer in answers}


async def test_a_version_that_is_not_there_is_refused(app: AppHarness) -> None:
    """A start that names a version which the key does not have starts nothing."""
    body = {"kind": "rewrap-deks", "newVersion": "0" * 32, "requestedBy": "lee@example.com"}

    answer = await app.callers.call("POST", "/api/migrations", data=json.dumps(body).encode())

    assert (answer.status, answer.body["field"]) == (400, "newVersion")


async def test_migrations_are_listed_newest_first_and_reported(app: AppHarness) -> None:
    """The list names the last migration first; its report holds the record."""
    _, new = await two_versions(app)
    migration_id = await begin(app, "/api/migrations", kind="rewrap-deks", newVersion=new)
    await reach(app, migration_id, "completed")

    listed = (await app.callers.call("GET", f"/api/migrations?keyring={app.keyring}&limit=1")).body
    older = (await app.callers.call("GET", listed["next"])).body["migrations"]
    unknown = await app.callers.call("GET", f"/api/migrations?before={app.keyring}.m.20200101T000000Z.abcdef")
    reported = (await app.callers.call("GET", f"/api/migrations/{migration_id}/report")).body

    assert [line["migrationId"] for line in listed["migrations"]] == [migration_id]
    assert migration_id not in [line["migrationId"] for line in older]
    assert (unknown.status, unknown.headers["Content-Type"]) == (404, "application/problem+json")
    assert reported["record"]["id"] == migration_id
    assert reported["status"] == await status_of(app, migration_id)
    assert (await app.callers.call("GET", f"/api/rotations/{migration_id}")).status == 404

"""Rolling a rotation back, as one command over HTTP: rows go back to where they came from, others' stay as they are."""

import json

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.migrating import OPERATOR, all_rows, approved, begin, command, reach, version_of_rows
from tests.end_to_end.waits import settled

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


def path_of(run_id: str) -> str:
    """Return the address at which a rotation is rolled back."""
    return f"/api/rotations/{run_id}/rollback"


async def test_after_a_completed_rotation(app: AppHarness) -> None:
    """Rows are as they were, the retired version is enabled, the new one stays; a row costs one unwrap."""
    old, before = await version_of_rows(app), await all_rows(app)
    rotation = await app.rotate()
    new, path = rotation["targetVersion"], path_of(rotation["rotationId"])
    added = await app.add_row(new)
    calls = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})
    migration_id = await begin(app, path)
    await reach(app, migration_id, "awaiting_approval")
    assert (await app.versions())[old] is False

    status = await approved(app, migration_id)

    after, versions = await all_rows(app), await app.versions()
    called = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})
    assert {name: after[name]["wrappedDek"] for name in before} == {name: before[name]["wrappedDek"] for name in before}
    assert {row["mekVersion"] for name, row in after.items() if name in before} == {old}
    assert (versions[old], versions[new]) == (True, True)
    assert called["unwrap"] - calls["unwrap"] == len(before)
    assert f"{len(before)} were moved back, 1 stay on {new}" in status["detail"]
    assert (await app.callers.status(rotation["rotationId"]))["reinstated"] == [old]
    assert [notice["event"] for notice in await settled(app, migration_id)] == [
        "started",
        "approval_wanted",
        "approved",
        "reinstated",
        "completed",
    ]
    assert await app.unreadable_notes() == []

    again = await reach(app, await begin(app, path), "completed")

    assert again["detail"].startswith("0 rows are the rotation's")
    assert await all_rows(app) == after
    await app.rows.delete_item(added, partition_key=added)


async def test_after_a_half_done_sweep(app: AppHarness) -> None:
    """A rotation that needs attention is ended, and the rows that it had moved go back."""
    old = await version_of_rows(app)
    malformed = await app.add_row(old, wrappedDek="this is not base64!")
    run_id = await app.start()
    new = (await app.callers.wait_for(run_id, "needs_attention"))["targetVersion"]
    await app.rows.delete_item(malformed, partition_key=malformed)
    assert set(await app.census()) == {new}

    await reach(app, await begin(app, path_of(run_id)), "completed")

    assert set(await app.census()) == {old}
    assert (await app.callers.status(run_id))["state"] == "aborted"
    assert (await app.versions())[new] is True
    assert await app.unreadable_notes() == []


async def test_after_a_rotation_that_adopted_another(app: AppHarness) -> None:
    """Rows that the adopted rotation had moved go back too; approver and operator are told of all of them."""
    old, before = await version_of_rows(app), await all_rows(app)
    malformed = await app.add_row(old, wrappedDek="this is not base64!")
    first = await app.start()
    await app.callers.wait_for(first, "needs_attention")
    await command(app, first, "abort")
    await app.callers.wait_for(first, "aborted")
    await app.rows.delete_item(malformed, partition_key=malformed)
    added = await app.add_row(old)
    second = await app.rotate()
    assert set(await app.census()) == {second["targetVersion"]}

    path = path_of(second["rotationId"])
    dry = await reach(app, await begin(app, path, dryRun=True), "completed")
    migration_id = await begin(app, path)
    await approved(app, migration_id)

    evidence = (await app.callers.report(migration_id))["record"]["evidence"]
    after = await all_rows(app)
    told = f"dry run: {len(before) + 1} rows are the rotation's (or of 1 that it adopted), 0 are not, 0 cannot go back"
    assert dry["detail"] == told
    assert (evidence["adopted"], evidence["census"]["rewrapped"]) == ([first], len(before) + 1)
    assert {name: after[name]["wrappedDek"] for name in before} == {name: before[name]["wrappedDek"] for name in before}
    assert set(await app.census()) == {old}
    assert await app.unreadable_notes() == []
    await app.rows.delete_item(added, partition_key=added)


async def test_after_another_rotation(azure: LocalAzure, app: AppHarness) -> None:
    """Where a later rotation has moved the rows, that one is rolled back first; nothing is changed before that.

    A dry run says what would happen and changes nothing; a crash after enabling or after a page changes no outcome.
    What the later one's rollback has put back does not say any more where it was before: that is told, as a failure.
    """
    first = await app.rotate()
    second = await app.rotate()
    before, versions = await all_rows(app), await app.versions()

    body = json.dumps({"requestedBy": OPERATOR}).encode()
    refused = await app.callers.call("POST", path_of(first["rotationId"]), data=body)
    dry = await reach(app, await begin(app, path_of(second["rotationId"]), dryRun=True), "completed")

    assert await all_rows(app) == before
    assert await app.versions() == versions
    assert (refused.status, refused.body["laterRotationId"]) == (409, second["rotationId"])
    assert dry["detail"].startswith(f"dry run: {len(before)} rows are the rotation's, 0 are not")
    assert await app.unreadable_notes() == []

    for activity in ("reinstate_versions", "roll_back_page"):
        app.arm("functions_host", operation=activity, kind="kill_after")
    migration_id = await begin(app, path_of(second["rotationId"]))
    async with app.keep_alive(azure, "functions_host") as restarts:
        await approved(app, migration_id)

    assert restarts.count >= 1
    assert set(await app.census()) == {first["targetVersion"]}
    assert await app.unreadable_notes() == []

    left = await reach(app, await begin(app, path_of(first["rotationId"])), "failed")
    assert f"0 cannot go back, {len(before)} were changed by later runs" in left["error"]["message"]
    assert await app.unreadable_notes() == []

    next_one = await app.rotate()
    seen = (await app.callers.report(next_one["rotationId"]))["record"]["provenance"]
    assert (second["rotationId"], 0, []) == (seen["since"], seen["count"], seen["named"])  # it knows who has done that


async def test_a_rotation_that_made_no_version_has_nothing_to_roll_back(app: AppHarness) -> None:
    """A dry run of a rotation cannot be rolled back."""
    run_id = await app.start(dryRun=True)
    await app.callers.wait_for(run_id, "completed")

    answer = await app.callers.call("POST", path_of(run_id), data=json.dumps({"requestedBy": OPERATOR}).encode())

    assert (answer.status, answer.body["type"]) == (409, "urn:keyturn:problem:wrong-state")

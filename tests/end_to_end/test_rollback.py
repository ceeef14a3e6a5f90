"""Rolling a rotation back, as one command over HTTP: rows go back to where they came from, others' stay as they are."""

import json

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.migrating import OPERATOR, all_rows, begin, reach, version_of_rows
from tests.end_to_end.stage import Stage

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


def path_of(run_id: str) -> str:
    """Return the address at which a rotation is rolled back."""
    return f"/api/rotations/{run_id}/rollback"


async def test_after_a_completed_rotation(stage: Stage) -> None:
    """Rows are as they were, the retired version is enabled, the new one stays; no row costs an unwrap."""
    old, before = await version_of_rows(stage), await all_rows(stage)
    rotation = await stage.rotate()
    new, path = rotation["targetVersion"], path_of(rotation["rotationId"])
    added = await stage.add_row(new)
    calls = stage.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})

    status = await reach(stage, await begin(stage, path), "completed")

    after, versions = await all_rows(stage), await stage.versions()
    called = stage.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})
    assert {name: after[name]["wrappedDek"] for name in before} == {name: before[name]["wrappedDek"] for name in before}
    assert {row["mekVersion"] for name, row in after.items() if name in before} == {old}
    assert (versions[old], versions[new]) == (True, True)
    assert called["unwrap"] == calls["unwrap"]
    assert f"{len(before)} were moved back, 1 stay on {new}" in status["detail"]
    assert (await stage.people.status(rotation["rotationId"]))["reinstated"] == [old]
    assert await stage.unreadable_notes() == []

    again = await reach(stage, await begin(stage, path), "completed")

    assert again["detail"].startswith("0 rows are the rotation's")
    assert await all_rows(stage) == after
    await stage.rows.delete_item(added, partition_key=added)


async def test_after_a_half_done_sweep(stage: Stage) -> None:
    """A rotation that needs attention is ended, and the rows that it had moved go back."""
    old = await version_of_rows(stage)
    malformed = await stage.add_row(old, wrappedDek="this is not base64!")
    run_id = await stage.start()
    new = (await stage.people.wait_for(run_id, "needs_attention"))["targetVersion"]
    await stage.rows.delete_item(malformed, partition_key=malformed)
    assert set(await stage.census()) == {new}

    await reach(stage, await begin(stage, path_of(run_id)), "completed")

    assert set(await stage.census()) == {old}
    assert (await stage.people.status(run_id))["state"] == "aborted"
    assert (await stage.versions())[new] is True
    assert await stage.unreadable_notes() == []


async def test_after_somebody_else_rotated_again(azure: LocalAzure, stage: Stage) -> None:
    """A later rotation's rows are left alone, and no version is enabled for them; that one can be rolled back itself.

    A dry run says what would happen and changes nothing; a crash after enabling or after a page changes no outcome.
    """
    first = await stage.rotate()
    second = await stage.rotate()
    before, versions = await all_rows(stage), await stage.versions()

    left = await reach(stage, await begin(stage, path_of(first["rotationId"])), "completed")
    dry = await reach(stage, await begin(stage, path_of(second["rotationId"]), dryRun=True), "completed")

    assert await all_rows(stage) == before
    assert await stage.versions() == versions
    assert left["detail"].startswith(f"0 rows are the rotation's, {len(before)} are not")
    assert dry["detail"].startswith(f"dry run: {len(before)} rows are the rotation's, 0 are not")
    assert await stage.unreadable_notes() == []

    for activity in ("reinstate_versions", "roll_back_page"):
        stage.arm("functions_host", operation=activity, kind="kill_after")
    migration_id = await begin(stage, path_of(second["rotationId"]))
    async with stage.keep_alive(azure, "functions_host") as restarts:
        await reach(stage, migration_id, "completed")

    assert restarts.count >= 1
    assert set(await stage.census()) == {first["targetVersion"]}
    assert await stage.unreadable_notes() == []

    next_one = await stage.rotate()
    seen = (await stage.people.report(next_one["rotationId"]))["record"]["provenance"]
    assert (second["rotationId"], 0, []) == (seen["since"], seen["count"], seen["named"])  # it knows who has done that


async def test_a_rotation_that_made_no_version_has_nothing_to_roll_back(stage: Stage) -> None:
    """A dry run of a rotation cannot be rolled back."""
    run_id = await stage.start(dryRun=True)
    await stage.people.wait_for(run_id, "completed")

    answer = await stage.people.call("POST", path_of(run_id), data=json.dumps({"requestedBy": OPERATOR}).encode())

    assert (answer.status, answer.body["type"]) == (409, "urn:keyturn:problem:wrong-state")

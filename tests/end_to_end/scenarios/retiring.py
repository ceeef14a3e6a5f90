"""Retiring and watching: any failure after the disable takes it back."""

from http import HTTPStatus

from tests.end_to_end.facts import everything_moved
from tests.end_to_end.play import Act, Play, Scenario, after, approve, armed, disarmed, held, released, then

WATCHED = "requested preflight creating_version sweeping soaking awaiting_approval retiring watching"

# After the disable, the first look of the watch waits: harm is done before it is looked for.
LOOK_HELD = held("functions_host", "verify")
LOOK = released("functions_host")


def _reinstated(reason: str) -> Act:
    """Return the fact that the versions are enabled again, tagged, and that people were alerted with this reason."""

    async def fact(play: Play) -> None:
        record = await play.record()
        properties = await play.stage.keys.get_key(play.stage.mek_name, play.old_version)
        tags = properties.properties.tags or {}

        assert reason in record["history"][-1]["detail"]
        assert play.old_version in record["reinstated"]
        assert tags["keyturn-reinstated-by"] == play.run_id
        await play.hears("reinstated")

    return fact


async def _disabled(play: Play) -> None:
    """The old version is disabled by now."""
    await play.reaches("watching")
    assert (await play.stage.versions())[play.old_version] is False


async def _canary_row_goes_back(play: Play) -> None:
    """Another writer puts the row of a canary back to what it was before the rotation."""
    canary = (await play.record())["canaries"][0]
    note = await play.stage.notes.read_item(canary["documentId"], partition_key=canary["partition"])
    row = await play.stage.row(note["title"]["dekId"])
    previous = row["previousWrap"]
    await play.stage.rows.replace_item(
        row["id"], {**row, "wrappedDek": previous["wrappedDek"], "mekVersion": previous["mekVersion"]}
    )
    assert await play.stage.unreadable_notes() == [canary["documentId"]]


async def _prepare_stale_row(play: Play) -> None:
    play.kept["row"] = await play.stage.make_row(play.old_version)


async def _write_stale_row(play: Play) -> None:
    await play.stage.rows.create_item(play.kept["row"])


async def _remove_stale_row(play: Play) -> None:
    await play.stage.delete_row(play.kept["row"]["id"])


async def _failed_and_enabled(play: Play) -> None:
    record = await play.record()

    assert record["error"]["type"] == "PermissionMissingError"
    assert record["reinstated"] == record["oldVersions"]


async def _retained(play: Play) -> None:
    """The old version is disabled, not deleted, with the rotation and the day until which it is kept in its tags."""
    old = (await play.stage.keys.get_key(play.stage.mek_name, play.old_version)).properties

    assert old.enabled is False
    assert (old.tags or {})["keyturn-retired-by"] == play.run_id
    assert "keyturn-retain-until" in (old.tags or {})


async def _outlives_durable_history(play: Play) -> None:
    """Once the workflow's history is purged, the record still answers with everything."""
    people, key = play.people, {"x-functions-key": play.stage.azure.endpoints()["systemKey"]}
    instance = f"/runtime/webhooks/durabletask/instances/rotation-{play.stage.keyring}"

    async def ended() -> bool:  # a moment after its record
        return (await people.call("GET", instance, headers=key)).status == HTTPStatus.OK

    await play.until(ended)
    before = [await play.status(), await people.report(play.run_id)]
    purged = await people.call("DELETE", instance, headers=key)
    gone = await people.call("GET", instance, headers=key)
    listed = await people.call("GET", "/api/rotations")

    assert (purged.status, gone.status) == (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
    assert before == [await play.status(), await people.report(play.run_id)]
    assert play.run_id == listed.body["rotations"][0]["rotationId"]


SCENARIOS = {
    "all goes well: the old version is kept, disabled and tagged; the record outlives durable history": Scenario(
        facts=(_retained, everything_moved, _outlives_durable_history)
    ),
    "a probe fails after the disable: reinstated, and people are alerted": Scenario(
        people=then(
            after("awaiting_approval", armed("backend", operation="health", kind="status", status=503, count=None)),
            approve,
        ),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("probe:"),),
    ),
    "a canary fails after the disable: reinstated, every note is readable, and people are alerted": Scenario(
        people=then(after("awaiting_approval", LOOK_HELD), approve, _disabled, _canary_row_goes_back, LOOK),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("canary:notes/"),),
    ),
    "a stale writer creates a row after the disable: reinstated": Scenario(
        prepared=_prepare_stale_row,
        people=then(after("awaiting_approval", LOOK_HELD), approve, _disabled, _write_stale_row, LOOK),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("1 rows are not on the new version"),),
        tidied=_remove_stale_row,
    ),
    "the watch itself fails for good: failed, with the versions enabled again": Scenario(
        people=then(
            after("awaiting_approval", LOOK_HELD),
            approve,
            _disabled,
            armed("cosmos", operation="query", kind="status", status=403, match="dek_store", count=None),
            LOOK,
            after("failed", disarmed),
        ),
        path=f"{WATCHED} failed",
        facts=(_failed_and_enabled,),
    ),
}

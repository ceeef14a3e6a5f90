"""Sweeping: to a fixpoint, whatever writers and the store do meanwhile; and what cannot be rewrapped."""

from tests.end_to_end.facts import everything_moved
from tests.end_to_end.play import (
    Act,
    Play,
    Scenario,
    abort,
    after,
    approve,
    armed,
    disarmed,
    held,
    released,
    retry,
    then,
)

# Pre-flight unwraps some rows as a sample; the sweep comes as far as to some of its sixty rows, and waits there.
HALFWAY = held("key_vault", "unwrap", skip=40)
ONWARD = released("key_vault")

EVENT_BYTES_MAX = 64 * 1024
EVENTS_MAX = 1_000

NEEDS = "requested preflight creating_version sweeping needs_attention"
ONWARDS = "sweeping soaking awaiting_approval retiring watching completed"


async def _some_rows_moved(play: Play) -> None:
    """Wait until the sweep is in its middle."""
    await play.reaches("sweeping")

    async def in_the_middle() -> bool:
        census, target = await play.stage.census(), (await play.status())["targetVersion"]
        return 0 < census[target] < census.total()

    await play.until(in_the_middle)


async def _some_rows_are_left(play: Play) -> None:
    """Rows are on both versions, each readable under its own."""
    census, target = await play.stage.census(), (await play.status())["targetVersion"]

    assert 0 < census[target] < census.total()


async def _delete_an_unmoved_row(play: Play) -> None:
    target = (await play.status())["targetVersion"]
    unmoved = play.stage.rows.query_items(
        "SELECT VALUE c.id FROM c WHERE c.mekVersion != @target AND c.createdAt = @made",
        parameters=[{"name": "@target", "value": target}, {"name": "@made", "value": play.kept["made"]}],
    )
    play.kept["deleted"] = [str(row) async for row in unmoved][:1]
    for row in play.kept["deleted"]:
        await play.stage.delete_row(row)


def _more_rows(count: int) -> Act:
    async def more(play: Play) -> None:
        version = await play.stage.newest_version()
        rows = [await play.stage.add_row(version) for _ in range(count)]
        play.kept["rows"], play.kept["made"] = rows, (await play.stage.row(rows[0]))["createdAt"]

    return more


async def _deleted_stay_deleted(play: Play) -> None:
    left = {row["id"] async for row in play.stage.rows.read_all_items()}

    assert len(play.kept["deleted"]) == 1
    assert left.isdisjoint(play.kept["deleted"])


async def _remove_rows(play: Play) -> None:
    for row in set(play.kept["rows"]) - set(play.kept.get("deleted", [])):
        await play.stage.delete_row(row)


async def _split(play: Play) -> None:
    ranges = [found async for found in play.stage.rows.read_feed_ranges()]
    play.kept["ranges"] = len(ranges)
    play.stage.split_partition()


async def _was_split(play: Play) -> None:
    ranges = [found async for found in play.stage.rows.read_feed_ranges(force_refresh=True)]

    assert len(ranges) == play.kept["ranges"] + 1


async def _races_were_lost(play: Play) -> None:
    counts = (await play.status())["counts"]["sweep"]

    assert counts["conflicts"] >= 20


async def _malformed_row(play: Play) -> None:
    play.kept["row"] = await play.stage.add_row(await play.stage.newest_version(), wrappedDek="this is no base64!")
    play.kept["before"] = await play.stage.row(play.kept["row"])


async def _named_and_untouched(play: Play) -> None:
    status = await play.reaches("needs_attention")

    assert [(row["id"], row["reason"]) for row in status["quarantined"]["named"]] == [
        (play.kept["row"], "malformed_wrap")
    ]
    assert await play.stage.row(play.kept["row"]) == play.kept["before"]
    assert (await play.stage.census())[status["targetVersion"]] == (await play.stage.census()).total() - 1
    assert (await play.stage.versions())[play.old_version] is True
    await play.hears("needs_attention")


async def _remove_row(play: Play) -> None:
    await play.stage.delete_row(play.kept["row"])


async def _came_back(play: Play) -> None:
    """A retry that meets the same row needs attention again."""
    await retry(play)

    async def twice() -> bool:
        return [entry["to"] for entry in (await play.record())["history"]].count("needs_attention") == 2

    await play.until(twice)


async def _history_is_small(play: Play) -> None:
    """No event is larger than 64 KiB, no generation has more than 1,000 events, and a pass did continue as new."""
    histories = [play.stage.history(name) for name in play.stage.instances(play.run_id)]
    runs = [run for history in histories for run in history["generations"]]

    assert max(event["bytes"] for run in runs for event in run["events"]) <= EVENT_BYTES_MAX
    assert max(len(run["events"]) for run in runs) <= EVENTS_MAX
    assert max(run["generation"] for run in runs) > 0


def _failed_with(error_type: str) -> Act:
    async def failed(play: Play) -> None:
        status = await play.status()

        assert status["error"]["type"] == error_type
        await play.hears("failed")

    return failed


SCENARIOS = {
    "other writers win twenty races for rows: each row is read again, and all are moved": Scenario(
        prepared=armed("cosmos", operation="patch", kind="etag_race", match="dek_store", count=20),
        facts=(_races_were_lost, everything_moved),
    ),
    "a row is deleted while rows are swept: it stays deleted": Scenario(
        prepared=then(_more_rows(40), HALFWAY),
        people=then(_some_rows_moved, _delete_an_unmoved_row, ONWARD, approve),
        facts=(_deleted_stay_deleted, everything_moved),
        tidied=_remove_rows,
    ),
    "a partition splits in the middle of a sweep: no row is left behind": Scenario(
        prepared=HALFWAY,
        people=then(_some_rows_moved, _split, ONWARD, approve),
        facts=(_was_split, everything_moved),
    ),
    "the change feed answers with empty pages: they are not its end": Scenario(
        prepared=armed("cosmos", operation="change_feed", kind="empty_page", count=12), facts=(everything_moved,)
    ),
    "pages are so small that there are many: a pass continues as new, and durable history stays small": Scenario(
        settings="tiny pages",
        prepared=_more_rows(20),
        facts=(_history_is_small, everything_moved),
        tidied=_remove_rows,
    ),
    "a row is malformed: quarantined by name while the rest moves; mended and retried, all completes": Scenario(
        prepared=_malformed_row,
        people=then(_named_and_untouched, _remove_row, retry, approve),
        path=f"{NEEDS} {ONWARDS}",
        facts=(everything_moved,),
    ),
    "a row stays malformed: a retry comes to the same, an abort ends it": Scenario(
        prepared=_malformed_row,
        people=then(_named_and_untouched, _came_back, abort),
        path=f"{NEEDS} sweeping needs_attention aborted",
        tidied=_remove_row,
    ),
    "an abort while rows are swept: ended at the next wave of pages, with rows on both versions": Scenario(
        settings="tiny pages",
        prepared=HALFWAY,
        people=then(_some_rows_moved, abort, ONWARD),
        path="requested preflight creating_version sweeping aborted",
        facts=(_some_rows_are_left,),
    ),
    "an abort during pre-flight: ended before a version is made": Scenario(
        prepared=held("functions_host", "preflight"),
        people=then(after("preflight", abort), released("functions_host")),
        path="requested preflight aborted",
    ),
    "a right is taken away in the middle of a sweep: failed": Scenario(
        prepared=HALFWAY,
        people=then(
            _some_rows_moved,
            armed(
                "key_vault",
                operation="unwrap",
                kind="status",
                status=403,
                count=None,
                body={"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByRbac"}}},
            ),
            ONWARD,
            after("failed", disarmed),
        ),
        path="requested preflight creating_version sweeping failed",
        facts=(_failed_with("PermissionMissingError"),),
    ),
}

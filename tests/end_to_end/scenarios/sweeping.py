"""Sweeping: to a fixpoint, whatever writers and the store do meanwhile; and what cannot be rewrapped."""

from tests.end_to_end.facts import everything_moved
from tests.end_to_end.scenario_run import (
    Act,
    Scenario,
    ScenarioRun,
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


async def _some_rows_moved(scenario_run: ScenarioRun) -> None:
    """Wait until the sweep is in its middle."""
    await scenario_run.reaches("sweeping")

    async def in_the_middle() -> bool:
        census, target = await scenario_run.app.census(), (await scenario_run.status())["targetVersion"]
        return 0 < census[target] < census.total()

    await scenario_run.until(in_the_middle)


async def _some_rows_are_left(scenario_run: ScenarioRun) -> None:
    """Rows are on both versions, each readable under its own."""
    census, target = await scenario_run.app.census(), (await scenario_run.status())["targetVersion"]

    assert 0 < census[target] < census.total()


async def _delete_an_unmoved_row(scenario_run: ScenarioRun) -> None:
    target = (await scenario_run.status())["targetVersion"]
    unmoved = scenario_run.app.rows.query_items(
        "SELECT VALUE c.id FROM c WHERE c.mekVersion != @target AND c.createdAt = @made",
        parameters=[{"name": "@target", "value": target}, {"name": "@made", "value": scenario_run.kept["made"]}],
    )
    scenario_run.kept["deleted"] = [str(row) async for row in unmoved][:1]
    for row in scenario_run.kept["deleted"]:
        await scenario_run.app.delete_row(row)


def _more_rows(count: int) -> Act:
    async def more(scenario_run: ScenarioRun) -> None:
        version = await scenario_run.app.newest_version()
        rows = [await scenario_run.app.add_row(version) for _ in range(count)]
        scenario_run.kept["rows"], scenario_run.kept["made"] = rows, (await scenario_run.app.row(rows[0]))["createdAt"]

    return more


async def _deleted_stay_deleted(scenario_run: ScenarioRun) -> None:
    left = {row["id"] async for row in scenario_run.app.rows.read_all_items()}

    assert len(scenario_run.kept["deleted"]) == 1
    assert left.isdisjoint(scenario_run.kept["deleted"])


async def _remove_rows(scenario_run: ScenarioRun) -> None:
    for row in set(scenario_run.kept["rows"]) - set(scenario_run.kept.get("deleted", [])):
        await scenario_run.app.delete_row(row)


async def _split(scenario_run: ScenarioRun) -> None:
    ranges = [found async for found in scenario_run.app.rows.read_feed_ranges()]
    scenario_run.kept["ranges"] = len(ranges)
    scenario_run.app.split_partition()


async def _was_split(scenario_run: ScenarioRun) -> None:
    ranges = [found async for found in scenario_run.app.rows.read_feed_ranges(force_refresh=True)]

    assert len(ranges) == scenario_run.kept["ranges"] + 1


async def _races_were_lost(scenario_run: ScenarioRun) -> None:
    counts = (await scenario_run.status())["counts"]["sweep"]

    assert counts["conflicts"] >= 20


async def _malformed_row(scenario_run: ScenarioRun) -> None:
    scenario_run.kept["row"] = await scenario_run.app.add_row(
        await scenario_run.app.newest_version(), wrappedDek="this is no base64!"
    )
    scenario_run.kept["before"] = await scenario_run.app.row(scenario_run.kept["row"])


async def _named_and_untouched(scenario_run: ScenarioRun) -> None:
    status = await scenario_run.reaches("needs_attention")

    assert [(row["id"], row["reason"]) for row in status["quarantined"]["named"]] == [
        (scenario_run.kept["row"], "malformed_wrap")
    ]
    assert await scenario_run.app.row(scenario_run.kept["row"]) == scenario_run.kept["before"]
    assert (await scenario_run.app.census())[status["targetVersion"]] == (await scenario_run.app.census()).total() - 1
    assert (await scenario_run.app.versions())[scenario_run.old_version] is True
    await scenario_run.hears("needs_attention")


async def _remove_row(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.delete_row(scenario_run.kept["row"])


async def _came_back(scenario_run: ScenarioRun) -> None:
    """A retry that meets the same row needs attention again."""
    await retry(scenario_run)

    async def twice() -> bool:
        return [entry["to"] for entry in (await scenario_run.record())["history"]].count("needs_attention") == 2

    await scenario_run.until(twice)


async def _history_is_small(scenario_run: ScenarioRun) -> None:
    """No event is larger than 64 KiB, no generation has more than 1,000 events, and a pass did continue as new."""
    histories = [scenario_run.app.history(name) for name in scenario_run.app.instances(scenario_run.run_id)]
    runs = [run for history in histories for run in history["generations"]]

    assert max(event["bytes"] for run in runs for event in run["events"]) <= EVENT_BYTES_MAX
    assert max(len(run["events"]) for run in runs) <= EVENTS_MAX
    assert max(run["generation"] for run in runs) > 0


async def _right_is_named(scenario_run: ScenarioRun) -> None:
    assert "PermissionMissingError" in (await scenario_run.status())["detail"]
    await scenario_run.hears("needs_attention")


async def _one_version_was_made(scenario_run: ScenarioRun) -> None:
    assert len(await scenario_run.app.made_by(scenario_run.run_id)) == 1


SCENARIOS = {
    "other writers win twenty races for rows: each row is read again, and all are moved": Scenario(
        prepared=armed("cosmos", operation="patch", kind="etag_race", match="dek_store", count=20),
        facts=(_races_were_lost, everything_moved),
    ),
    "a row is deleted while rows are swept: it stays deleted": Scenario(
        prepared=then(_more_rows(40), HALFWAY),
        callers=then(_some_rows_moved, _delete_an_unmoved_row, ONWARD, approve),
        facts=(_deleted_stay_deleted, everything_moved),
        tidied=_remove_rows,
    ),
    "a partition splits in the middle of a sweep: no row is left behind": Scenario(
        prepared=HALFWAY,
        callers=then(_some_rows_moved, _split, ONWARD, approve),
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
    "a row is malformed: quarantined by name while the rest moves; fixed and retried, all completes": Scenario(
        prepared=_malformed_row,
        callers=then(_named_and_untouched, _remove_row, retry, approve),
        path=f"{NEEDS} {ONWARDS}",
        facts=(everything_moved,),
    ),
    "a row stays malformed: a retry comes to the same, an abort ends it": Scenario(
        prepared=_malformed_row,
        callers=then(_named_and_untouched, _came_back, abort),
        path=f"{NEEDS} sweeping needs_attention aborted",
        tidied=_remove_row,
    ),
    "an abort while rows are swept: ended at the next wave of pages, with rows on both versions": Scenario(
        settings="tiny pages",
        prepared=HALFWAY,
        callers=then(_some_rows_moved, abort, ONWARD),
        path="requested preflight creating_version sweeping aborted",
        facts=(_some_rows_are_left,),
    ),
    "an abort during pre-flight: ended before a version is made": Scenario(
        prepared=held("functions_host", "preflight"),
        callers=then(after("preflight", abort), released("functions_host")),
        path="requested preflight aborted",
    ),
    "a right is taken away in the middle of a sweep: given back and retried, all completes with one version": Scenario(
        prepared=HALFWAY,
        callers=then(
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
            after("needs_attention", _right_is_named),
            disarmed,
            retry,
            approve,
        ),
        path=f"{NEEDS} {ONWARDS}",
        facts=(_one_version_was_made, everything_moved),
    ),
}

"""Retiring and watching: any failure after the disable takes it back."""

from http import HTTPStatus

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
    then,
)

WATCHED = "requested preflight creating_version sweeping soaking awaiting_approval retiring watching"

# After the disable, the first look of the watch waits: harm is done before it is looked for.
LOOK_HELD = held("functions_host", "verify")
LOOK = released("functions_host")


def _reinstated(reason: str) -> Act:
    """Return the fact that the versions are enabled again, tagged, and that people were alerted with this reason."""

    async def fact(scenario_run: ScenarioRun) -> None:
        record = await scenario_run.record()
        properties = await scenario_run.app.keys.get_key(scenario_run.app.mek_name, scenario_run.old_version)
        tags = properties.properties.tags or {}

        assert reason in record["history"][-1]["detail"]
        assert scenario_run.old_version in record["reinstated"]
        assert tags["keyturn-reinstated-by"] == scenario_run.run_id
        await scenario_run.hears("reinstated")

    return fact


async def _disabled(scenario_run: ScenarioRun) -> None:
    """The old version is disabled by now."""
    await scenario_run.reaches("watching")
    assert (await scenario_run.app.versions())[scenario_run.old_version] is False


async def _change_the_evidence(scenario_run: ScenarioRun) -> None:
    """Somebody who may write the database lets the evidence say something else, under the digest that it had."""
    record = await scenario_run.app.runs.read_item(scenario_run.run_id, partition_key=scenario_run.app.keyring)
    record["evidence"]["reason"] = "another one"
    await scenario_run.app.runs.replace_item(record["id"], record)


async def _change_the_policy(scenario_run: ScenarioRun) -> None:
    """The same person lets the record's policy say something else than the evidence does."""
    record = await scenario_run.app.runs.read_item(scenario_run.run_id, partition_key=scenario_run.app.keyring)
    record["policy"]["retain"] = "P90D"
    await scenario_run.app.runs.replace_item(record["id"], record)


async def _has_failed(scenario_run: ScenarioRun) -> None:
    assert (await scenario_run.status())["error"]["type"] == "InvariantError"
    await scenario_run.hears("failed")


async def _is_refused(scenario_run: ScenarioRun) -> None:
    """The approver is told that this is not what was frozen, and the report says so too."""
    answer = await scenario_run.decide()

    assert (answer.status, answer.body["type"]) == (500, "urn:keyturn:problem:evidence-altered")
    assert (await scenario_run.callers.report(scenario_run.run_id))["evidenceIntact"] is False


async def _nothing_is_retired(scenario_run: ScenarioRun) -> None:
    assert (await scenario_run.status())["retired"] == []
    assert (await scenario_run.app.versions())[scenario_run.old_version] is True


async def _order(scenario_run: ScenarioRun) -> None:
    """An operator takes the retirement back; by the time of the answer the version is enabled."""
    answer = await scenario_run.callers.command(scenario_run.run_id, "reinstate")

    assert (answer.status, answer.body["reinstated"]) == (HTTPStatus.ACCEPTED, [scenario_run.old_version])
    assert (await scenario_run.app.versions())[scenario_run.old_version] is True


async def _canary_row_goes_back(scenario_run: ScenarioRun) -> None:
    """Another writer puts the row of a canary back to what it was before the rotation."""
    canary = (await scenario_run.record())["canaries"][0]
    note = await scenario_run.app.notes.read_item(canary["documentId"], partition_key=canary["partition"])
    row = await scenario_run.app.row(note["title"]["dekId"])
    previous = row["previousWrap"]
    await scenario_run.app.rows.replace_item(
        row["id"], {**row, "wrappedDek": previous["wrappedDek"], "mekVersion": previous["mekVersion"]}
    )
    assert await scenario_run.app.unreadable_notes() == [canary["documentId"]]


async def _prepare_stale_row(scenario_run: ScenarioRun) -> None:
    scenario_run.kept["row"] = await scenario_run.app.make_row(scenario_run.old_version)


async def _write_stale_row(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.rows.create_item(scenario_run.kept["row"])


async def _remove_stale_row(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.delete_row(scenario_run.kept["row"]["id"])


async def _retained(scenario_run: ScenarioRun) -> None:
    """The old version is disabled, not deleted, with the rotation and the day until which it is kept in its tags."""
    old = (await scenario_run.app.keys.get_key(scenario_run.app.mek_name, scenario_run.old_version)).properties

    assert old.enabled is False
    assert (old.tags or {})["keyturn-retired-by"] == scenario_run.run_id
    assert "keyturn-retain-until" in (old.tags or {})


async def _outlives_durable_history(scenario_run: ScenarioRun) -> None:
    """Once the workflow's history is purged, the record still answers with everything."""
    callers, key = scenario_run.callers, {"x-functions-key": scenario_run.app.azure.endpoints()["systemKey"]}
    instance = f"/runtime/webhooks/durabletask/instances/rotation-{scenario_run.app.keyring}"

    async def ended() -> bool:  # a moment after its record
        return (await callers.call("GET", instance, headers=key)).status == HTTPStatus.OK

    await scenario_run.until(ended)
    before = [await scenario_run.status(), await callers.report(scenario_run.run_id)]
    purged = await callers.call("DELETE", instance, headers=key)
    gone = await callers.call("GET", instance, headers=key)
    listed = await callers.call("GET", "/api/rotations")

    assert (purged.status, gone.status) == (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
    assert [await scenario_run.status(), await callers.report(scenario_run.run_id)] == before
    assert listed.body["rotations"][0]["rotationId"] == scenario_run.run_id


SCENARIOS = {
    "an operator orders it while the watch looks: reinstated, not completed, and people are alerted": Scenario(
        callers=then(after("awaiting_approval", LOOK_HELD), approve, _disabled, _order, LOOK),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("an operator ordered"),),
    ),
    "all goes well: the old version is kept, disabled and tagged; the record outlives durable history": Scenario(
        facts=(_retained, everything_moved, _outlives_durable_history)
    ),
    "the evidence is changed before its approval: no decision is taken on it, and nothing is retired": Scenario(
        callers=then(after("awaiting_approval", _change_the_evidence), _is_refused, abort),
        path="requested preflight creating_version sweeping soaking awaiting_approval aborted",
        facts=(_nothing_is_retired,),
    ),
    "the policy is changed before the approval: nothing is retired, the rotation fails, people are alerted": Scenario(
        callers=then(after("awaiting_approval", _change_the_policy), approve),
        path="requested preflight creating_version sweeping soaking awaiting_approval retiring failed",
        facts=(_has_failed, _nothing_is_retired),
    ),
    "a probe fails after the disable: reinstated, and people are alerted": Scenario(
        callers=then(
            after("awaiting_approval", armed("backend", operation="health", kind="status", status=503, count=None)),
            approve,
        ),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("probe:"),),
    ),
    "a canary fails after the disable: reinstated, every note is readable, and people are alerted": Scenario(
        callers=then(after("awaiting_approval", LOOK_HELD), approve, _disabled, _canary_row_goes_back, LOOK),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("canary:notes/"),),
    ),
    "a stale writer creates a row after the disable: reinstated": Scenario(
        prepared=_prepare_stale_row,
        callers=then(after("awaiting_approval", LOOK_HELD), approve, _disabled, _write_stale_row, LOOK),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("1 rows are not on the new version"),),
        tidied=_remove_stale_row,
    ),
    "the watch itself may not look any more: reinstated": Scenario(
        callers=then(
            after("awaiting_approval", LOOK_HELD),
            approve,
            _disabled,
            armed("cosmos", operation="query", kind="status", status=403, match="dek_store", count=None),
            LOOK,
            after("reinstated", disarmed),
        ),
        path=f"{WATCHED} reinstated",
        facts=(_reinstated("take_census was not possible"),),
    ),
}

"""Soaking: stale writers are met, every row is proven, and what turns out wrong is taken back."""

import base64
from datetime import UTC, datetime, timedelta

from tests.end_to_end.app_harness import AppHarness
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
    reject,
    released,
    retry,
    then,
)

ASKED = "requested preflight creating_version sweeping soaking awaiting_approval"
NEEDS = "requested preflight creating_version sweeping soaking needs_attention"
ONWARDS = "sweeping soaking awaiting_approval retiring watching completed"

# The soak goes no further than to its first page of rows to prove.
PROOF_HELD = held("functions_host", "prove_page")


async def _stale_write(scenario_run: ScenarioRun) -> None:
    """Write a row that only its last change dates: the database tells seconds, so not in the second of the version."""
    target = (await scenario_run.status())["targetVersion"]
    made = (await scenario_run.app.keys.get_key(scenario_run.app.mek_name, target)).properties.created_on
    assert made is not None

    async def later() -> bool:
        return datetime.now(UTC) >= made + timedelta(seconds=1)

    await scenario_run.until(later)
    scenario_run.kept["row"] = await scenario_run.app.add_row(scenario_run.old_version, createdAt=...)


async def _stale_writer_is_reported(scenario_run: ScenarioRun) -> None:
    """The row was swept, evidence names the writer, and nobody was asked before it had been quiet for three seconds."""
    evidence, record = await scenario_run.evidence(), await scenario_run.record()
    asked = next(entry["at"] for entry in record["history"] if entry["to"] == "awaiting_approval")
    last_seen = datetime.fromisoformat(evidence["staleWriters"]["lastSeen"])

    assert evidence["staleWriters"]["count"] == 1
    assert datetime.fromisoformat(asked) - last_seen >= timedelta(seconds=3)
    assert (await scenario_run.app.row(scenario_run.kept["row"]))["mekVersion"] == evidence["targetVersion"]


def _replica_lag(milliseconds: int) -> Act:
    async def lag(scenario_run: ScenarioRun) -> None:
        scenario_run.app.control("cosmos", "POST", "settings", json={"replicaLagMs": milliseconds})

    return lag


async def _lagging(scenario_run: ScenarioRun) -> None:
    """Let replicas lag, and wait until they show what is there now: the pre-flight needs rows, and has no session."""
    stored = await scenario_run.app.census()
    await _replica_lag(2000)(scenario_run)

    async def shown() -> bool:
        async with AppHarness(scenario_run.app.azure) as newcomer:  # without a session either
            return stored == await newcomer.census()

    await scenario_run.until(shown)


async def _nothing_is_stale_when_asked(scenario_run: ScenarioRun) -> None:
    """At the moment at which people are asked, no row is stale, whatever replicas show."""
    status = await scenario_run.reaches("awaiting_approval")
    await _replica_lag(0)(scenario_run)

    assert set(await scenario_run.app.census()) == {status["targetVersion"]}


async def _remove_row(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.delete_row(scenario_run.kept["row"])


async def _row_of_its_own(scenario_run: ScenarioRun) -> None:
    scenario_run.kept["row"] = await scenario_run.app.add_row(scenario_run.old_version)
    scenario_run.kept["dek"] = await scenario_run.app.dek_of(scenario_run.kept["row"])


async def _tamper(scenario_run: ScenarioRun) -> None:
    """Somebody replaces a rewrapped row's wrap by that of another DEK, before it was proven."""
    row, target = await scenario_run.app.row(scenario_run.kept["row"]), (await scenario_run.status())["targetVersion"]
    assert row["mekVersion"] == target
    other = await scenario_run.app.make_row(target)
    await scenario_run.app.rows.replace_item(row["id"], {**row, "wrappedDek": other["wrappedDek"]})


async def _restored(scenario_run: ScenarioRun) -> None:
    """The row has its previous wrap again and opens to the same DEK; it is named, and nothing goes on."""
    status = await scenario_run.reaches("needs_attention")
    row = await scenario_run.app.row(scenario_run.kept["row"])

    assert [(found["id"], found["reason"]) for found in status["quarantined"]["named"]] == [
        (row["id"], "key_check_mismatch")
    ]
    assert row["mekVersion"] == scenario_run.old_version
    assert await scenario_run.app.dek_of(row["id"]) == scenario_run.kept["dek"]


async def _same_dek(scenario_run: ScenarioRun) -> None:
    assert await scenario_run.app.dek_of(scenario_run.kept["row"]) == scenario_run.kept["dek"]


async def _everything_proven(scenario_run: ScenarioRun) -> None:
    proof = (await scenario_run.evidence())["proof"]

    assert {
        "mode": "all",
        "proven": (await scenario_run.app.census()).total(),
        "quarantined": 0,
        "gone": 0,
        "warning": None,
    } == proof


async def _sample_proven(scenario_run: ScenarioRun) -> None:
    proof = (await scenario_run.evidence())["proof"]

    assert proof["mode"] == "sample:10"
    assert 10 <= proof["proven"] < (await scenario_run.app.census()).total()


async def _nothing_proven(scenario_run: ScenarioRun) -> None:
    proof = (await scenario_run.evidence())["proof"]

    assert (proof["mode"], proof["proven"]) == ("unsafe_off", 0)
    assert "not proven" in proof["warning"]


def _names_in_reason(text: str) -> Act:
    async def named(scenario_run: ScenarioRun) -> None:
        await scenario_run.reaches("needs_attention")
        history = (await scenario_run.record())["history"]

        assert text in history[-1]["detail"]

    return named


async def _note_without_its_row(scenario_run: ScenarioRun) -> None:
    """A document names a DEK whose row somebody has deleted; it is one of those that the app's sample has."""
    found = scenario_run.app.notes.query_items("SELECT TOP 1 * FROM c WHERE IS_DEFINED(c.title)")
    note = await anext(aiter(found))
    scenario_run.kept["row"] = await scenario_run.app.row(note["title"]["dekId"])
    await scenario_run.app.delete_row(scenario_run.kept["row"]["id"])


async def _put_the_row_back(scenario_run: ScenarioRun) -> None:
    if "row" in scenario_run.kept:
        await scenario_run.app.rows.create_item(scenario_run.kept.pop("row"))


async def _is_a_wrap(scenario_run: ScenarioRun) -> None:
    assert base64.b64decode((await scenario_run.app.row(scenario_run.kept["row"]))["wrappedDek"])


SCENARIOS = {
    "a stale writer creates a row while soaking: swept, reported with its time, and quiet starts anew": Scenario(
        settings="long soak",
        callers=then(after("soaking", _stale_write), reject),
        path=f"{ASKED} rejected",
        facts=(_stale_writer_is_reported,),
        tidied=_remove_row,
    ),
    "replicas lag two seconds behind: nobody is asked while a row of the sweep is stale": Scenario(
        prepared=_lagging,
        callers=then(_nothing_is_stale_when_asked, reject),
        path=f"{ASKED} rejected",
        tidied=_replica_lag(0),
    ),
    "replicas lag, and a stale writer creates a row while soaking: nobody is asked while it is stale": Scenario(
        settings="long soak",
        prepared=_lagging,
        callers=then(after("soaking", _stale_write), _nothing_is_stale_when_asked, reject),
        path=f"{ASKED} rejected",
        facts=(_stale_writer_is_reported,),
        tidied=then(_replica_lag(0), _remove_row),
    ),
    "an abort while soaking: ended without anybody being asked": Scenario(
        prepared=PROOF_HELD,
        callers=then(after("soaking", abort), released("functions_host")),
        path="requested preflight creating_version sweeping soaking aborted",
    ),
    "a rewrapped row holds another DEK: its previous wrap is restored, the run stops, and a retry fixes it": Scenario(
        prepared=then(_row_of_its_own, PROOF_HELD),
        callers=then(after("soaking", _tamper), released("functions_host"), _restored, retry, approve),
        path=f"{NEEDS} {ONWARDS}",
        facts=(everything_moved, _same_dek, _is_a_wrap),
        tidied=_remove_row,
    ),
    "every row is proven, and evidence says how many": Scenario(
        callers=reject, path=f"{ASKED} rejected", facts=(_everything_proven,)
    ),
    "the policy asks for a sample of ten: at least so many are proven, not all, and evidence says how many": Scenario(
        settings="sample of ten", callers=reject, path=f"{ASKED} rejected", facts=(_sample_proven,)
    ),
    "the policy switches the proof off: nothing is proven, and evidence warns": Scenario(
        settings="no proof", callers=reject, path=f"{ASKED} rejected", facts=(_nothing_proven,)
    ),
    "a probe of the backend fails: nobody is asked before it answers again": Scenario(
        prepared=armed("backend", operation="readiness", kind="status", status=503, count=None),
        callers=then(_names_in_reason("probe:"), disarmed, retry, reject),
        path=f"{NEEDS} sweeping soaking awaiting_approval rejected",
    ),
    "a document names a DEK that the store lacks: nobody is asked before the row is back": Scenario(
        prepared=_note_without_its_row,
        callers=then(_names_in_reason("references:notes"), _put_the_row_back, retry, reject),
        path=f"{NEEDS} sweeping soaking awaiting_approval rejected",
        tidied=_put_the_row_back,
    ),
}

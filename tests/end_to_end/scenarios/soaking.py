"""Soaking: stale writers are met, every row is proven, and what turns out wrong is taken back."""

import base64
from datetime import UTC, datetime, timedelta

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
    reject,
    released,
    retry,
    then,
)
from tests.end_to_end.stage import Stage

ASKED = "requested preflight creating_version sweeping soaking awaiting_approval"
NEEDS = "requested preflight creating_version sweeping soaking needs_attention"
ONWARDS = "sweeping soaking awaiting_approval retiring watching completed"

# The soak goes no further than to its first page of rows to prove.
PROOF_HELD = held("functions_host", "prove_page")


async def _stale_write(play: Play) -> None:
    """Write a row that only its last change dates: the database tells seconds, so not in the second of the version."""
    target = (await play.status())["targetVersion"]
    made = (await play.stage.keys.get_key(play.stage.mek_name, target)).properties.created_on
    assert made is not None

    async def later() -> bool:
        return datetime.now(UTC) >= made + timedelta(seconds=1)

    await play.until(later)
    play.kept["row"] = await play.stage.add_row(play.old_version, createdAt=...)


async def _stale_writer_is_reported(play: Play) -> None:
    """The row was swept, evidence names the writer, and nobody was asked before it had been quiet for three seconds."""
    evidence, record = await play.evidence(), await play.record()
    asked = next(entry["at"] for entry in record["history"] if entry["to"] == "awaiting_approval")
    last_seen = datetime.fromisoformat(evidence["staleWriters"]["lastSeen"])

    assert evidence["staleWriters"]["count"] == 1
    assert datetime.fromisoformat(asked) - last_seen >= timedelta(seconds=3)
    assert (await play.stage.row(play.kept["row"]))["mekVersion"] == evidence["targetVersion"]


def _replica_lag(milliseconds: int) -> Act:
    async def lag(play: Play) -> None:
        play.stage.control("cosmos", "POST", "settings", json={"replicaLagMs": milliseconds})

    return lag


async def _lagging(play: Play) -> None:
    """Let replicas lag, and wait until they show what is there now: the pre-flight needs rows, and has no session."""
    stored = await play.stage.census()
    await _replica_lag(2000)(play)

    async def shown() -> bool:
        async with Stage(play.stage.azure) as newcomer:  # without a session either
            return stored == await newcomer.census()

    await play.until(shown)


async def _nothing_is_stale_when_asked(play: Play) -> None:
    """At the moment at which people are asked, no row is stale, whatever replicas show."""
    status = await play.reaches("awaiting_approval")
    await _replica_lag(0)(play)

    assert set(await play.stage.census()) == {status["targetVersion"]}


async def _remove_row(play: Play) -> None:
    await play.stage.delete_row(play.kept["row"])


async def _row_of_its_own(play: Play) -> None:
    play.kept["row"] = await play.stage.add_row(play.old_version)
    play.kept["dek"] = await play.stage.dek_of(play.kept["row"])


async def _tamper(play: Play) -> None:
    """Somebody replaces a rewrapped row's wrap by that of another DEK, before it was proven."""
    row, target = await play.stage.row(play.kept["row"]), (await play.status())["targetVersion"]
    assert row["mekVersion"] == target
    other = await play.stage.make_row(target)
    await play.stage.rows.replace_item(row["id"], {**row, "wrappedDek": other["wrappedDek"]})


async def _restored(play: Play) -> None:
    """The row has its previous wrap again and opens to the same DEK; it is named, and nothing goes on."""
    status = await play.reaches("needs_attention")
    row = await play.stage.row(play.kept["row"])

    assert [(found["id"], found["reason"]) for found in status["quarantined"]["named"]] == [
        (row["id"], "key_check_mismatch")
    ]
    assert row["mekVersion"] == play.old_version
    assert await play.stage.dek_of(row["id"]) == play.kept["dek"]


async def _same_dek(play: Play) -> None:
    assert await play.stage.dek_of(play.kept["row"]) == play.kept["dek"]


async def _everything_proven(play: Play) -> None:
    proof = (await play.evidence())["proof"]

    assert proof == {
        "mode": "all",
        "proven": (await play.stage.census()).total(),
        "quarantined": 0,
        "gone": 0,
        "warning": None,
    }


async def _sample_proven(play: Play) -> None:
    proof = (await play.evidence())["proof"]

    assert proof["mode"] == "sample:10"
    assert 10 <= proof["proven"] < (await play.stage.census()).total()


async def _nothing_proven(play: Play) -> None:
    proof = (await play.evidence())["proof"]

    assert (proof["mode"], proof["proven"]) == ("unsafe_off", 0)
    assert "not proven" in proof["warning"]


def _names_in_reason(text: str) -> Act:
    async def named(play: Play) -> None:
        await play.reaches("needs_attention")
        history = (await play.record())["history"]

        assert text in history[-1]["detail"]

    return named


async def _note_without_its_row(play: Play) -> None:
    """A document names a DEK whose row somebody has deleted."""
    note = await play.stage.notes.read_item("note-000007", partition_key="workspace-7")
    play.kept["row"] = await play.stage.row(note["title"]["dekId"])
    await play.stage.delete_row(play.kept["row"]["id"])


async def _put_the_row_back(play: Play) -> None:
    if "row" in play.kept:
        await play.stage.rows.create_item(play.kept.pop("row"))


async def _is_a_wrap(play: Play) -> None:
    assert base64.b64decode((await play.stage.row(play.kept["row"]))["wrappedDek"])


SCENARIOS = {
    "a stale writer creates a row while soaking: swept, reported with its time, and quiet starts anew": Scenario(
        settings="long soak",
        people=then(after("soaking", _stale_write), reject),
        path=f"{ASKED} rejected",
        facts=(_stale_writer_is_reported,),
        tidied=_remove_row,
    ),
    "replicas lag two seconds behind: nobody is asked while a row of the sweep is stale": Scenario(
        prepared=_lagging,
        people=then(_nothing_is_stale_when_asked, reject),
        path=f"{ASKED} rejected",
        tidied=_replica_lag(0),
    ),
    "replicas lag, and a stale writer creates a row while soaking: nobody is asked while it is stale": Scenario(
        settings="long soak",
        prepared=_lagging,
        people=then(after("soaking", _stale_write), _nothing_is_stale_when_asked, reject),
        path=f"{ASKED} rejected",
        facts=(_stale_writer_is_reported,),
        tidied=then(_replica_lag(0), _remove_row),
    ),
    "an abort while soaking: ended without anybody being asked": Scenario(
        prepared=PROOF_HELD,
        people=then(after("soaking", abort), released("functions_host")),
        path="requested preflight creating_version sweeping soaking aborted",
    ),
    "a rewrapped row holds another DEK: its previous wrap is restored, the run stops, and a retry mends it": Scenario(
        prepared=then(_row_of_its_own, PROOF_HELD),
        people=then(after("soaking", _tamper), released("functions_host"), _restored, retry, approve),
        path=f"{NEEDS} {ONWARDS}",
        facts=(everything_moved, _same_dek, _is_a_wrap),
        tidied=_remove_row,
    ),
    "every row is proven, and evidence says how many": Scenario(
        people=reject, path=f"{ASKED} rejected", facts=(_everything_proven,)
    ),
    "the policy asks for a sample of ten: at least so many are proven, not all, and evidence says how many": Scenario(
        settings="sample of ten", people=reject, path=f"{ASKED} rejected", facts=(_sample_proven,)
    ),
    "the policy switches the proof off: nothing is proven, and evidence warns": Scenario(
        settings="no proof", people=reject, path=f"{ASKED} rejected", facts=(_nothing_proven,)
    ),
    "a probe of the backend fails: nobody is asked before it answers again": Scenario(
        prepared=armed("backend", operation="readiness", kind="status", status=503, count=None),
        people=then(_names_in_reason("probe:"), disarmed, retry, reject),
        path=f"{NEEDS} sweeping soaking awaiting_approval rejected",
    ),
    "a document names a DEK that the store lacks: nobody is asked before the row is back": Scenario(
        prepared=_note_without_its_row,
        people=then(_names_in_reason("references:notes"), _put_the_row_back, retry, reject),
        path=f"{NEEDS} sweeping soaking awaiting_approval rejected",
        tidied=_put_the_row_back,
    ),
}

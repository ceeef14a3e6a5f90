"""The audit of a whole rotation as outsiders have it: the receiver of events, the key version's tag, the messages."""

import json
from typing import Any

import pytest

from keyturn.audit.chain import Head, head_of
from keyturn.audit.verify import verify_chain
from keyturn.runs.audit import HEAD_TAG
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.waits import WANTED, all_heads
from tests.invariants.traces import delivered

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


async def export(app: AppHarness, run_id: str) -> list[str]:
    """Return the rotation's chain, one event a line."""
    answer = await app.callers.call("GET", f"/api/rotations/{run_id}/audit")
    assert answer.status == 200
    return list(answer.body.splitlines())


def falsifications(lines: list[str]) -> dict[str, tuple[list[str], str, int]]:
    """Return the chain falsified in one event, with the problem and the sequence that must be named."""
    at = len(lines) // 2  # the event of the sequence at + 1
    event: dict[str, Any] = json.loads(lines[at])
    changed = json.dumps({**event, "data": {**event["data"], "by": "nobody"}})
    return {
        "change": ([*lines[:at], changed, *lines[at + 1 :]], "changed", at + 1),
        "drop": ([*lines[:at], *lines[at + 1 :]], "dropped", at + 1),
        "swap": ([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]], "swapped", at + 2),
        "insert": ([*lines[: at + 1], lines[at], *lines[at + 1 :]], "inserted", at + 1),
        "cut off": (lines[:at], "truncated", at + 1),
    }


async def test_what_outsiders_have_shows_every_falsification(app: AppHarness) -> None:
    """The tag of the new version holds the last head, every message the head of its time: all are borne out.

    An event that was changed, dropped, swapped with the next or put in again is named, and so is an end cut off.
    """
    status = await app.rotate()
    run_id = status["rotationId"]
    heads = await all_heads(app, run_id)
    lines = await export(app, run_id)
    events = [json.loads(line) for line in lines]
    key = await app.keys.get_key(app.mek_name, status["targetVersion"])
    anchored = Head.parse((key.properties.tags or {})[HEAD_TAG])
    [frozen] = [head_of(event) for event in events if event["type"].endswith("evidence_frozen")]

    assert head_of(events[-1]) == anchored
    assert frozen.sequence < heads[WANTED].sequence
    for head in (anchored, *heads.values()):
        assert verify_chain(lines, head).broken is None
    for way, (falsified, problem, sequence) in falsifications(lines).items():
        broken = verify_chain(falsified, anchored).broken
        assert broken is not None, way
        assert (broken.problem, broken.sequence) == (problem, sequence), way


@pytest.mark.timeout(400)  # the longer the outage, the longer the wait for the next attempt
async def test_a_receiver_that_was_down_for_the_whole_rotation_misses_nothing(
    azure: LocalAzure, app: AppHarness
) -> None:
    """The rotation completes all the same; then every event arrives, in order, once, as it is in the chain."""
    azure.processes["actiontrail"].kill()
    try:
        run_id = (await app.rotate())["rotationId"]
        await all_heads(app, run_id)
    finally:
        azure.start("actiontrail")

    arrived = await delivered(app, run_id)

    lines = await export(app, run_id)
    assert [json.loads(line) for line in lines] == arrived
    assert {"completed", "requested"} <= {event["data"].get("to") for event in arrived}

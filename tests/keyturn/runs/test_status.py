"""What the status makes of a run's record: numbers that are known, and null where nothing is."""

from datetime import timedelta

import pytest

from keyturn.contracts.base import StepInput
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.rotation.status import accepted, report, status
from keyturn.runs.record_parts import (
    Check,
    Preflight,
)
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step
from tests.keyturn.runs.lifecycle import NOW, bring_to, start_run, step_to
from tests.keyturn.runs.waves import report_wave, sweeping


async def test_status_tells_percent_rate_and_time_left(runs: RotationStore) -> None:
    """50 of 200 rows in 10 seconds: 25 percent, 5 rows a second, 30 seconds to go."""
    record = await sweeping(runs)

    seen = status(await report_wave(runs, record, 1, at=NOW + timedelta(seconds=10), changed=50))

    assert (seen.phase, seen.percent, seen.rows_per_second, seen.eta_seconds) == ("sweep", 25.0, 5.0, 30.0)
    assert (seen.counts["sweep"].rows_total, seen.foreign) == (200, 10)


async def test_status_invents_nothing(runs: RotationStore) -> None:
    """Without a census, time or rows there is no percentage, rate or time left."""
    fresh = status(await start_run(runs))
    uncounted = status(await report_wave(runs, await sweeping(runs, None), 1, at=NOW + timedelta(seconds=1), changed=2))
    record = await sweeping(runs)
    idle = status(await report_wave(runs, record, 1, at=NOW + timedelta(seconds=1), changed=0))
    instant = status(await report_wave(runs, record, 2, at=NOW, changed=5))

    assert (
        fresh.phase,
        fresh.percent,
        fresh.rows_per_second,
        fresh.eta_seconds,
        fresh.counts,
    ) == ("requested", None, None, None, {})
    assert (uncounted.percent, uncounted.rows_per_second, uncounted.eta_seconds) == (None, 2.0, None)
    assert (idle.percent, idle.rows_per_second, idle.eta_seconds) == (0.0, None, None)
    assert (instant.rows_per_second, instant.eta_seconds) == (None, None)


async def test_more_rows_than_there_were_are_still_a_hundred_percent(runs: RotationStore) -> None:
    """Writers create rows while the sweep runs; percentages and times stay sensible."""
    record = await sweeping(runs)

    seen = status(await report_wave(runs, record, 1, at=NOW + timedelta(seconds=10), changed=300))

    assert (seen.percent, seen.eta_seconds) == (100.0, 0.0)


@pytest.mark.parametrize(("proof", "total"), [("all", 40), ("sample:15", 15), ("sample:99", 40)])
async def test_the_proof_has_its_own_total(runs: RotationStore, proof: str, total: int) -> None:
    """All rows on the target are proven, or as many as the policy samples."""
    census = CensusResult(total=40, on_target=40, stale=0, unlabelled=0, foreign=0, by_version={"new": 40})
    record = await step_to(runs, await sweeping(runs, census, proof=proof), State.SOAKING)

    seen = status(await report_wave(runs, record, 1, phase="proof", at=NOW + timedelta(seconds=5), changed=10))

    assert (seen.phase, seen.counts["proof"].rows_total, seen.rows_per_second) == ("proof", total, 2.0)


async def test_rates_are_given_only_of_what_is_under_way(runs: RotationStore) -> None:
    """When the sweep is over its counts stay, and its rate is history."""
    record = await sweeping(runs)
    await report_wave(runs, record, 1, at=NOW + timedelta(seconds=10), changed=200)

    seen = status(await step_to(runs, record, State.NEEDS_ATTENTION))

    assert (seen.phase, seen.percent, seen.rows_per_second) == ("needs_attention", None, None)
    assert seen.counts["sweep"].percent == 100.0


async def test_status_names_failed_checks_and_where_to_go(runs: RotationStore) -> None:
    """A blocked rotation says which checks failed; the approvals link is there only while it is waited for."""
    waiting = status(await bring_to(runs, State.AWAITING_APPROVAL))
    record = await bring_to(runs, State.BLOCKED)
    checks = [Check(name="mek", outcome="pass"), Check(name="backup", outcome="fail", hint="switch it on")]
    record = await runs.update(record.run_id, lambda run: run.changed(preflight=Preflight(at=NOW, checks=checks)))

    blocked = status(record)

    assert blocked.failed_checks == ["backup"]
    assert (blocked.links.status, blocked.links.approvals) == (f"/api/rotations/{record.run_id}", None)
    assert waiting.links.approvals == "/api/approvals"


async def test_status_tells_why_the_state_is_what_it_is(runs: RotationStore) -> None:
    """Whoever finds a rotation waiting reads the reason beside the state."""
    record = await bring_to(runs, State.SWEEPING)
    step = StepInput(
        run=record.ref, step=record.step + 1, target=State.NEEDS_ATTENTION, detail="2 rows cannot be rewrapped"
    )

    assert status(record).detail == ""
    assert status(await record_step(runs, step, NOW)).detail == "2 rows cannot be rewrapped"


async def test_the_answer_to_a_start_never_changes(runs: RotationStore) -> None:
    """A replay of the first answer is the first answer, however far the rotation is."""
    record = await start_run(runs)
    first = accepted(record)
    for target in (State.PREFLIGHT, State.BLOCKED):
        record = await step_to(runs, record, target)

    assert accepted(record) == first


async def test_the_report_is_the_whole_record(runs: RotationStore) -> None:
    """Evidence, decisions and history are in the report, the document's ETag is not."""
    record = await bring_to(runs, State.COMPLETED)

    whole = report(record).to_payload()

    assert record.to_document() == whole["record"]
    assert whole["record"]["evidence"]["rotationId"] == record.run_id
    assert "etag" not in whole["record"]
    assert whole["status"]["state"] == "completed"

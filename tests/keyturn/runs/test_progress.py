"""Progress in the record, and what the status makes of it: numbers that are known, and null where nothing is."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts.base import TEXT_BYTES_MAX, Policy, StepInput
from keyturn.contracts.pages import PageResult, QuarantinedRow
from keyturn.contracts.passes import CensusResult, ProgressInput
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import DOCUMENT_BYTES_MAX
from keyturn.errors import FencedError
from keyturn.rotation.status import accepted, report, status
from keyturn.runs.progress import record_progress, record_quarantined, sampled, with_quarantined
from keyturn.runs.record_parts import (
    CANARIES_MAX,
    CHECKS_MAX,
    COMMANDS_MAX,
    DECISIONS_MAX,
    HISTORY_MAX,
    NAMED_ROWS_MAX,
    PROBES_MAX,
    SAMPLES_MAX,
    Canary,
    Check,
    Command,
    Decision,
    HistoryEntry,
    Preflight,
    Probe,
    Quarantined,
    Sample,
)
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose, record_step
from tests.keyturn.runs.lifecycle import NOW, POLICY, bring_to, make_record, start_run, step_to

STALE = CensusResult(total=210, on_target=0, stale=200, unlabelled=3, foreign=10, by_version={"old": 197, "": 3})


async def sweeping(runs: RotationStore, census: CensusResult | None = STALE, **policy: Any) -> RotationRecord:
    """Return a run that sweeps, with the census of its pre-flight."""
    record = await bring_to(runs, State.SWEEPING)
    changed = {"census": census, "policy": Policy(**{**dict(POLICY), **policy})}
    return await runs.update(record.run_id, lambda run: run.changed(**changed))


async def report_wave(
    runs: RotationStore,
    record: RotationRecord,
    wave: int,
    *,
    began: datetime = NOW,
    at: datetime = NOW,
    phase: str = "sweep",
    number: int = 1,
    token: int | None = None,
    final: bool = False,
    **totals: Any,
) -> RotationRecord:
    """Report a wave of a pass, as the workflow does."""
    progress = ProgressInput.model_validate(
        {
            "run": record.ref.model_copy(update={"fencing_token": record.fencing_token if token is None else token}),
            "phase": phase,
            "pass_number": number,
            "pass_started_at": began,
            "wave": wave,
            "scanned": wave * 100,
            "totals": PageResult(**totals),
            "session_tokens": [],
            "final": final,
        }
    )
    return await record_progress(runs, progress, at)


async def test_progress_is_absolute_and_a_repetition_changes_nothing(runs: RotationStore) -> None:
    """The same wave twice, or an earlier one late, leaves the record as the newest wave wrote it."""
    record = await sweeping(runs)
    await report_wave(runs, record, 1, changed=50)
    newest = await report_wave(runs, record, 2, changed=90, conflicts=1, throttled=2, vault_operations=95)

    await report_wave(runs, record, 2, changed=90, at=NOW + timedelta(hours=1))
    await report_wave(runs, record, 1, changed=50)

    assert await runs.read(record.run_id) == newest
    assert (
        newest.progress["sweep"].pass_number,
        newest.progress["sweep"].wave,
        newest.progress["sweep"].scanned,
        newest.progress["sweep"].current.changed,
    ) == (1, 2, 200, 90)


async def test_passes_add_up_and_a_late_wave_of_an_earlier_pass_is_left_out(runs: RotationStore) -> None:
    """Each pass counts from zero; their sum is what was done, whatever comes late or twice."""
    record = await sweeping(runs)
    second, third = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    await report_wave(runs, record, 2, changed=150, stale_writers=1, last_stale_write=NOW)
    await report_wave(runs, record, 1, began=second, number=2, changed=40, stale_writers=2, last_stale_write=second)
    await report_wave(runs, record, 3, changed=170)
    # The sweeps of a later state number their passes from one again.
    done = await report_wave(runs, record, 1, began=third, number=1, changed=0)

    counts = status(done).counts["sweep"]
    assert (counts.changed, counts.pass_number, counts.wave) == (190, 1, 1)
    assert (done.stale_writers.count, done.stale_writers.last_seen) == (3, second)


async def test_another_runs_progress_is_fenced_and_an_ended_rotation_makes_none(runs: RotationStore) -> None:
    """A workflow that lost its run writes nothing, and what comes after the end is too late."""
    record = await sweeping(runs)
    with pytest.raises(FencedError):
        await report_wave(runs, record, 1, changed=1, token=0)
    ended = await lose(runs, record.run_id, "lost", NOW)

    with pytest.raises(FencedError):
        await report_wave(runs, record, 1, changed=1)
    assert (await runs.read(record.run_id)).progress == ended.progress == {}


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


async def test_rates_are_told_only_of_what_is_under_way(runs: RotationStore) -> None:
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


async def test_quarantined_rows_are_named_once_and_counted_beyond_a_hundred(runs: RotationStore) -> None:
    """The same row twice is one; the first hundred are named, and the pass's own count goes beyond them."""
    record = await sweeping(runs)
    rows = [QuarantinedRow(id=f"row-{number}", reason="malformed") for number in range(150)]
    record = await runs.update(record.run_id, lambda run: with_quarantined(run, rows[:2]))
    assert record is with_quarantined(record, rows[:2])
    named = with_quarantined(record, rows)
    await runs.update(record.run_id, lambda run: with_quarantined(run, rows))

    counted = await report_wave(runs, record, 1, quarantined=150)

    assert NAMED_ROWS_MAX == named.quarantined.count == len(named.quarantined.named)
    assert named is with_quarantined(named, rows)
    assert (150, rows[:NAMED_ROWS_MAX]) == (counted.quarantined.count, counted.quarantined.named)


ROW, OTHER = QuarantinedRow(id="row", reason="malformed_wrap"), QuarantinedRow(id="other", reason="unproven")
SECOND = NOW + timedelta(minutes=1)


async def quarantine(
    runs: RotationStore, record: RotationRecord, *rows: QuarantinedRow, began: datetime | None = NOW
) -> RotationRecord:
    """Name rows, as a page of the pass that began then does."""
    await record_quarantined(runs, record.ref, rows, began)
    return await runs.read(record.run_id)


async def test_a_row_that_was_repaired_is_quarantined_no_longer(runs: RotationStore) -> None:
    """The next pass over all rows finds none, and the run goes on to its retirement."""
    record = await quarantine(runs, await sweeping(runs), ROW)
    first = await report_wave(runs, record, 1, quarantined=1, final=True)

    clean = await report_wave(runs, record, 1, began=SECOND, number=2, final=True)
    late = await quarantine(runs, record, ROW)

    assert (first.quarantined.count, clean.quarantined, late) == (1, Quarantined(since=SECOND), clean)
    for target in (State.SOAKING, State.AWAITING_APPROVAL, State.RETIRING):
        record = await step_to(runs, record if target is not State.SOAKING else clean, target)
    assert record.state is State.RETIRING


async def test_the_rows_of_the_newest_pass_count(runs: RotationStore) -> None:
    """A page of the newer pass replaces what the older one met, and the last wave counts exactly what the pass has."""
    record = await quarantine(runs, await sweeping(runs), ROW, OTHER)
    newer = await quarantine(runs, record, OTHER, began=SECOND)

    # The page ran twice, and the row was repaired in between.
    wave = await report_wave(runs, record, 1, began=SECOND, number=2, quarantined=0)
    last = await report_wave(runs, record, 2, began=SECOND, number=2, quarantined=0, final=True)

    assert (newer.quarantined.named, wave.quarantined.count) == ([OTHER], 1)
    assert (last.quarantined.count, last.quarantined.named) == (0, [])


async def test_what_a_proof_met_no_sweep_takes_away(runs: RotationStore) -> None:
    """A sweep does not look at rows on the target: only the proof can tell that one of them is sound again."""
    record = await quarantine(runs, await sweeping(runs), OTHER, began=None)

    swept = await report_wave(runs, record, 1, began=SECOND, number=2, final=True)
    both = await quarantine(runs, swept, ROW, began=SECOND)

    assert (swept.quarantined.count, swept.quarantined.named) == (1, [OTHER])
    assert (both.quarantined.count, both.quarantined.named) == (2, [OTHER, ROW])


def test_the_largest_record_stays_within_its_bound() -> None:
    """Every part at its bound, in characters of two bytes, is still a document that the database takes."""
    long, name = "ü" * 2000, "ü" * 200
    wide = "ü" * 500  # an id is at most 1,023 bytes
    rows = [QuarantinedRow(id=f"{wide}{number}", reason="r" * 64, mek_version="v" * 256) for number in range(200)]
    record = with_quarantined(make_record(), rows)
    canary = Canary(container=name, document_id=wide, partition=wide, outcome="pass", detail=long)
    probe = Probe(url="u" * 2000, outcome="pass", detail=long)
    command = Command(command="retry", by=name, at=NOW, step=1)
    decision = Decision(decision="approved", by=name, digest="0" * 64, at=NOW, webhook_id=name, comment=wide)
    entry = HistoryEntry(at=NOW, source=State.SOAKING, target=State.SWEEPING, step=1, actor=name, detail=long)

    full = record.changed(
        history=[entry] * HISTORY_MAX,
        preflight=Preflight(at=NOW, checks=[Check(name=name, outcome="fail", detail=long, hint=long)] * CHECKS_MAX),
        canaries=[canary] * CANARIES_MAX,
        probes=[probe] * PROBES_MAX,
        evidence={"canaries": [canary.to_payload()] * CANARIES_MAX, "probes": [probe.to_payload()] * PROBES_MAX},
        commands=[command] * COMMANDS_MAX,
        decision=decision,
        decisions=[decision] * DECISIONS_MAX,
        retired=["v" * 32] * 500,
        old_versions=["v" * 32] * 500,
    )

    assert len(full.model_dump_json(by_alias=True).encode()) < DOCUMENT_BYTES_MAX


def test_a_detail_that_is_too_long_is_cut_between_characters() -> None:
    """Our own texts are cut to their bound in bytes, and stay text."""
    check = Check(name="n", outcome="fail", detail="ü" * 2000)

    assert check.detail.endswith("ü…")
    assert len(check.detail.encode()) in (TEXT_BYTES_MAX - 1, TEXT_BYTES_MAX)


async def test_rows_over_time_are_kept_once_a_wave(runs: RotationStore) -> None:
    """Over all passes; the same wave again adds nothing."""
    record, second = await sweeping(runs), NOW + timedelta(seconds=9)
    await report_wave(runs, record, 1, at=NOW + timedelta(seconds=4), changed=100)
    for _ in range(2):
        await report_wave(runs, record, 2, at=NOW + timedelta(seconds=8), changed=190)
    await report_wave(runs, record, 1, began=second, at=NOW + timedelta(seconds=12), number=2, changed=10)

    found = (await runs.read(record.run_id)).progress["sweep"].samples
    assert [((one.at - NOW).total_seconds(), one.rows) for one in found] == [(4, 100), (8, 190), (12, 200)]


@pytest.mark.parametrize("waves", [1, SAMPLES_MAX, SAMPLES_MAX + 1, 10 * SAMPLES_MAX])
def test_samples_are_bounded_and_reach_from_the_first_wave_to_the_last(waves: int) -> None:
    """However many waves: what is left out is from between."""
    samples: list[Sample] = []
    for number in range(waves):
        samples = sampled(samples, Sample(at=NOW + timedelta(seconds=number), rows=number))

    assert (samples[0].rows, samples[-1].rows) == (0, waves - 1)
    assert min(waves, SAMPLES_MAX // 2) <= len(samples) <= SAMPLES_MAX
    assert samples == sorted(samples, key=lambda one: one.at)

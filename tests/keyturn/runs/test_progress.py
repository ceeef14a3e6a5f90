"""Progress in the record: absolute, in passes that add up, and within a bound."""

from datetime import timedelta

import pytest

from keyturn.contracts.base import TEXT_BYTES_MAX
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import DOCUMENT_BYTES_MAX
from keyturn.errors import FencedError
from keyturn.rotation.status import status
from keyturn.runs.progress import sampled, with_quarantined
from keyturn.runs.record_parts import (
    CANARIES_MAX,
    CHECKS_MAX,
    COMMANDS_MAX,
    DECISIONS_MAX,
    HISTORY_MAX,
    PROBES_MAX,
    SAMPLES_MAX,
    Canary,
    Check,
    Command,
    Decision,
    HistoryEntry,
    Preflight,
    Probe,
    Sample,
)
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose
from tests.keyturn.runs.lifecycle import NOW, make_record
from tests.keyturn.runs.waves import report_wave, sweeping


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

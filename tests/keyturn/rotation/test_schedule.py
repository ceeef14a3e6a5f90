"""The schedule: when a rotation is due, and what the tick starts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import pytest

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.contracts.states import TRANSITIONS, State
from keyturn.errors import SettingsError
from keyturn.key_vault.versions import ROTATION_TAG
from keyturn.rotation.due import REQUESTER, start_due
from keyturn.rotation.schedule import due, last_began, latest_occurrence, next_occurrence
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, bring_to, make_record, monthly, new_keyring, start_run, workflows

MONTHLY = "0 0 3 1 * *"


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a time of 2026 in UTC."""
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


class Case(NamedTuple):
    """When the last rotation began, what time it is, and which occurrence is due."""

    began: datetime | None
    now: datetime
    occurrence: datetime | None


CASES: Mapping[str, Case] = {
    "never rotated: the newest occurrence is due": Case(None, at(3, 15), at(3, 1, 3)),
    "rotated since the newest occurrence: nothing is due": Case(at(3, 1, 5), at(3, 31), None),
    "the next occurrence has passed: it is due": Case(at(3, 1, 5), at(4, 1, 5), at(4, 1, 3)),
    "the occurrence is this very second: it is due": Case(at(3, 1, 5), at(4, 1, 3), at(4, 1, 3)),
    "the occurrence is the next second: nothing is due": Case(at(3, 1, 5), at(4, 1, 2, 59, 59), None),
    "began at the very occurrence: it is done": Case(at(4, 1, 3), at(4, 1, 5), None),
    "began a second before the occurrence: it is due": Case(at(4, 1, 2, 59, 59), at(4, 1, 3), at(4, 1, 3)),
    "several months were missed: one is caught up": Case(at(1, 1, 5), at(7, 20), at(7, 1, 3)),
    "a rotation by hand in the middle of the month does not replace the next": Case(
        at(3, 15), at(4, 1, 5), at(4, 1, 3)
    ),
    "the clock's zone does not matter": Case(
        at(3, 1, 5), at(4, 1, 3).astimezone(timezone(timedelta(hours=-8))), at(4, 1, 3)
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_a_rotation_is_due_or_not(sentence: str) -> None:
    """Each sentence of the table holds for the monthly schedule."""
    case = CASES[sentence]

    assert due(MONTHLY, case.began, case.now) == case.occurrence


@pytest.mark.parametrize(
    ("schedule", "occurrence"),
    [
        ("30 15 4 * * *", at(3, 14, 4, 15, 30)),
        ("0 */10 * * * *", at(3, 14, 12, 0)),
        ("0 0 3 1 1,7 *", at(1, 1, 3)),
        ("0 0 3 * * MON", at(3, 9, 3)),
        ("0 0 3 * * 0", at(3, 8, 3)),
        # Both must match, as NCRONTAB says: the newest 13th that is a Friday.
        ("0 0 3 13 * 5", at(3, 13, 3)),
        ("0 0 3 13 * 1", datetime(2025, 10, 13, 3, tzinfo=UTC)),
    ],
)
def test_schedules_mean_what_the_platforms_timers_mean(schedule: str, occurrence: datetime) -> None:
    """Six fields, seconds first, and day of month and day of week both hold."""
    assert latest_occurrence(schedule, at(3, 14, 12, 5)) == occurrence


@pytest.mark.parametrize("schedule", ["", "0 3 1 * *", "0 0 3 32 * *", "monthly", "0 0 3 1 * * 2026"])
def test_a_schedule_that_is_none_is_the_operators_to_fix(schedule: str) -> None:
    """The error names the variable, its value and what was expected."""
    with pytest.raises(SettingsError) as raised:
        due(schedule, None, NOW)

    assert (raised.value.facts["variable"], raised.value.facts["value"]) == ("ROTATION_SCHEDULE", schedule)


@pytest.mark.parametrize("state", sorted(TRANSITIONS))
def test_what_left_the_month_undone_by_itself_does_not_count(state: State) -> None:
    """Blocked and failed rotations are caught up; what a person ended, or what was done, is not doubled."""
    record = make_record(state=state)
    dry = make_record(state=state, options={"dry_run": True})

    expected = None if state in (State.BLOCKED, State.FAILED) else NOW
    assert last_began([record]) == expected
    assert last_began([dry]) is None


def test_the_newest_that_counts_is_the_last() -> None:
    """Of several rotations the one that began last counts, in whatever order they come."""
    older = make_record(requested_at=NOW - timedelta(days=40))
    blocked = make_record(state=State.BLOCKED, requested_at=NOW + timedelta(days=1))

    assert last_began([older, make_record(), blocked]) == NOW
    assert last_began([]) is None


def test_the_next_occurrence_is_after_now() -> None:
    """An occurrence at this very second is not the next one."""
    assert at(4, 1, 3) == next_occurrence(MONTHLY, at(3, 1, 3))
    assert at(3, 1, 3) == next_occurrence(MONTHLY, at(3, 1, 2, 59, 59))


def version(created_on: datetime, **tags: str) -> MekVersionProperties:
    """Return a version of a MEK."""
    return MekVersionProperties(
        mek_name="mek",
        version="v",
        key_id="https://notes.vault.azure.net/keys/mek/v",
        enabled=True,
        created_on=created_on,
        not_before=None,
        expires_on=None,
        tags=tags,
    )


async def tick(
    runs: RotationStore,
    keyring: str,
    now: datetime,
    *,
    versions: Mapping[str, MekVersionProperties] | None = None,
) -> RotationRecord | None:
    """Let the timer look at the keyring."""

    async def states() -> Mapping[str, MekVersionProperties]:
        return versions or {}

    return await start_due(runs, *monthly(keyring, states), workflows(), now)


async def test_a_young_mek_is_not_due(runs: RotationStore) -> None:
    """A keyring that was never rotated counts from its newest version; what a failed rotation made does not count."""
    old, young = version(at(2, 10)), version(at(3, 10))
    left_behind = version(at(3, 10), **{ROTATION_TAG: "a rotation"})

    due_for = {
        "old": await tick(runs, new_keyring(), at(3, 15), versions={"1": old}),
        "young": await tick(runs, new_keyring(), at(3, 15), versions={"1": old, "2": young}),
        "left behind": await tick(runs, new_keyring(), at(3, 15), versions={"1": old, "2": left_behind}),
    }

    assert {name for name, record in due_for.items() if record is not None} == {"old", "left behind"}


async def test_the_tick_starts_what_is_due_once(runs: RotationStore) -> None:
    """The first tick after the occurrence starts a rotation; those after it do not, whatever became of it."""
    keyring = new_keyring()

    first = await tick(runs, keyring, at(3, 1, 5))
    again = [await tick(runs, keyring, at(3, day, 5)) for day in (1, 2, 31)]

    assert first is not None
    assert (first.requested_by, first.trigger) == (REQUESTER, "schedule")
    assert "2026-03-01T03:00:00" in first.reason
    assert again == [None, None, None]


async def test_the_tick_waits_for_a_rotation_that_runs(runs: RotationStore) -> None:
    """A rotation that outlasts its month is not joined by a second one."""
    record = await start_run(runs, now=at(2, 1, 5))

    assert await tick(runs, record.keyring, at(3, 1, 5)) is None


async def test_the_tick_catches_a_failed_month_up(runs: RotationStore) -> None:
    """A blocked rotation, and one that failed, are followed by another at the next tick."""
    ended = [await bring_to(runs, state) for state in (State.BLOCKED, State.FAILED)]

    following = [await tick(runs, record.keyring, NOW + timedelta(days=1)) for record in ended]

    assert None not in following

"""A person's machine may have another time of day: what is written goes by the database's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clock import Clock
from keyturn.contracts.states import State
from keyturn.direct.rows import rewrap
from keyturn.direct.session import Direct, Progress
from keyturn.runs.transitions import CLOCK_SLACK
from tests.invariants.harness import ActivityHarness
from tests.keyturn.direct.conftest import sweeping


def off(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let every clock of this process be off, but for those of the app's activities."""
    monkeypatch.setattr(Clock, "now", lambda _: datetime.now(UTC) + by)


@pytest.mark.parametrize(("hours", "told_as"), [(1, "s ahead of the database's"), (-30, "s behind the database's")])
async def test_a_machine_that_is_off_goes_by_the_database(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch, hours: int, told_as: str
) -> None:
    """The operator is told, and every date is right."""
    printed: list[str] = []
    off(monkeypatch, timedelta(hours=hours))

    await harness.resources.correct_clock(printed.append)

    assert abs(harness.resources.clock.now() - datetime.now(UTC)) < CLOCK_SLACK
    assert len(printed) == 1
    assert told_as in printed[0]


async def test_a_machine_that_is_right_keeps_its_clock(harness: ActivityHarness) -> None:
    """A second or two is the answer's way, and nobody is told."""
    printed: list[str] = []
    before = harness.resources.clock

    await harness.resources.correct_clock(printed.append)

    assert (harness.resources.clock, printed) == (before, [])


async def test_the_app_goes_on_after_a_machine_that_was_ahead(
    harness: ActivityHarness, direct: Direct, printed: list[str | Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the app's next passes do is written down: they do not count as older than the operator's."""
    driver = await sweeping(harness)
    off(monkeypatch, timedelta(hours=1))
    await harness.resources.correct_clock(printed.append)
    await rewrap(replace(direct, clock=harness.resources.clock), harness.keyring, force=True)
    record = await harness.runs.read(driver.run_id)
    driver.ref, driver.step = record.ref, record.step
    await harness.local_keyring.add_many(3, harness.old)

    await driver.advance(State.SWEEPING)
    await driver.work("rewrap")

    sweep = (await harness.runs.read(driver.run_id)).progress["sweep"]
    assert sweep.current.changed == 3
    assert sweep.started_at <= datetime.now(UTC)
    assert {row["rewrappedAt"] <= datetime.now(UTC).isoformat() for row in await harness.rows()} == {True}

"""I8: one rotation a keyring at a time; a second start is refused with a link to the first."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.contracts.migrations import RewrapDeks
from keyturn.contracts.states import State
from keyturn.errors import RotationRunningError
from keyturn.runs import lease
from keyturn.runs.migration_leases import active
from tests.invariants.checks.runs import running_at_once
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import begun
from tests.invariants.rotation_driver import RotationDriver
from tests.invariants.steps import Steps

unbroken_read = lease.read_lease


async def wrong(harness: ActivityHarness) -> list[str]:
    """Ask the records of the keyring which rotations ran at once."""
    return running_at_once(await harness.runs.newest(harness.keyring))


async def both(harness: ActivityHarness) -> Sequence[Any]:
    """Request two rotations in the same moment."""
    return await asyncio.gather(harness.start(), harness.start(), return_exceptions=True)


@pytest.fixture
def same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two starts both read the lease before either writes it."""
    barrier, arrived = asyncio.Barrier(2), 0

    async def read(*arguments: Any) -> Any:
        nonlocal arrived
        found = await unbroken_read(*arguments)
        arrived += 1
        if arrived <= 2:
            await barrier.wait()
        return found

    monkeypatch.setattr(lease, "read_lease", read)


async def test_of_two_starts_in_one_moment_one_wins(harness: ActivityHarness, same_moment: None) -> None:
    """One start takes the keyring, the other is told who has it and where to look."""
    answers = await both(harness)

    assert await wrong(harness) == []
    (refused,) = [answer for answer in answers if isinstance(answer, RotationRunningError)]
    (running,) = [answer for answer in answers if answer is not refused]
    assert refused.facts["statusUrl"] == f"/api/rotations/{running.run_id}"


async def test_the_next_rotation_comes_after_the_end_of_the_last(harness: ActivityHarness) -> None:
    """A keyring is free once its rotation has ended, and the next one has a greater token."""
    first = RotationDriver(harness, await harness.start())
    await first.advance(State.PREFLIGHT)
    with pytest.raises(RotationRunningError):
        await harness.start()
    await first.advance(State.BLOCKED)

    await harness.start()

    assert await wrong(harness) == []
    assert sorted(record.fencing_token for record in await harness.runs.newest(harness.keyring)) == [1, 2]


async def test_broken_the_lease_is_written_without_condition(
    harness: ActivityHarness, same_moment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without If-Match both starts take the keyring, and the check names them."""
    monkeypatch.setattr(lease, "_write", lambda _, new: ("upsert", (new.to_payload(),)))

    await both(harness)

    assert any(" began while " in reason for reason in await wrong(harness))


async def test_broken_the_holder_is_not_looked_at(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a held lease is taken for a free one, a second rotation begins while the first one runs."""
    first = await harness.start()

    async def as_if_free(*arguments: Any) -> Any:
        found = await unbroken_read(*arguments)
        return found and found.model_copy(update={"holder": None})

    monkeypatch.setattr(lease, "read_lease", as_if_free)
    second = await harness.start()

    assert await wrong(harness) == [f"{second.run_id} began while {first.run_id} ran"]


async def test_broken_the_token_does_not_grow(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that stays the same would let an old run write into a new one's record; the check sees it."""
    driver = RotationDriver(harness, await harness.start())
    await driver.advance(State.PREFLIGHT)
    await driver.advance(State.BLOCKED)

    async def from_the_start(*arguments: Any) -> Any:
        found = await unbroken_read(*arguments)
        return found and found.model_copy(update={"fencing_token": 0})

    monkeypatch.setattr(lease, "read_lease", from_the_start)
    second = await harness.start()

    assert await wrong(harness) == [f"{second.run_id} has token 1, not more than the one before"]


async def test_every_wave_of_a_migration_renews_its_lease(harness: ActivityHarness) -> None:
    """Who asks the keyring's leases, another tool perhaps, sees the migration for as long as it moves rows."""
    driver = Steps(harness, await begun(harness, RewrapDeks(new_version=harness.old)))
    driver.target = harness.old
    await driver.advance(State.RUNNING)
    documents = harness.resources.migrations.documents
    [taken] = await active(documents, harness.keyring, datetime.now(UTC))

    await driver.work("rewrap_chosen")

    [renewed] = await active(documents, harness.keyring, datetime.now(UTC))
    assert (renewed.holder, renewed.expires_at > taken.expires_at) == (driver.run_id, True)

"""The lease: one rotation a keyring, and a token by which a run that lost it is told."""

import asyncio
import time
from contextlib import suppress

import pytest

from keyturn.errors import FencedError, RotationRunningError
from keyturn.runs import lease
from keyturn.runs.lease import Hold
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import make_record, new_keyring

pytestmark = pytest.mark.usefixtures("mixed_types")


async def test_the_token_grows_with_every_rotation(runs: RotationStore) -> None:
    """Each rotation of a keyring gets a greater token than all before, and other keyrings have their own."""
    keyring = new_keyring()
    tokens = []
    for _ in range(3):
        taken = await lease.take(runs, make_record(keyring))
        tokens.append(taken.fencing_token)
        await lease.release(runs, taken)
    other = await lease.take(runs, make_record(new_keyring()))

    assert tokens == [1, 2, 3]
    assert other.fencing_token == 1


async def test_a_held_keyring_is_refused_with_its_holder(runs: RotationStore) -> None:
    """The second rotation is refused with the id and the address of the first, and leaves no record."""
    keyring = new_keyring()
    first = await lease.take(runs, make_record(keyring))
    second = make_record(keyring)

    with pytest.raises(RotationRunningError) as raised:
        await lease.take(runs, second)

    expected = {
        "keyring": keyring,
        "rotationId": first.run_id,
        "statusUrl": f"/api/rotations/{first.run_id}",
    }
    assert raised.value.facts == expected
    assert await runs.find(second.run_id) is None


@pytest.mark.parametrize("rotated_before", [False, True], ids=["first rotation ever", "rotated before"])
async def test_of_twenty_concurrent_starts_one_runs(runs: RotationStore, *, rotated_before: bool) -> None:
    """Twenty at once: one takes the keyring, nineteen are told which, and there is one record."""
    keyring = new_keyring()
    before = 0
    if rotated_before:
        await lease.release(runs, await lease.take(runs, make_record(keyring)))
        before = 1

    taken = await asyncio.gather(*(lease.take(runs, make_record(keyring)) for _ in range(20)), return_exceptions=True)

    winners = [one for one in taken if isinstance(one, RotationRecord)]
    losers = [one for one in taken if isinstance(one, RotationRunningError)]
    assert [len(winners), len(losers)] == [1, 19]
    assert {loser.facts["rotationId"] for loser in losers} == {winners[0].run_id}
    assert len(await runs.newest(keyring)) == before + 1


async def test_taking_it_again_for_the_same_rotation_returns_its_record(runs: RotationStore) -> None:
    """A repeated take, because an answer was lost, finds its own work."""
    record = make_record(new_keyring())
    first = await lease.take(runs, record)

    assert await lease.take(runs, record) == first


async def test_only_the_holder_gives_it_back(runs: RotationStore) -> None:
    """A run that lost the keyring cannot take it from its successor, nor can one with an older token."""
    keyring = new_keyring()
    lost = await lease.take(runs, make_record(keyring))
    await lease.release(runs, lost)
    holder = await lease.take(runs, make_record(keyring))

    await lease.release(runs, lost)
    await lease.release(runs, holder.changed(fencing_token=lost.fencing_token))
    held = await lease.read_lease(runs, keyring)

    assert held is not None
    assert holder.run_id == held.holder


async def test_a_run_without_the_lease_is_fenced(runs: RotationStore) -> None:
    """A look passes for the holder and writes nothing; it fails once the keyring is free, and when it is another's."""
    keyring = new_keyring()
    first = await lease.take(runs, make_record(keyring))
    before = await lease.read_lease(runs, keyring)
    await Hold(runs.documents, first.ref).check(time.monotonic())
    assert await lease.read_lease(runs, keyring) == before
    await lease.release(runs, first)
    with pytest.raises(FencedError):
        await Hold(runs.documents, first.ref).check(time.monotonic())
    second = await lease.take(runs, make_record(keyring))

    with pytest.raises(FencedError):
        await Hold(runs.documents, first.ref).check(time.monotonic())

    await Hold(runs.documents, second.ref).check(time.monotonic())


async def test_the_same_run_with_an_older_token_is_fenced(runs: RotationStore) -> None:
    """A run that has taken its lease anew goes on under a greater token: what carries the old one is late."""
    first = await lease.take(runs, make_record(new_keyring()))

    with pytest.raises(FencedError):
        await Hold(runs.documents, first.ref.model_copy(update={"fencing_token": 0})).check(time.monotonic())


async def test_a_keyring_that_was_never_rotated_fences_every_run(runs: RotationStore) -> None:
    """Without a lease nobody holds the keyring."""
    with pytest.raises(FencedError):
        await Hold(runs.documents, make_record(new_keyring()).ref).check(time.monotonic())


async def test_one_look_serves_everything_that_was_read_before_it(
    runs: RotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who ask at once share a look; whoever has read something since needs one more, also where it is refused."""
    asked, is_held = 0, Hold._is_held

    async def counted(hold: Hold) -> bool:
        nonlocal asked
        asked += 1
        return await is_held(hold)

    monkeypatch.setattr(Hold, "_is_held", counted)
    first = await lease.take(runs, make_record(new_keyring()))
    hold, read_at = Hold(runs.documents, first.ref), time.monotonic()

    await asyncio.gather(*(hold.check(read_at) for _ in range(16)))
    await hold.check(read_at)
    assert asked == 1
    await lease.release(runs, first)
    await hold.check(read_at)  # what was read then is as it was, or its ETag is not
    with suppress(FencedError):
        await hold.check(time.monotonic())

    assert asked == 2

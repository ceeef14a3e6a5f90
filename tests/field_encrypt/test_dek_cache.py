"""The DekCache is bounded, forgets in time, loads once and never keeps what was invalidated."""

import asyncio

import pytest

from field_encrypt.dek import Dek
from field_encrypt.dek_cache import DekCache, UnwrappedDek
from field_encrypt.errors import DekNotFoundError


class Loads:
    """Counts loads; each waits until it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def load(self) -> UnwrappedDek:
        """Return a new DEK when it is let go."""
        self.count += 1
        self.began.set()
        await self.go.wait()
        return UnwrappedDek(Dek.generate(), b"wrap")


async def test_second_read_is_answered_from_memory() -> None:
    """One load serves every later read."""
    cache, loads = DekCache(), Loads()

    first, second = await cache.get("a", loads.load), await cache.get("a", loads.load)

    assert first is second
    assert loads.count == 1


async def test_simultaneous_misses_share_one_load() -> None:
    """However many ask at the same moment, the DEK is loaded once."""
    cache, loads = DekCache(), Loads()

    deks = await asyncio.gather(*(cache.get("a", loads.load) for _ in range(50)))

    assert loads.count == 1
    assert len(set(deks)) == 1


async def test_entry_ends_with_its_time() -> None:
    """An entry is loaded anew when its time is over."""
    now = 0.0
    cache, loads = DekCache(ttl_seconds=10, clock=lambda: now), Loads()

    await cache.get("a", loads.load)
    now = 9.9
    await cache.get("a", loads.load)
    before = loads.count
    now = 10.0
    await cache.get("a", loads.load)

    assert (before, loads.count) == (1, 2)


async def test_least_recently_used_entry_makes_room() -> None:
    """The cache never holds more than its bound, and keeps what was used last."""
    cache, loads = DekCache(max_entries=2), Loads()
    for dek_id in ("a", "b", "a", "c"):
        await cache.get(dek_id, loads.load)
    loaded = loads.count

    await cache.get("a", loads.load)
    await cache.get("c", loads.load)

    assert (loaded, loads.count, len(cache)) == (3, 3, 2)
    await cache.get("b", loads.load)
    assert loads.count == 4


async def test_invalidated_entry_is_loaded_anew_and_others_stay() -> None:
    """Invalidation drops one entry."""
    cache, loads = DekCache(), Loads()
    await cache.get("a", loads.load)
    await cache.get("b", loads.load)

    cache.invalidate("a")
    await cache.get("a", loads.load)
    await cache.get("b", loads.load)

    assert loads.count == 3


@pytest.mark.parametrize(("wrap", "loads_expected"), [(b"wrap", 1), (b"another wrap", 2), (None, 2)])
async def test_entry_outlives_news_of_its_own_wrap_only(wrap: bytes | None, loads_expected: int) -> None:
    """News of the wrap that an entry was opened from leaves it, news of any other drops it."""
    cache, loads = DekCache(), Loads()
    await cache.get("a", loads.load)

    cache.invalidate_other_wraps("a", wrap)
    await cache.get("a", loads.load)

    assert loads.count == loads_expected


async def test_load_that_was_overtaken_by_an_invalidation_is_not_kept() -> None:
    """A load that began before the invalidation answers its waiter, but the next read loads again."""
    cache, loads = DekCache(), Loads()
    loads.go.clear()
    waiter = asyncio.create_task(cache.get("a", loads.load))
    await asyncio.wait_for(loads.began.wait(), 60)

    cache.invalidate("a")
    loads.go.set()
    overtaken = await waiter
    current = await cache.get("a", loads.load)

    assert overtaken != current
    assert loads.count == 2


async def test_failed_load_reaches_every_waiter_and_is_not_kept() -> None:
    """A failure is shared by those who waited for it, and the next read tries again."""
    cache, loads = DekCache(), Loads()

    async def fail() -> UnwrappedDek:
        raise DekNotFoundError("a")

    results = await asyncio.gather(cache.get("a", fail), cache.get("a", fail), return_exceptions=True)
    await cache.get("a", loads.load)

    assert [type(result) for result in results] == [DekNotFoundError, DekNotFoundError]
    assert loads.count == 1


async def test_cancelled_waiter_leaves_the_load_to_the_others() -> None:
    """One reader that gives up does not make the others fail."""
    cache, loads = DekCache(), Loads()
    loads.go.clear()
    leaving, staying = (asyncio.create_task(cache.get("a", loads.load)) for _ in range(2))
    await asyncio.wait_for(loads.began.wait(), 60)

    leaving.cancel()
    loads.go.set()

    assert isinstance(await staying, Dek)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert loads.count == 1


async def test_clear_drops_everything() -> None:
    """After clear nothing is answered from memory."""
    cache, loads = DekCache(), Loads()
    await cache.get("a", loads.load)

    cache.clear()
    await cache.get("a", loads.load)

    assert loads.count == 2

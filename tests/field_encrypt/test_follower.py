"""The follower: cached DEKs go one by one as their rows are rewrapped, whatever happens to the feed in between."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from field_encrypt import DekCache, DekFollower, DekStore, FieldEncryption, RowDefaults, follower
from field_encrypt.change_feed import FeedPage, read_feed_page
from field_encrypt.errors import DekStoreForbiddenError, DekStoreUnavailableError, LostFeedPositionError
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring

NOTES: list[dict[str, Any]] = [{**NOTE, "id": f"note-{number}"} for number in range(6)]


class Reader:
    """A reader with a warm cache and a follower that is polled by hand."""

    def __init__(self, local_keyring: LocalKeyring, **options: Any) -> None:
        self.cache = DekCache()
        self.encryption: FieldEncryption = local_keyring.reader(self.cache)
        self.follower = DekFollower(local_keyring.store, self.cache, **options)

    async def warm(self, stored: list[dict[str, Any]]) -> None:
        """Begin to follow, then read everything once."""
        await self.follower.poll()
        await self.read(stored)

    async def read(self, stored: list[dict[str, Any]]) -> None:
        """Read everything."""
        await self.encryption.decrypt_documents("notes", stored, FIELDS)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true within 60 s"
        await asyncio.sleep(0.01)


@pytest.fixture
async def stored(local_keyring: LocalKeyring) -> list[dict[str, Any]]:
    """Some documents, each with a DEK of its own."""
    return await local_keyring.encryption.encrypt_documents("notes", NOTES, FIELDS)


def dek_of(document: dict[str, Any]) -> str:
    """Return the dekId of the title."""
    return str(document["title"]["dekId"])


async def test_rewrapped_rows_are_dropped_and_the_others_stay(
    local_keyring: LocalKeyring, stored: list[dict[str, Any]]
) -> None:
    """One poll after a rewrap, only the entries of rewrapped rows are read anew."""
    reader, version = Reader(local_keyring), await local_keyring.mek.create()
    await reader.warm(stored)
    for document in stored[:2]:
        await local_keyring.rewrap(dek_of(document), version)
    unwraps = local_keyring.mek.operations.count("unwrap")

    await reader.follower.poll()
    left = len(reader.cache)
    await reader.read(stored)

    assert len(stored) - 2 == left
    assert local_keyring.mek.operations.count("unwrap") == unwraps + 2


async def test_own_writes_stay_cached(local_keyring: LocalKeyring) -> None:
    """A row that this process has just created, or already read in its new wrap, is not fetched again for its news."""
    reader, version = Reader(local_keyring), await local_keyring.mek.create()
    await reader.follower.poll()
    written = await reader.encryption.encrypt_documents("notes", NOTES, FIELDS)
    await local_keyring.rewrap(dek_of(written[0]), version)
    reader.cache.invalidate(dek_of(written[0]))
    await reader.read(written)

    await reader.follower.poll()

    assert len(written) == len(reader.cache)


async def test_first_poll_empties_the_cache(local_keyring: LocalKeyring, stored: list[dict[str, Any]]) -> None:
    """What was cached before the follower had its place may have been rewrapped unseen."""
    reader = Reader(local_keyring)
    await reader.read(stored)

    await reader.follower.poll()

    assert len(reader.cache) == 0


async def test_rows_that_exist_are_not_read(
    local_keyring: LocalKeyring, stored: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Following begins now: a reader that starts on a large store does not read the store."""
    pages: list[FeedPage] = []

    async def recording(*arguments: Any, **options: Any) -> FeedPage:
        pages.append(await read_feed_page(*arguments, **options))
        return pages[-1]

    monkeypatch.setattr(follower, "read_feed_page", recording)

    await Reader(local_keyring).follower.poll()

    assert pages
    assert [item for page in pages for item in page.items] == []


async def test_failed_polls_lose_nothing(
    local_keyring: LocalKeyring, cosmos: LocalCosmos, stored: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """While the feed fails the entries stay and the failure is logged; the next poll that works drops them."""
    reader, version = Reader(local_keyring, interval_seconds=0.05), await local_keyring.mek.create()
    await reader.warm(stored)
    for document in stored:
        await local_keyring.rewrap(dek_of(document), version)
    cosmos.fault(operation="change_feed", kind="status", status=500, count=None)

    with pytest.raises(DekStoreUnavailableError, match="change feed"):
        await reader.follower.poll()
    kept = len(reader.cache)
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(reader.follower.run())
        await until(lambda: "cached DEKs may outlive a rewrap" in caplog.text)
    cosmos.clear_faults()
    await until(lambda: len(reader.cache) == 0)
    running.cancel()

    assert len(stored) == kept


async def test_forbidden_feed_is_named(local_keyring: LocalKeyring, cosmos: LocalCosmos) -> None:
    """An identity that may not read the feed is told so."""
    cosmos.fault(operation="change_feed", kind="status", status=403, count=None, body={"message": "no"})

    with pytest.raises(DekStoreForbiddenError, match="change feed"):
        await Reader(local_keyring).follower.poll()


async def test_split_of_the_store_is_followed(
    local_keyring: LocalKeyring, cosmos: LocalCosmos, stored: list[dict[str, Any]]
) -> None:
    """A partition that is split goes on being followed in all of its parts."""
    reader, version = Reader(local_keyring), await local_keyring.mek.create()
    await reader.warm(stored)
    cosmos.split(local_keyring.rows.id, "0")
    for document in stored:
        await local_keyring.rewrap(dek_of(document), version)

    await reader.follower.poll()

    assert len(reader.cache) == 0


async def test_empty_pages_are_passed(
    local_keyring: LocalKeyring, cosmos: LocalCosmos, stored: list[dict[str, Any]]
) -> None:
    """An empty page before the news does not end the poll."""
    reader, version = Reader(local_keyring), await local_keyring.mek.create()
    await reader.warm(stored)
    for document in stored:
        await local_keyring.rewrap(dek_of(document), version)
    cosmos.fault(operation="change_feed", kind="empty_page", count=3)

    await reader.follower.poll()

    assert len(reader.cache) == 0


async def test_store_that_was_made_anew_is_followed_from_its_own_now(
    local_keyring: LocalKeyring, cosmos_client: CosmosClient, stored: list[dict[str, Any]]
) -> None:
    """A place that means nothing any more is given up, the cache is emptied, and following goes on."""
    reader = Reader(local_keyring)
    await reader.warm(stored)
    rows = [await local_keyring.row(dek_of(document)) for document in stored]
    local_keyring.rows = await new_container(cosmos_client, "deks")
    for row in rows:
        await local_keyring.rows.create_item({name: value for name, value in row.items() if not name.startswith("_")})
    reader.follower._dek_store.container = reader.encryption._sealer._deks._dek_store.container = local_keyring.rows

    with pytest.raises(LostFeedPositionError):
        await reader.follower.poll()
    await reader.follower.poll()
    emptied = len(reader.cache)
    await reader.read(stored)
    await local_keyring.rewrap(dek_of(stored[0]), await local_keyring.mek.create())
    await reader.follower.poll()

    assert (0, len(stored) - 1) == (emptied, len(reader.cache))


async def test_other_property_names_are_followed(local_keyring: LocalKeyring, stored: list[dict[str, Any]]) -> None:
    """A row whose wrap is gone, or stands elsewhere, drops its entry: it cannot be the wrap that was opened."""
    reader = Reader(local_keyring)
    await reader.warm(stored)
    await local_keyring.change(dek_of(stored[0]), wrappedDek=None)

    await reader.follower.poll()

    assert len(stored) - 1 == len(reader.cache)


async def test_store_that_is_made_later_is_followed(
    cosmos_client: CosmosClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that does not exist yet ends no follower: it says so, and goes on asking."""
    database = await cosmos_client.create_database_if_not_exists(DATABASE)
    store = DekStore(database.get_container_client("made-later"), RowDefaults(mek_name="none"))
    following = DekFollower(store, DekCache(), interval_seconds=0.05)
    running = asyncio.create_task(following.run())

    await until(lambda: "made-later" in caplog.text)
    await database.create_container("made-later", PartitionKey("/id"))
    await until(lambda: bool(following._cursors))
    following.stop()
    await asyncio.wait_for(running, 10)


async def test_store_without_rows_is_followed(local_keyring: LocalKeyring) -> None:
    """Following may begin before there is anything to follow; what comes later is seen."""
    reader = Reader(local_keyring)

    for _ in range(2):
        await reader.follower.poll()

    stored = await local_keyring.encryption.encrypt_documents("notes", NOTES, FIELDS)
    await reader.read(stored)
    await local_keyring.change(dek_of(stored[0]), wrappedDek=None)
    await reader.follower.poll()
    assert len(reader.cache) == len(stored) - 1


async def test_stopped_follower_ends_its_poll_and_returns(local_keyring: LocalKeyring, cosmos: LocalCosmos) -> None:
    """A stop during a poll lets it end, so that no connection is left open; one between polls ends the wait at once."""
    following = DekFollower(local_keyring.store, DekCache(), interval_seconds=3_600)
    cosmos.fault(operation="change_feed", kind="delay", delayMs=200)
    running = asyncio.create_task(following.run())
    await asyncio.sleep(0)  # gives it its turn to begin
    following.stop()

    await asyncio.wait_for(running, 10)

    assert following._cursors

"""Rows counted by the version that wraps them: every row, in one place, and never from before our own writes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import kid_prefix
from keyturn.contracts.pages import RowRef
from keyturn.contracts.passes import CensusResult
from keyturn.cosmos.session_tokens import SessionLog
from keyturn.deks import census as census_module
from keyturn.deks.census import OTHER_LABELS, take_census
from keyturn.deks.queries import ANY_RUN, Condition, Conditions
from keyturn.deks.store import DekStore
from keyturn.errors import NotSettledError
from keyturn.settings import Keyring
from tests.keyturn.local_keyring import OLD, ROTATION, TARGET, LocalKeyring

pytestmark = pytest.mark.usefixtures("mixed_types")

OLDER = "1" * 32
ANOTHER_KEY_ID = "https://other.vault.azure.net/keys/notelett-mek/1"


async def test_every_row_is_counted_in_its_place(local_keyring: LocalKeyring) -> None:
    """Rows of every kind are counted by bucket and by version, over all partitions."""
    await local_keyring.fill(5, mekVersion=TARGET)
    await local_keyring.fill(1, mekVersion=f"{kid_prefix(local_keyring.keyring)}{TARGET}")
    await local_keyring.fill(4, mekVersion=OLD)
    await local_keyring.fill(2, mekVersion=f"{kid_prefix(local_keyring.keyring)}{OLD}", mekName=...)
    await local_keyring.fill(3, mekVersion=OLDER, algorithm="RSA-OAEP")
    await local_keyring.fill(2, mekVersion=...)
    await local_keyring.fill(1, mekVersion=None)
    await local_keyring.fill(2, mekVersion=17)
    await local_keyring.fill(3, mekName="other-mek")
    await local_keyring.fill(2, mekVersion=ANOTHER_KEY_ID)

    counted = await take_census(local_keyring.store, TARGET, {})

    assert counted == CensusResult(
        total=25,
        on_target=6,
        stale=14,
        unlabelled=3,
        foreign=5,
        by_version={TARGET: 6, OLD: 6, OLDER: 3, OTHER_LABELS: 2},
    )


async def test_an_empty_store_counts_nothing(local_keyring: LocalKeyring) -> None:
    """An empty store has zero of everything."""
    counted = await take_census(local_keyring.store, TARGET, {})

    assert counted == CensusResult(total=0, on_target=0, stale=0, unlabelled=0, foreign=0, by_version={})


async def test_a_split_store_is_counted_once(local_keyring: LocalKeyring) -> None:
    """After a split each row is still counted once."""
    await local_keyring.fill(20)
    local_keyring.split("1")

    assert (await take_census(local_keyring.store, TARGET, {})).stale == 20


async def test_more_labels_than_a_key_has_versions_are_lumped_together(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result stays small however many labels the rows have, and its counts still add up."""
    monkeypatch.setattr(census_module, "LABELS_MAX", 2)
    for number in range(5):
        await local_keyring.fill(1, mekVersion=f"version-{number}", row_id=f"same-partition-{number}")

    counted = await take_census(local_keyring.store, TARGET, {})

    assert sum(counted.by_version.values()) == 5
    assert len(counted.by_version) <= 5
    assert counted.by_version[OTHER_LABELS] >= 1


async def test_a_census_sees_what_the_sweep_wrote(local_keyring: LocalKeyring) -> None:
    """Another process counts with the sweep's session tokens, and sees its writes although replicas are behind."""
    local_keyring.control_cosmos("settings", replicaLagMs=10_000)
    await local_keyring.fill(6)
    log = SessionLog(local_keyring.container)
    async for item in local_keyring.container.query_items("SELECT c.id FROM c"):
        await _rewrap(local_keyring, log, item["id"])
    async with local_keyring.cosmos.client() as another:
        store = DekStore(
            another.get_database_client("notes").get_container_client(local_keyring.container.id), local_keyring.keyring
        )

        behind = await take_census(store, TARGET, {})
        counted = await take_census(store, TARGET, log.tokens)

    assert behind.on_target != 6
    assert (counted.on_target, counted.stale) == (6, 0)


async def _rewrap(local_keyring: LocalKeyring, log: SessionLog, row_id: str) -> None:
    row = await local_keyring.row(RowRef(id=row_id, partition=row_id), TARGET)
    new = NewWrap(
        version=TARGET,
        wrapped=b"new",
        algorithm="RSA-OAEP-256",
        key_check=bytes(16),
        old_version=OLD,
        run_id=ROTATION,
        fence=1,
        rewrapped_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    written = await local_keyring.store.rewrap(row, new)
    assert written.session_token is not None
    await log.record(written.partition_key, written.session_token)


async def test_counts_that_do_not_add_up_are_taken_again(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that appears between two queries of one count does not end in a wrong result."""
    await local_keyring.fill(3)
    queries = local_keyring.container.query_items
    asked = 0

    def query_and_write(*arguments: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        found = queries(*arguments, **options)
        return _after(local_keyring.fill(1), found) if asked == 3 else found

    monkeypatch.setattr(local_keyring.container, "query_items", query_and_write)

    counted = await take_census(local_keyring.store, TARGET, {})

    assert (counted.total, counted.stale) == (4, 4)


async def _after(first: Any, found: Any) -> AsyncIterator[Any]:
    await first
    async for value in found:
        yield value


@pytest.mark.parametrize(("version", "labels"), [(TARGET, {TARGET}), (OLD, {OLD}), (..., {OTHER_LABELS})])
async def test_writers_that_create_rows_all_along_keep_nothing_from_being_counted(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch, version: Any, labels: set[str]
) -> None:
    """A row comes with every query: all that were there before are counted, and the counts of the result add up."""
    await local_keyring.fill(3)
    await local_keyring.fill(2, mekVersion=TARGET)
    queries = local_keyring.container.query_items
    written = 0

    def query_and_write(*arguments: Any, **options: Any) -> Any:
        nonlocal written
        written += 1
        return _after(local_keyring.fill(1, mekVersion=version), queries(*arguments, **options))

    monkeypatch.setattr(local_keyring.container, "query_items", query_and_write)

    counted = await take_census(local_keyring.store, TARGET, {})

    assert counted.total == counted.on_target + counted.stale
    assert 5 < counted.total <= 5 + written
    assert counted.stale == 3 if version == TARGET else counted.on_target == 2
    assert counted.by_version.keys() <= {OLD, TARGET, *labels}


async def test_a_row_that_no_count_holds_is_missed_at_once_where_others_are_written_too(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers at work do not hide rows that a wrong condition loses, once these are older than a moment."""
    monkeypatch.setattr(census_module, "LATELY_SECONDS", 1)
    lost = await local_keyring.fill(2, mekVersion=17)  # neither a text nor absent: no other count misses it
    await _dated_before_now(local_keyring)
    queries = local_keyring.container.query_items
    monkeypatch.setattr(
        local_keyring.container,
        "query_items",
        lambda *a, **options: _after(local_keyring.fill(1, mekVersion=TARGET), queries(*a, **options)),
    )
    whole = Conditions.__init__

    def losing(self: Conditions, keyring: Keyring, target_version: str) -> None:
        whole(self, keyring, target_version)
        names = ", ".join(f'"{row_id}"' for row_id in sorted(lost))
        self.stale = Condition(f"{self.stale.text} AND NOT (c.id IN ({names}))", self.stale.parameters)

    monkeypatch.setattr(Conditions, "__init__", losing)

    with pytest.raises(NotSettledError):
        await take_census(local_keyring.store, TARGET, {})


async def _dated_before_now(local_keyring: LocalKeyring) -> None:
    """Wait until the service's clock, which has whole seconds, is past all rows."""
    newest = max([item["_ts"] async for item in local_keyring.container.read_all_items()])
    while time.time() < newest + 2:  # noqa: ASYNC110 - a clock tells nobody when its second is over
        await asyncio.sleep(0.05)


async def test_a_store_that_never_settles_is_not_counted(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows that were there keep changing between the counts, there is no census; the caller tries again later."""
    monkeypatch.setattr(census_module, "RECOUNTS", 2)
    await local_keyring.fill(100)
    queries = local_keyring.container.query_items
    waiting = {
        json.dumps(found, sort_keys=True): [row async for row in queries("SELECT * FROM c", feed_range=found)]
        async for found in local_keyring.container.read_feed_ranges()
    }

    async def move(feed_range: dict[str, Any]) -> None:
        row = waiting[json.dumps(feed_range, sort_keys=True)].pop()
        await local_keyring.container.replace_item(row["id"], {**row, "mekVersion": TARGET})

    def query_and_move(*arguments: Any, feed_range: dict[str, Any], **options: Any) -> Any:
        return _after(move(feed_range), queries(*arguments, feed_range=feed_range, **options))

    monkeypatch.setattr(local_keyring.container, "query_items", query_and_move)

    with pytest.raises(NotSettledError):
        await take_census(local_keyring.store, TARGET, {})


async def test_the_rows_that_a_rotation_rewrapped_are_counted(local_keyring: LocalKeyring) -> None:
    """Of the rows on the target, those that carry the rotation's id are counted apart, or those that carry any."""
    await local_keyring.fill(3, mekVersion=TARGET, rotationId=ROTATION)
    await local_keyring.fill(2, mekVersion=TARGET, rotationId="another")
    await local_keyring.fill(2, mekVersion=TARGET, rotationId=7)
    await local_keyring.fill(4, mekVersion=OLD, rotationId=ROTATION)
    await local_keyring.fill(1, mekVersion=TARGET, rotationId=ROTATION, mekName="other-mek")

    counted = [
        (await take_census(local_keyring.store, TARGET, {}, *by)).rewrapped for by in ([ROTATION], [ANY_RUN], ())
    ]

    assert counted == [3, 5, 0]

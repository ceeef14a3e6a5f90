"""The DEK of a save: kept or shared as the policy says, found or made by processes that do not know of each other."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, override

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import (
    DekStore,
    EnvProvider,
    FieldEncryption,
    KeyPolicy,
    RowDefaults,
    WrappedDek,
)
from field_encrypt.encoding import to_base64
from field_encrypt.errors import InvalidRowError, InvalidSettingError
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_keyring import FIELDS, NOTE
from tests.field_encrypt.processes import process, save, stored_rows


@pytest.fixture
async def rows(cosmos_client: CosmosClient) -> ContainerProxy:
    """A fresh dek store."""
    return await new_container(cosmos_client, "deks")


async def test_save_keeps_the_deks_of_its_document(rows: ContainerProxy) -> None:
    """However often one document is edited, it stays under its DEK; a document that is new gets its own."""
    policy = KeyPolicy()
    first = stored = await save(process(rows, policy), 1)
    for _ in range(3):
        stored = await save(process(rows, policy), 1, previous=stored)
    other = await save(process(rows, policy), 2)

    assert first["title"]["dekId"] == stored["title"]["dekId"] != other["title"]["dekId"]
    assert first["title"]["salt"] != stored["title"]["salt"]
    assert len(await stored_rows(rows)) == 2


async def test_save_over_a_document_without_a_readable_dek_takes_a_fresh_one(rows: ContainerProxy) -> None:
    """A document whose row is lost, or that names no DEK, can be saved."""
    stored = await save(process(rows, KeyPolicy()), 1)
    await rows.delete_item(stored["title"]["dekId"], partition_key=stored["title"]["dekId"])
    for previous in (stored, {"title": "plain"}, {"title": {"enc": 2, "dekId": 5}}):
        again = await save(process(rows, KeyPolicy()), 1, previous=previous)

        assert again["title"]["dekId"] in await stored_rows(rows)


@pytest.mark.parametrize("bounds", [{}, {"max_documents": None}, {"max_uses": 1_000}])
async def test_processes_that_begin_at_once_share_one_dek(rows: ContainerProxy, bounds: dict[str, Any]) -> None:
    """Of eight processes that all need a first DEK, one creates its row, and the others take it."""
    processes = [process(rows, KeyPolicy(per="container", **bounds)) for _ in range(8)]

    stored = await asyncio.gather(*(save(one, number) for number, one in enumerate(processes)))
    late = await save(process(rows, KeyPolicy(per="container", **bounds)), 8, w="w-2")

    assert 1 == len({note["title"]["dekId"] for note in [*stored, late]}) == len(await stored_rows(rows))
    for note in [*stored, late]:
        read = await processes[0].decrypt_fields("notes", note["id"], note, None, partition_key=note["workspaceId"])
        assert read["title"] == f"t{note['id'].removeprefix('note-')}"


async def test_what_is_left_of_a_lease_can_be_given_back(rows: ContainerProxy) -> None:
    """The counters are then what was used; a process that goes on leases again, and a row that is gone is no fault."""
    one = process(rows, KeyPolicy(per="container", max_documents=1000, max_uses=10_000))
    for number in range(3):
        note = await save(one, number)
        await one.give_back_leases()
        (row,) = (await stored_rows(rows)).values()
        assert (row["documents"], row["uses"]) == (number + 1, number + 1)

    await save(one, 3)
    await rows.delete_item(note["title"]["dekId"], partition_key=note["title"]["dekId"])
    await one.give_back_leases()

    assert await stored_rows(rows) == {}


async def test_partitions_do_not_share(rows: ContainerProxy) -> None:
    """Per partition, documents of one share a DEK, and those of another have another."""
    one, other = (process(rows, KeyPolicy(per="partition")) for _ in range(2))
    deks = [
        (await save(who, number, w=w))["title"]["dekId"]
        for number, (who, w) in enumerate([(one, "w-1"), (other, "w-2"), (other, "w-1"), (one, "w-2")])
    ]

    assert deks[0] == deks[2] != deks[1] == deks[3]
    assert len(await stored_rows(rows)) == 2


@pytest.mark.parametrize("kind", ["max_documents", "max_uses"])
async def test_bound_is_never_exceeded_by_processes_at_once(rows: ContainerProxy, kind: str) -> None:
    """Eight processes roll over together: no DEK serves more than its bound, and none is made beyond need."""
    policy = KeyPolicy(per="container", **{kind: 20})  # type: ignore[arg-type]  # a bound by its name
    processes = [process(rows, policy) for _ in range(8)]

    stored = await asyncio.gather(*(save(one, number) for number in range(15) for one in processes))

    served = Counter(note["title"]["dekId"] for note in stored)
    assert max(served.values()) == 20
    assert 6 == len(served) == len(await stored_rows(rows))


async def test_processes_that_die_lose_uses_and_never_exceed_the_bound(rows: ContainerProxy) -> None:
    """A lease that ends with its process is lost: fewer documents than the bound, never more."""
    policy = KeyPolicy(per="container", max_documents=200)  # leases of two
    stored = [await save(process(rows, policy), number) for number in range(150)]

    served = Counter(note["title"]["dekId"] for note in stored)
    assert len(served) == 2
    assert max(served.values()) == 100


async def test_document_that_is_saved_again_is_not_counted_again(rows: ContainerProxy) -> None:
    """A document stays under its shared DEK after others have rolled over, and takes no other one's place."""
    policy = KeyPolicy(per="container", max_documents=1)
    one = process(rows, policy)
    first, second = await save(one, 1), await save(one, 2)

    for who in (one, process(rows, policy)):
        assert first["title"]["dekId"] == (await save(who, 1, previous=first))["title"]["dekId"]
        assert second["title"]["dekId"] == (await save(who, 2, previous=second))["title"]["dekId"]
    assert len(await stored_rows(rows)) == 2


@pytest.mark.parametrize("generations", [1, 2, 3, 7, 8, 20])
async def test_new_process_finds_the_newest_generation(rows: ContainerProxy, generations: int) -> None:
    """It goes on where the others are, whatever the number of generations, and reads few rows for it."""
    policy = KeyPolicy(per="container", max_documents=1)
    busy = process(rows, policy)
    for number in range(generations):
        await save(busy, number)

    await save(process(rows, policy), generations)

    numbers = sorted(int(dek_id.rpartition(".")[2]) for dek_id in await stored_rows(rows))
    assert list(range(generations + 1)) == numbers


async def test_dek_is_left_behind_at_its_age(rows: ContainerProxy) -> None:
    """A DEK older than the policy allows serves neither new documents nor its old ones."""
    policy = KeyPolicy(per="container", max_age=timedelta(days=30))
    first = await save(process(rows, policy), 1)
    row = (await stored_rows(rows))[first["title"]["dekId"]]
    old = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    await rows.replace_item(row["id"], {**row, "createdAt": old})

    late = process(rows, policy)
    second, again = await save(late, 2), await save(late, 1, previous=first)

    assert first["title"]["dekId"] != second["title"]["dekId"] == again["title"]["dekId"]


async def test_policy_that_changes_takes_hold_at_the_next_save(rows: ContainerProxy) -> None:
    """Documents with a DEK each move under a shared one as they are saved, and back."""
    own = await save(process(rows, KeyPolicy()), 1)
    shared = await save(process(rows, KeyPolicy(per="container")), 1, previous=own)
    back = await save(process(rows, KeyPolicy()), 1, previous=shared)

    assert len({note["title"]["dekId"] for note in (own, shared, back)}) == 3
    assert shared["title"]["dekId"].startswith("container.")
    assert "container." not in back["title"]["dekId"]


async def test_document_with_more_fields_than_uses_is_refused(rows: ContainerProxy) -> None:
    """The policy cannot be kept, and no row is made."""
    with pytest.raises(InvalidSettingError) as refused:
        await process(rows, KeyPolicy(max_uses=3)).encrypt_fields("notes", "note-1", NOTE, FIELDS)

    assert refused.value.setting == "max_uses"
    assert await stored_rows(rows) == {}


async def test_saves_at_once_in_one_process_lose_no_lease(rows: ContainerProxy) -> None:
    """Saves that all find their lease at its end wait for one renewal, and a DEK serves as often as it may."""
    one = process(rows, KeyPolicy(max_uses=500))  # leases of five
    first = await save(one, 1)

    saved = await asyncio.gather(*(save(one, 1, previous=first) for _ in range(550)))

    served = Counter(note["title"]["dekId"] for note in [first, *saved])
    assert served[first["title"]["dekId"]] == 500


async def test_uses_of_one_document_are_counted(rows: ContainerProxy) -> None:
    """A document's own DEK is left behind after its uses, and each field is one."""
    policy = KeyPolicy(max_uses=4)
    stored: dict[str, Any] = await process(rows, policy).encrypt_fields("notes", "note-1", NOTE, FIELDS)
    again: dict[str, Any] = await process(rows, policy).encrypt_fields("notes", "note-1", NOTE, FIELDS, previous=stored)

    assert stored["title"]["dekId"] != again["title"]["dekId"]
    assert {row["uses"] for row in (await stored_rows(rows)).values() if row["id"] == again["title"]["dekId"]} == {4}


@pytest.mark.parametrize("count", ["5", -1, 1.5, True, None])
async def test_counter_that_was_changed_is_refused(rows: ContainerProxy, count: Any) -> None:
    """A counter that is no number is never taken as zero."""
    policy = KeyPolicy(per="container")
    stored = await save(process(rows, policy), 1)
    row = (await stored_rows(rows))[stored["title"]["dekId"]]
    await rows.replace_item(row["id"], {**row, "uses": count})

    with pytest.raises(InvalidRowError) as refused:
        await save(process(rows, policy), 2)

    assert refused.value.property_name == "uses"


async def test_row_is_written_seldom(rows: ContainerProxy, cosmos: LocalCosmos) -> None:
    """A thousand uses of a bound of a hundred thousand are one write, which made the row."""
    one = process(rows, KeyPolicy(per="container", max_uses=100_000, max_documents=100_000))
    for number in range(1_000):
        await save(one, number)

    assert [(row["uses"], row["documents"]) for row in (await stored_rows(rows)).values()] == [(1_000, 1_000)]
    cosmos.fault(operation="patch", kind="status", status=500, count=None)
    with pytest.raises(Exception, match="patch of row"):
        await save(one, 1_000)


async def test_rows_that_are_not_counted_are_made_by_the_store_of_the_application(rows: ContainerProxy) -> None:
    """A dek store with a ``create`` of its own is asked for every row under the default policy."""
    made = []

    class Recording(DekStore):
        @override
        async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
            made.append(dek_id)
            await super().create(dek_id, wrapped, key_check)

    store = Recording(rows, RowDefaults(mek_name="env", algorithm="A256KW"))
    stored = await save(FieldEncryption(EnvProvider(to_base64(bytes(32))), store, None), 1)

    assert [stored["title"]["dekId"]] == made
    assert {"uses", "documents"}.isdisjoint((await stored_rows(rows))[made[0]])

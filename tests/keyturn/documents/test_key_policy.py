"""Re-encryption onto a key policy and format 2: what fits is left, what does not is moved, however often."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import FieldEncryption, KeyPolicy, KeyVaultProvider
from field_encrypt.errors import TamperedFieldError
from field_encrypt.key_policy import Scope
from field_encrypt.places import DocumentPlace
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.documents.operations import encrypt_page, reencrypt_page
from keyturn.documents.store import NewDeks, under_other_deks
from keyturn.errors import FencedError, UnavailableError
from keyturn.settings import DocumentContainer
from tests.field_encrypt.format_1 import encrypted_as_format_1
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.keyturn.documents.harness import FIELDS, NAME, DocumentsHarness, dek_ids_of, note, own, page_of, refs

SHARED = KeyPolicy(per="container", max_documents=4)
SHARED_NEW = KeyPolicy(per="partition", max_documents=4)  # of which there is no row yet
NOTES = [f"n-{number}" for number in range(10)]


async def moved(
    documents_harness: DocumentsHarness, policy: KeyPolicy, names: list[str] | None = None, **more: bool
) -> PageResult:
    """Re-encrypt a page onto the policy."""
    dependencies = documents_harness.dependencies(policy=policy)
    return await reencrypt_page(page_of(refs(*(names or NOTES)), **more), documents_harness.ids, dependencies)


async def added_as_format_1(documents_harness: DocumentsHarness, *names: str) -> None:
    """Store documents as release 0.1 did."""
    side = documents_harness.source
    for name in names:
        provider = KeyVaultProvider(side.mek.client)
        stored = await encrypted_as_format_1(provider, side.store, NAME, note(name), FIELDS, f"dek-of-{name}")
        await documents_harness.container.create_item(stored)


def chosen(documents_harness: DocumentsHarness, policy: KeyPolicy | None, document: Mapping[str, Any]) -> bool:
    """Tell whether a scan chooses the document."""
    return under_other_deks(NewDeks(documents_harness.documents, documents_harness.ids, policy))(document)


async def test_documents_share_deks_afterwards(documents_harness: DocumentsHarness) -> None:
    """As many rows as the policy asks for, each with as many documents; a second page finds nothing to do."""
    await documents_harness.add(*NOTES, side=documents_harness.source)
    old = await documents_harness.source.row_ids()

    result = await moved(documents_harness, SHARED)
    again = await moved(documents_harness, SHARED)

    stored = [await documents_harness.stored(name) for name in NOTES]
    deks = set().union(*map(dek_ids_of, stored))
    assert (result.changed, again.changed, again.unchanged) == (10, 0, 10)
    assert len(deks) == math.ceil(len(NOTES) / 4)
    assert await documents_harness.source.row_ids() == old | deks
    assert sorted(Counter(dek for document in stored for dek in dek_ids_of(document)).values()) == [2, 4, 4]
    assert [note(name) for name in NOTES] == [
        await documents_harness.read(name, documents_harness.source) for name in NOTES
    ]
    assert not any(chosen(documents_harness, SHARED, document) for document in stored)


async def test_leases_that_are_not_used_up_are_given_back(documents_harness: DocumentsHarness) -> None:
    """A page leases a hundredth of the bound; the next page's documents find what it left."""
    await documents_harness.add(*NOTES, side=documents_harness.source)
    policy = KeyPolicy(per="container", max_documents=1000, max_uses=100_000)

    for name in NOTES:
        await moved(documents_harness, policy, [name])

    (dek_id,) = set().union(*[dek_ids_of(await documents_harness.stored(name)) for name in NOTES])
    row = await documents_harness.source.rows.read_item(dek_id, partition_key=dek_id)
    assert (row["documents"], row["uses"]) == (10, 40)  # four fields a document


async def test_runs_of_a_page_at_once_agree(documents_harness: DocumentsHarness) -> None:
    """Whoever comes second leaves the document; what was counted for it is lost, so a bound may be reached sooner."""
    await documents_harness.add(*NOTES, side=documents_harness.source)
    old = await documents_harness.source.row_ids()

    await asyncio.gather(*(moved(documents_harness, SHARED) for _ in range(3)))
    again = await moved(documents_harness, SHARED)

    stored = [await documents_harness.stored(name) for name in NOTES]
    deks = Counter(dek for document in stored for dek in dek_ids_of(document))
    made = await documents_harness.source.row_ids() - old
    assert again.changed == 0
    assert deks.keys() <= made
    assert max(deks.values()) <= 4
    assert len(made) <= 3 * math.ceil(len(NOTES) / 4)
    assert note("n-9") == await documents_harness.read("n-9", documents_harness.source)


async def test_what_live_writers_store_meanwhile_is_left(documents_harness: DocumentsHarness) -> None:
    """A backend on the policy and the migration take the same DEKs, and neither moves what the other has written."""
    side = documents_harness.source
    await documents_harness.add("old", side=side)
    writer = FieldEncryption(KeyVaultProvider(side.mek.client), side.store, None, policy=SHARED)
    live = await writer.encrypt_fields(NAME, "live", note("live"), FIELDS, partition_key="live")
    await documents_harness.container.create_item(live)

    await moved(documents_harness, SHARED, ["old", "live"])

    assert dek_ids_of(await documents_harness.stored("old")) == dek_ids_of(live)
    assert own(await documents_harness.stored("live")) == live
    assert not chosen(documents_harness, SHARED, live)
    assert chosen(documents_harness, None, live)  # without a policy every document gets a DEK of its own


@pytest.mark.parametrize("policy", [None, KeyPolicy(), SHARED])
async def test_format_1_becomes_format_2(documents_harness: DocumentsHarness, policy: KeyPolicy | None) -> None:
    """Before, a copy opens in any partition; afterwards in its own only."""
    await added_as_format_1(documents_harness, "a", "b")
    reader, before = documents_harness.source.encryption, await documents_harness.stored("a")
    await reader.decrypt_fields(NAME, "a", before, FIELDS, partition_key="another tenant's")

    dependencies = documents_harness.dependencies(policy=policy)
    result = await reencrypt_page(page_of(refs("a", "b")), documents_harness.ids, dependencies)

    after = await documents_harness.stored("a")
    assert (result.changed, after["title"]["enc"]) == (2, 2)
    assert note("a") == await documents_harness.read("a", documents_harness.source)
    assert not chosen(documents_harness, policy, after)
    with pytest.raises(TamperedFieldError):
        await reader.decrypt_fields(NAME, "a", after, FIELDS, partition_key="another tenant's")


async def test_a_policy_per_document_moves_what_is_in_format_1_or_shares_a_dek(
    documents_harness: DocumentsHarness,
) -> None:
    """A document that has a DEK of its own in format 2 fits already."""
    await added_as_format_1(documents_harness, "old")
    await documents_harness.add("fits", "shares", side=documents_harness.source)
    await moved(documents_harness, SHARED, ["shares"])
    fits = await documents_harness.stored("fits")

    result = await moved(documents_harness, KeyPolicy(), ["old", "fits", "shares"])

    assert (result.changed, result.unchanged) == (2, 1)
    assert await documents_harness.stored("fits") == fits
    deks = [dek_ids_of(await documents_harness.stored(name)) for name in ("old", "fits", "shares")]
    assert len(set().union(*deks)) == 3


async def test_another_key_takes_what_fits_as_well(documents_harness: DocumentsHarness) -> None:
    """A document that fits the policy is still under the key that it is to leave."""
    await documents_harness.add("a", side=documents_harness.source)
    dependencies = documents_harness.dependencies(documents_harness.target, KeyPolicy())

    results = [await reencrypt_page(page_of(refs("a")), documents_harness.ids, dependencies) for _ in range(2)]

    assert [result.changed for result in results] == [1, 0]
    assert note("a") == await documents_harness.read("a", documents_harness.target)


async def test_every_partition_has_deks_of_its_own(
    documents_harness: DocumentsHarness, cosmos_client: CosmosClient
) -> None:
    """The documents of one partition share them, and are bound to it."""
    documents_harness.container = await new_container(cosmos_client, "notes", "/tenant")
    documents_harness.description = DocumentContainer(name=NAME, fields=FIELDS, partition_key="tenant")
    for number in range(4):
        await documents_harness.container.create_item(note(f"n-{number}", tenant=f"t-{number % 2}"))
    page = page_of([RowRef(id=f"n-{number}", partition=f"t-{number % 2}") for number in range(4)])
    policy = KeyPolicy(per="partition")

    await encrypt_page(page, documents_harness.ids, documents_harness.dependencies(policy=policy))

    stored = {item["id"]: item async for item in documents_harness.container.read_all_items()}
    deks = {name: dek_ids_of(document) for name, document in stored.items()}
    scope = Scope.of(policy, DocumentPlace(NAME, "n-0", "t-0"))
    assert (deks["n-0"], deks["n-1"]) == (deks["n-2"], deks["n-3"])
    assert deks["n-0"] == {scope.dek_id(0)} != deks["n-1"]


async def test_a_copy_is_not_bound_to_where_it_lies(
    documents_harness: DocumentsHarness, cosmos_client: CosmosClient
) -> None:
    """In format 1 nothing tells a copy in another partition from its source: both are named, until one is gone."""
    documents_harness.container = await new_container(cosmos_client, "notes", "/tenant")
    documents_harness.description = DocumentContainer(name=NAME, fields=FIELDS, partition_key="tenant")
    side = documents_harness.source
    for name in ("a", "b"):
        provider, plain = KeyVaultProvider(side.mek.client), note(name, tenant="owner")
        stored = await encrypted_as_format_1(provider, side.store, NAME, plain, FIELDS, f"dek-of-{name}")
        await documents_harness.container.create_item(stored)
    await documents_harness.container.create_item({**await anywhere(documents_harness, "a"), "tenant": "thief"})
    await documents_harness.container.create_item({"id": "b", "tenant": "another", "likes": 1})
    page = page_of([RowRef(id=name, partition=tenant) for name in ("a", "b") for tenant in ("owner", "thief")])

    first = await reencrypt_page(page, documents_harness.ids, documents_harness.dependencies(policy=KeyPolicy()))
    named = dict(documents_harness.quarantined)
    await documents_harness.container.delete_item("a", partition_key="thief")
    again = await reencrypt_page(page, documents_harness.ids, documents_harness.dependencies(policy=KeyPolicy()))

    assert (first.changed, first.quarantined, named) == (1, 2, {"notes/a": "copied"})
    assert (again.changed, again.quarantined) == (1, 0)


async def anywhere(documents_harness: DocumentsHarness, name: str) -> dict[str, Any]:
    """Return the one document of this id, in whatever partition."""
    query = "SELECT * FROM c WHERE c.id = @id"
    parameters: list[dict[str, object]] = [{"name": "@id", "value": name}]
    (found,) = [dict(item) async for item in documents_harness.container.query_items(query, parameters=parameters)]
    return own(found)


async def test_a_page_that_dies_between_row_and_document_goes_on(
    documents_harness: DocumentsHarness, cosmos: LocalCosmos
) -> None:
    """The next try takes the row that the first has made."""
    await documents_harness.add(*NOTES, side=documents_harness.source)
    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await moved(documents_harness, KeyPolicy(per="container"))
    cosmos.clear_faults()
    between = await documents_harness.source.row_ids()

    await moved(documents_harness, KeyPolicy(per="container"))

    assert len(between) == len(NOTES) + 1
    assert await documents_harness.source.row_ids() == between
    assert note("n-0") == await documents_harness.read("n-0", documents_harness.source)


@pytest.mark.parametrize(("policy", "at_look"), [(SHARED, 1), (KeyPolicy(per="partition"), 1), (SHARED_NEW, 2)])
async def test_a_run_that_was_overtaken_makes_no_row(
    documents_harness: DocumentsHarness, policy: KeyPolicy, at_look: int
) -> None:
    """It looks at its lease before a row's counters change, and again before a row is made."""
    await documents_harness.add("a", "b", side=documents_harness.source)
    await moved(documents_harness, SHARED, ["a"])
    before = [row async for row in documents_harness.source.rows.read_all_items()]

    looks = 0

    async def overtaken(_read_at: float) -> None:
        nonlocal looks
        looks += 1
        if looks >= at_look:
            raise FencedError("overtaken", rotationId="r", holder=None)

    documents_harness.hold = overtaken
    with pytest.raises(FencedError):
        await moved(documents_harness, policy, ["b"])

    assert [row async for row in documents_harness.source.rows.read_all_items()] == before


async def test_a_dry_run_makes_no_row(documents_harness: DocumentsHarness) -> None:
    """It counts the documents that would be moved."""
    await documents_harness.add(*NOTES, side=documents_harness.source)
    before = [row async for row in documents_harness.source.rows.read_all_items()]

    assert (await moved(documents_harness, SHARED, dry_run=True)).changed == 10
    assert [row async for row in documents_harness.source.rows.read_all_items()] == before


async def test_more_fields_than_the_policy_allows_is_the_documents_fault(documents_harness: DocumentsHarness) -> None:
    """It is named, and the rest goes on."""
    await documents_harness.add("many", side=documents_harness.source)
    await documents_harness.add("few", side=documents_harness.source, parts=[])

    result = await moved(documents_harness, KeyPolicy(per="container", max_uses=3), ["many", "few"])

    assert (result.changed, documents_harness.quarantined) == (1, {"notes/many": "too_many_fields"})

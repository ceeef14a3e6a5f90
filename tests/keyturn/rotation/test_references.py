"""References: documents that name DEKs which the store lacks are noticed, whatever field names them."""

import asyncio

import pytest

from keyturn.rotation.verification import missing_deks
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.documents.harness import DocumentsHarness, dek_ids_of

pytestmark = pytest.mark.usefixtures("mixed_types")


async def missing(documents_harness: DocumentsHarness) -> list[str]:
    """Return what documents name and the store lacks."""
    found = await missing_deks(
        documents_harness.container, documents_harness.documents.description, documents_harness.source.store
    )
    assert {"a"} >= {one.document_id for one in found}
    return [one.dek_id for one in found]


async def test_nothing_is_missing(documents_harness: DocumentsHarness) -> None:
    """Encrypted documents whose rows are there, and documents that name no DEK."""
    await documents_harness.add("a", "b", side=documents_harness.source)
    await documents_harness.add("plain")

    assert await missing(documents_harness) == []


@pytest.mark.parametrize("keeps", ["title", "author", "parts"])
async def test_a_missing_dek_is_noticed_in_every_kind_of_field(documents_harness: DocumentsHarness, keeps: str) -> None:
    """A property of the document, a nested one, and one of a list's elements: each alone is enough."""
    await documents_harness.add("a", "b", side=documents_harness.source)
    stored = await documents_harness.stored("a")
    (dek_id,) = dek_ids_of(stored)
    await documents_harness.container.replace_item("a", {"id": "a", keeps: stored[keeps]})
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)

    assert await missing(documents_harness) == [dek_id]


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_document_that_goes_with_its_row_is_no_failure(
    documents_harness: DocumentsHarness, cosmos: LocalCosmos, *, replaced: bool
) -> None:
    """A document that was sampled is deleted, or put under another DEK, and then its row is deleted."""
    await documents_harness.add("a", side=documents_harness.source)
    (dek_id,) = dek_ids_of(await documents_harness.stored("a"))
    cosmos.fault(operation="read", kind="hold", match=f"{documents_harness.source.rows.id}/docs/{dek_id}")
    looking = asyncio.create_task(missing(documents_harness))
    await asyncio.to_thread(cosmos.until_fired)
    await documents_harness.container.delete_item("a", partition_key="a")
    if replaced:
        await documents_harness.add("a", side=documents_harness.source)
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)
    cosmos.clear_faults()

    assert await looking == []


async def test_a_malformed_row_is_there(documents_harness: DocumentsHarness) -> None:
    """That a row is malformed is the sweep's to report."""
    await documents_harness.add("a", side=documents_harness.source)
    (dek_id,) = dek_ids_of(await documents_harness.stored("a"))
    row = await documents_harness.source.rows.read_item(dek_id, partition_key=dek_id)
    await documents_harness.source.rows.replace_item(dek_id, {**row, "wrappedDek": "!"})

    assert await missing(documents_harness) == []

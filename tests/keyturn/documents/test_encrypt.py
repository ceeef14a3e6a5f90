"""The initial backfill: plaintext fields of existing documents are encrypted, each document under a DEK of its own."""

from typing import Any

import pytest

from keyturn.contracts.pages import PageResult, RowRef
from keyturn.documents.operations import encrypt_page
from keyturn.errors import UnavailableError
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.documents.harness import DocumentsHarness, dek_ids_of, note, own, page_of, refs


async def run(documents_harness: DocumentsHarness, found: list[RowRef], **more: Any) -> PageResult:
    """Encrypt a page."""
    return await encrypt_page(page_of(found, **more), documents_harness.ids, documents_harness.dependencies())


async def test_plaintext_documents_are_encrypted(documents_harness: DocumentsHarness) -> None:
    """Each document gets one DEK of its own, reads as before, and keeps what is not named."""
    found = await documents_harness.add("a", "b", "c")

    result = await run(documents_harness, found)

    assert (result.changed, result.unchanged, result.vault_operations) == (3, 0, 0)
    deks = [dek_ids_of(await documents_harness.stored(name)) for name in "abc"]
    assert [len(named) for named in deks] == [1, 1, 1]
    assert set().union(*deks) == await documents_harness.source.row_ids()
    assert len(await documents_harness.source.row_ids()) == 3
    assert [note(name) for name in "abc"] == [
        await documents_harness.read(name, documents_harness.source) for name in "abc"
    ]
    assert (await documents_harness.stored("a"))["likes"] == 3


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(documents_harness: DocumentsHarness) -> None:
    """What is encrypted costs one read, and makes no row."""
    found = await documents_harness.add("a", "b")
    await run(documents_harness, found)
    before = [await documents_harness.stored(name) for name in "ab"]

    result = await run(documents_harness, found)

    assert (result.changed, result.unchanged) == (0, 2)
    assert [await documents_harness.stored(name) for name in "ab"] == before
    assert len(await documents_harness.source.row_ids()) == 2


async def test_encrypted_fields_keep_their_dek(documents_harness: DocumentsHarness) -> None:
    """Of a document that an old writer has partly overwritten, only the plaintext gets another DEK."""
    (ref,) = await documents_harness.add("a", side=documents_harness.source)
    written = await documents_harness.stored("a")
    await documents_harness.container.replace_item("a", {**written, "title": "new"})

    await run(documents_harness, [ref])

    now = await documents_harness.stored("a")
    assert written["author"] == now["author"]
    assert {**note("a"), "title": "new"} == await documents_harness.read("a", documents_harness.source)


async def test_fields_that_a_document_lacks_are_no_fault(documents_harness: DocumentsHarness) -> None:
    """What is there is encrypted, also where one element of a list lacks the field."""
    await documents_harness.container.create_item({"id": "a", "title": "t", "parts": [{"text": "x"}, {"other": 1}]})

    result = await run(documents_harness, refs("a"))

    assert (result.changed, documents_harness.quarantined) == (1, {})
    stored = await documents_harness.stored("a")
    assert stored["title"]["dekId"] == stored["parts"][0]["text"]["dekId"]
    assert stored["parts"][1] == {"other": 1}


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"parts": [{"text": 1}] * 7_000}, "too_large"),
        ({"title": {"in": {"enc": 1, "dekId": "d"}}}, "invalid_value"),
        ({"title": {"dekId": "k", "iv": "AAAA", "ciphertext": "AAAA", "tag": "AAAA"}}, "looks_encrypted"),
        ({"title": "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zo"}, "looks_encrypted"),
        ({"author": {"name": ["enc:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZR"]}}, "looks_encrypted"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
async def test_document_that_cannot_be_encrypted_is_named(
    documents_harness: DocumentsHarness, properties: dict[str, Any], reason: str, *, dry_run: bool
) -> None:
    """It is quarantined with its reason, nothing is written of it, and the rest goes on."""
    await documents_harness.add("bad", **properties)
    await documents_harness.add("good")
    before = await documents_harness.stored("bad")

    result = await run(documents_harness, refs("bad", "good"), dry_run=dry_run)

    assert documents_harness.quarantined == {"notes/bad": reason}
    assert (result.changed, result.quarantined) == (1, 1)
    assert await documents_harness.stored("bad") == before
    assert (0 if dry_run else 1) == len(await documents_harness.source.row_ids())


async def test_a_dry_run_writes_nothing(documents_harness: DocumentsHarness) -> None:
    """It counts what would be encrypted, and leaves documents and dek store as they are."""
    found = await documents_harness.add("a", "b")
    before = [await documents_harness.stored(name) for name in "ab"]

    result = await run(documents_harness, found, dry_run=True)

    assert (result.changed, await documents_harness.source.row_ids()) == (2, set())
    assert [await documents_harness.stored(name) for name in "ab"] == before


async def test_deleted_document_stays_deleted(documents_harness: DocumentsHarness) -> None:
    """A document that is gone is counted and not made again."""
    result = await run(documents_harness, refs("never-there"))

    assert (result.gone, result.changed) == (1, 0)
    assert [item async for item in documents_harness.container.read_all_items()] == []


async def test_crash_between_row_and_document_leaves_no_second_row(
    documents_harness: DocumentsHarness, cosmos: LocalCosmos
) -> None:
    """The row of the first try is taken again; until then the document stays as it was."""
    found = await documents_harness.add("a")
    before = await documents_harness.stored("a")
    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await run(documents_harness, found)
    cosmos.clear_faults()
    assert own(before) == own(await documents_harness.stored("a"))
    left = await documents_harness.source.row_ids()

    await run(documents_harness, found)

    assert len(left) == 1
    assert left == await documents_harness.source.row_ids() == dek_ids_of(await documents_harness.stored("a"))
    assert note("a") == await documents_harness.read("a", documents_harness.source)

"""Re-encryption: every document under a fresh DEK, from a readable key onto the same or another key and dek store."""

import asyncio

import pytest

from field_encrypt.encoding import to_base64
from field_encrypt.mek_errors import MekNotUsableError
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.operations import reencrypt_page
from keyturn.errors import UnavailableError
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.documents.harness import NAME, DocumentsHarness, Side, dek_ids_of, note, own, page_of, refs


async def run(
    documents_harness: DocumentsHarness, found: list[RowRef], target: Side | None = None, **more: bool
) -> PageResult:
    """Re-encrypt a page."""
    return await reencrypt_page(page_of(found, **more), documents_harness.ids, documents_harness.dependencies(target))


async def test_documents_get_fresh_deks_under_the_same_key(documents_harness: DocumentsHarness) -> None:
    """Each document reads as before under a row of its own; the old rows are superseded and stay."""
    found = await documents_harness.add("a", "b", side=documents_harness.source)
    before = [await documents_harness.stored(name) for name in "ab"]
    old = await documents_harness.source.row_ids()

    result = await run(documents_harness, found)

    after = [await documents_harness.stored(name) for name in "ab"]
    new = [dek_ids_of(document) for document in after]
    assert (result.changed, result.vault_operations) == (2, 2)
    assert [note("a"), note("b")] == [await documents_harness.read(name, documents_harness.source) for name in "ab"]
    assert [len(named) for named in new] == [1, 1]
    assert old | set().union(*new) == await documents_harness.source.row_ids()
    assert len(await documents_harness.source.row_ids()) == 4
    assert before[0]["title"]["ct"] != after[0]["title"]["ct"]
    assert note("a") == await documents_harness.source.encryption.decrypt_fields(
        NAME, "a", own(before[0]), ["title", "author/name", "parts/*/text"], partition_key="a"
    )


async def test_documents_move_onto_another_key_and_dek_store(documents_harness: DocumentsHarness) -> None:
    """Afterwards the first key is not needed any more: what a recovery from a lost MEK comes to."""
    found = await documents_harness.add("a", "b", side=documents_harness.source)

    await run(documents_harness, found, documents_harness.target)
    await documents_harness.source.mek.change(documents_harness.source.version, enabled=False)

    assert [note("a"), note("b")] == [await documents_harness.read(name, documents_harness.target) for name in "ab"]
    assert len(await documents_harness.target.row_ids()) == 2


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(documents_harness: DocumentsHarness) -> None:
    """A document that is done costs one read and no unwrap."""
    found = await documents_harness.add("a", "b", side=documents_harness.source)
    await run(documents_harness, found, documents_harness.target)
    before = [await documents_harness.stored(name) for name in "ab"]

    result = await run(documents_harness, found, documents_harness.target)

    assert (result.changed, result.unchanged, result.vault_operations) == (0, 2, 0)
    assert [await documents_harness.stored(name) for name in "ab"] == before


async def test_two_runs_of_a_page_at_once_agree(documents_harness: DocumentsHarness) -> None:
    """Whoever comes second to a row takes it, and whoever comes second to a document leaves it."""
    found = await documents_harness.add(*"abcdef", side=documents_harness.source)

    await asyncio.gather(*(run(documents_harness, found, documents_harness.target) for _ in range(3)))

    stored = [await documents_harness.stored(name) for name in "abcdef"]
    assert set().union(*map(dek_ids_of, stored)) == await documents_harness.target.row_ids()
    assert [note(name) for name in "abcdef"] == [
        await documents_harness.read(name, documents_harness.target) for name in "abcdef"
    ]


async def test_crash_between_row_and_document_leaves_no_second_row(
    documents_harness: DocumentsHarness, cosmos: LocalCosmos
) -> None:
    """The document stays readable by its old DEK, and the row of the first try is taken again."""
    found = await documents_harness.add("a", side=documents_harness.source)
    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await run(documents_harness, found, documents_harness.target)
    cosmos.clear_faults()
    between, left = (
        await documents_harness.read("a", documents_harness.source),
        await documents_harness.target.row_ids(),
    )

    await run(documents_harness, found, documents_harness.target)

    assert note("a") == between
    assert len(left) == 1
    assert left == await documents_harness.target.row_ids() == dek_ids_of(await documents_harness.stored("a"))
    assert note("a") == await documents_harness.read("a", documents_harness.target)


async def test_write_whose_answer_was_lost_is_counted_as_done(
    documents_harness: DocumentsHarness, cosmos: LocalCosmos
) -> None:
    """The SDK's second try loses against the first, and the document turns out to be done."""
    found = await documents_harness.add("a", side=documents_harness.source)
    cosmos.fault(operation="replace", kind="drop_after", count=1)

    result = await run(documents_harness, found, documents_harness.target)

    assert (result.changed, result.unchanged) == (1, 0)
    assert note("a") == await documents_harness.read("a", documents_harness.target)


async def test_change_by_another_writer_is_kept(
    documents_harness: DocumentsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer who comes between read and write wins; the document is then re-encrypted as they left it."""
    found = await documents_harness.add("a", side=documents_harness.source)
    documents = documents_harness.dependencies(documents_harness.target).documents
    replace, writes = type(documents).replace, 0

    async def late(self: object, document: dict[str, object]) -> object:
        nonlocal writes
        writes += 1
        if writes == 1:
            await documents_harness.container.replace_item("a", {**await documents_harness.stored("a"), "likes": 4})
        return await replace(self, document)  # type: ignore[arg-type]  # the test stands in for the method

    monkeypatch.setattr(type(documents), "replace", late)

    result = await run(documents_harness, found, documents_harness.target)

    assert (result.changed, result.conflicts) == (1, 1)
    assert note("a", likes=4) == await documents_harness.read("a", documents_harness.target)
    assert len(await documents_harness.target.row_ids()) == 1


async def test_document_deleted_meanwhile_stays_deleted(
    documents_harness: DocumentsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that is deleted between read and write is not made again."""
    found = await documents_harness.add("a", side=documents_harness.source)
    documents = documents_harness.dependencies(documents_harness.target).documents
    replace = type(documents).replace

    async def late(self: object, document: dict[str, object]) -> object:
        await documents_harness.container.delete_item("a", partition_key="a")
        return await replace(self, document)  # type: ignore[arg-type]  # the test stands in for the method

    monkeypatch.setattr(type(documents), "replace", late)

    result = await run(documents_harness, found, documents_harness.target)

    assert (result.gone, result.changed) == (1, 0)
    assert [item async for item in documents_harness.container.read_all_items()] == []


async def test_documents_that_do_not_open_are_named_and_left(documents_harness: DocumentsHarness) -> None:
    """Each gets its reason, no row is made for it, its bytes stay, and the rest goes on."""
    await documents_harness.add("tampered", "missing", "plain", "good", side=documents_harness.source)
    tampered, missing, plain = [await documents_harness.stored(name) for name in ("tampered", "missing", "plain")]
    (dek_id,) = dek_ids_of(missing)
    await documents_harness.container.replace_item(
        "tampered", {**tampered, "title": {**tampered["title"], "ct": to_base64(b"x")}}
    )
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)
    await documents_harness.container.replace_item("plain", {**plain, "title": "plaintext"})
    names = ("tampered", "missing", "plain", "good")
    before = {name: await documents_harness.stored(name) for name in names}

    result = await run(documents_harness, refs(*names), documents_harness.target)

    reasons = {"tampered": "tampered_field", "missing": "missing_dek", "plain": "not_encrypted"}
    assert {f"notes/{name}": reason for name, reason in reasons.items()} == documents_harness.quarantined
    assert (result.changed, result.quarantined) == (1, 3)
    assert [before[name] for name in reasons] == [await documents_harness.stored(name) for name in reasons]
    assert len(await documents_harness.target.row_ids()) == 1


async def test_document_of_a_writer_on_the_target_needs_nothing(documents_harness: DocumentsHarness) -> None:
    """A writer that has moved already made a fresh DEK there; it counts as done, not as missing."""
    found = await documents_harness.add("a", side=documents_harness.target)
    before = await documents_harness.stored("a")

    result = await run(documents_harness, found, documents_harness.target)

    assert (result.changed, result.unchanged, documents_harness.quarantined) == (0, 1, {})
    assert await documents_harness.stored("a") == before


async def test_a_dry_run_writes_nothing(documents_harness: DocumentsHarness) -> None:
    """It counts what opens and would be moved, names what does not, and leaves everything as it is."""
    found = await documents_harness.add("a", "b", side=documents_harness.source)
    before = [await documents_harness.stored(name) for name in "ab"]
    (dek_id,) = dek_ids_of(before[1])
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)

    result = await run(documents_harness, found, documents_harness.target, dry_run=True)

    assert (result.changed, documents_harness.quarantined) == (1, {"notes/b": "missing_dek"})
    assert await documents_harness.target.row_ids() == set()
    assert [await documents_harness.stored(name) for name in "ab"] == before


async def test_a_target_that_cannot_wrap_ends_the_page(documents_harness: DocumentsHarness) -> None:
    """That nothing may be wrapped is no document's fault: nothing is quarantined, nothing changes."""
    found = await documents_harness.add("a", side=documents_harness.source)
    await documents_harness.target.mek.change(documents_harness.target.version, enabled=False)

    with pytest.raises(MekNotUsableError):
        await run(documents_harness, found, documents_harness.target)

    assert documents_harness.quarantined == {}
    assert note("a") == await documents_harness.read("a", documents_harness.source)


async def test_planted_row_is_not_taken(documents_harness: DocumentsHarness) -> None:
    """A row of the migration's dekId that does not hold what it says ends in quarantine, not in a document."""
    found = await documents_harness.add("a", side=documents_harness.source)
    stored = await documents_harness.stored("a")
    dek_id = documents_harness.documents.dek_id(documents_harness.ids, stored)
    await documents_harness.target.encryption.encrypt_fields(NAME, "x", note("x"), ["title"], dek_id=dek_id)
    row = await documents_harness.target.rows.read_item(dek_id, partition_key=dek_id)
    await documents_harness.target.rows.replace_item(dek_id, {**row, "keyCheck": to_base64(bytes(16))})

    await run(documents_harness, found, documents_harness.target)

    assert documents_harness.quarantined == {"notes/a": "key_check_mismatch"}
    assert await documents_harness.stored("a") == stored


async def test_ids_differ_by_place_and_migration(documents_harness: DocumentsHarness) -> None:
    """No two documents share an id, and another migration has others."""
    other = DocumentsHarness(documents_harness.container, documents_harness.source, documents_harness.target)
    places = [{"id": "a"}, {"id": "b"}]

    ids = [
        documents_harness.documents.dek_id(kept, place)
        for kept in (documents_harness.ids, other.ids)
        for place in places
    ]

    assert len(set(ids)) == 4
    assert (
        documents_harness.ids.of("n", ["t1"], "a")
        != documents_harness.ids.of("n", ["t2"], "a")
        != documents_harness.ids.of("n", [], "a")
    )
    assert isinstance(other.ids, DekIds)

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
from tests.keyturn.documents.scene import NAME, Scene, Side, dek_ids_of, note, own, page_of, refs


async def run(scene: Scene, found: list[RowRef], target: Side | None = None, **more: bool) -> PageResult:
    """Re-encrypt a page."""
    return await reencrypt_page(page_of(found, **more), scene.ids, scene.dependencies(target))


async def test_documents_get_fresh_deks_under_the_same_key(scene: Scene) -> None:
    """Each document reads as before under a row of its own; the old rows are superseded and stay."""
    found = await scene.add("a", "b", side=scene.source)
    before = [await scene.stored(name) for name in "ab"]
    old = await scene.source.row_ids()

    result = await run(scene, found)

    after = [await scene.stored(name) for name in "ab"]
    new = [dek_ids_of(document) for document in after]
    assert (2, 2) == (result.changed, result.vault_operations)
    assert [note("a"), note("b")] == [await scene.read(name, scene.source) for name in "ab"]
    assert [1, 1] == [len(named) for named in new]
    assert old | set().union(*new) == await scene.source.row_ids()
    assert 4 == len(await scene.source.row_ids())
    assert before[0]["title"]["ct"] != after[0]["title"]["ct"]
    assert note("a") == await scene.source.encryption.decrypt_fields(
        NAME, "a", own(before[0]), ["title", "author/name", "parts/*/text"]
    )


async def test_documents_move_onto_another_key_and_dek_store(scene: Scene) -> None:
    """Afterwards the first key is not needed any more: what a recovery from a lost MEK comes to."""
    found = await scene.add("a", "b", side=scene.source)

    await run(scene, found, scene.target)
    await scene.source.mek.change(scene.source.version, enabled=False)

    assert [note("a"), note("b")] == [await scene.read(name, scene.target) for name in "ab"]
    assert 2 == len(await scene.target.row_ids())


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(scene: Scene) -> None:
    """A document that is done costs one read and no unwrap."""
    found = await scene.add("a", "b", side=scene.source)
    await run(scene, found, scene.target)
    before = [await scene.stored(name) for name in "ab"]

    result = await run(scene, found, scene.target)

    assert (0, 2, 0) == (result.changed, result.unchanged, result.vault_operations)
    assert before == [await scene.stored(name) for name in "ab"]


async def test_two_runs_of_a_page_at_once_agree(scene: Scene) -> None:
    """Whoever comes second to a row takes it, and whoever comes second to a document leaves it."""
    found = await scene.add(*"abcdef", side=scene.source)

    await asyncio.gather(*(run(scene, found, scene.target) for _ in range(3)))

    stored = [await scene.stored(name) for name in "abcdef"]
    assert set().union(*map(dek_ids_of, stored)) == await scene.target.row_ids()
    assert [note(name) for name in "abcdef"] == [await scene.read(name, scene.target) for name in "abcdef"]


async def test_crash_between_row_and_document_leaves_no_second_row(scene: Scene, cosmos: LocalCosmos) -> None:
    """The document stays readable by its old DEK, and the row of the first try is taken again."""
    found = await scene.add("a", side=scene.source)
    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await run(scene, found, scene.target)
    cosmos.clear_faults()
    between, left = await scene.read("a", scene.source), await scene.target.row_ids()

    await run(scene, found, scene.target)

    assert note("a") == between
    assert 1 == len(left)
    assert left == await scene.target.row_ids() == dek_ids_of(await scene.stored("a"))
    assert note("a") == await scene.read("a", scene.target)


async def test_write_whose_answer_was_lost_is_counted_as_done(scene: Scene, cosmos: LocalCosmos) -> None:
    """The SDK's second try loses against the first, and the document turns out to be done."""
    found = await scene.add("a", side=scene.source)
    cosmos.fault(operation="replace", kind="drop_after", count=1)

    result = await run(scene, found, scene.target)

    assert (1, 0) == (result.changed, result.unchanged)
    assert note("a") == await scene.read("a", scene.target)


async def test_change_by_another_writer_is_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer who comes between read and write wins; the document is then re-encrypted as they left it."""
    found = await scene.add("a", side=scene.source)
    documents = scene.dependencies(scene.target).documents
    replace, writes = type(documents).replace, 0

    async def late(self: object, document: dict[str, object]) -> object:
        nonlocal writes
        writes += 1
        if writes == 1:
            await scene.container.replace_item("a", {**await scene.stored("a"), "likes": 4})
        return await replace(self, document)  # type: ignore[arg-type]  # the test stands in for the method

    monkeypatch.setattr(type(documents), "replace", late)

    result = await run(scene, found, scene.target)

    assert (1, 1) == (result.changed, result.conflicts)
    assert note("a", likes=4) == await scene.read("a", scene.target)
    assert 1 == len(await scene.target.row_ids())


async def test_document_deleted_meanwhile_stays_deleted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is deleted between read and write is not made again."""
    found = await scene.add("a", side=scene.source)
    documents = scene.dependencies(scene.target).documents
    replace = type(documents).replace

    async def late(self: object, document: dict[str, object]) -> object:
        await scene.container.delete_item("a", partition_key="a")
        return await replace(self, document)  # type: ignore[arg-type]  # the test stands in for the method

    monkeypatch.setattr(type(documents), "replace", late)

    result = await run(scene, found, scene.target)

    assert (1, 0) == (result.gone, result.changed)
    assert [] == [item async for item in scene.container.read_all_items()]


async def test_documents_that_do_not_open_are_named_and_left(scene: Scene) -> None:
    """Each gets its reason, no row is made for it, its bytes stay, and the rest goes on."""
    await scene.add("tampered", "missing", "plain", "good", side=scene.source)
    tampered, missing, plain = [await scene.stored(name) for name in ("tampered", "missing", "plain")]
    (dek_id,) = dek_ids_of(missing)
    await scene.container.replace_item("tampered", {**tampered, "title": {**tampered["title"], "ct": to_base64(b"x")}})
    await scene.source.rows.delete_item(dek_id, partition_key=dek_id)
    await scene.container.replace_item("plain", {**plain, "title": "plaintext"})
    names = ("tampered", "missing", "plain", "good")
    before = {name: await scene.stored(name) for name in names}

    result = await run(scene, refs(*names), scene.target)

    reasons = {"tampered": "tampered_field", "missing": "missing_dek", "plain": "not_encrypted"}
    assert {f"notes/{name}": reason for name, reason in reasons.items()} == scene.quarantined
    assert (1, 3) == (result.changed, result.quarantined)
    assert [before[name] for name in reasons] == [await scene.stored(name) for name in reasons]
    assert 1 == len(await scene.target.row_ids())


async def test_document_of_a_writer_on_the_target_needs_nothing(scene: Scene) -> None:
    """A writer that has moved already made a fresh DEK there; it counts as done, not as missing."""
    found = await scene.add("a", side=scene.target)
    before = await scene.stored("a")

    result = await run(scene, found, scene.target)

    assert (0, 1, {}) == (result.changed, result.unchanged, scene.quarantined)
    assert before == await scene.stored("a")


async def test_a_dry_run_writes_nothing(scene: Scene) -> None:
    """It counts what opens and would be moved, names what does not, and leaves everything as it is."""
    found = await scene.add("a", "b", side=scene.source)
    before = [await scene.stored(name) for name in "ab"]
    (dek_id,) = dek_ids_of(before[1])
    await scene.source.rows.delete_item(dek_id, partition_key=dek_id)

    result = await run(scene, found, scene.target, dry_run=True)

    assert (1, {"notes/b": "missing_dek"}) == (result.changed, scene.quarantined)
    assert set() == await scene.target.row_ids()
    assert before == [await scene.stored(name) for name in "ab"]


async def test_a_target_that_cannot_wrap_ends_the_page(scene: Scene) -> None:
    """That nothing may be wrapped is no document's fault: nothing is quarantined, nothing changes."""
    found = await scene.add("a", side=scene.source)
    await scene.target.mek.change(scene.target.version, enabled=False)

    with pytest.raises(MekNotUsableError):
        await run(scene, found, scene.target)

    assert {} == scene.quarantined
    assert note("a") == await scene.read("a", scene.source)


async def test_planted_row_is_not_taken(scene: Scene) -> None:
    """A row of the migration's dekId that does not hold what it says ends in quarantine, not in a document."""
    found = await scene.add("a", side=scene.source)
    stored = await scene.stored("a")
    dek_id = scene.documents.dek_id(scene.ids, stored)
    await scene.target.encryption.encrypt_fields(NAME, "x", note("x"), ["title"], dek_id=dek_id)
    row = await scene.target.rows.read_item(dek_id, partition_key=dek_id)
    await scene.target.rows.replace_item(dek_id, {**row, "keyCheck": to_base64(bytes(16))})

    await run(scene, found, scene.target)

    assert {"notes/a": "key_check_mismatch"} == scene.quarantined
    assert stored == await scene.stored("a")


async def test_ids_differ_by_place_and_migration(scene: Scene) -> None:
    """No two documents share an id, and another migration has others."""
    other = Scene(scene.container, scene.source, scene.target)
    places = [{"id": "a"}, {"id": "b"}]

    ids = [scene.documents.dek_id(kept, place) for kept in (scene.ids, other.ids) for place in places]

    assert 4 == len(set(ids))
    assert scene.ids.of("n", ["t1"], "a") != scene.ids.of("n", ["t2"], "a") != scene.ids.of("n", [], "a")
    assert isinstance(other.ids, DekIds)

"""The initial backfill: plaintext fields of existing documents are encrypted, each document under a DEK of its own."""

from typing import Any

import pytest

from keyturn.contracts.pages import PageResult, RowRef
from keyturn.documents.operations import encrypt_page
from keyturn.errors import UnavailableError
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.documents.scene import Scene, dek_ids_of, note, own, page_of, refs


async def run(scene: Scene, found: list[RowRef], **more: Any) -> PageResult:
    """Encrypt a page."""
    return await encrypt_page(page_of(found, **more), scene.ids, scene.dependencies())


async def test_plaintext_documents_are_encrypted(scene: Scene) -> None:
    """Each document gets one DEK of its own, reads as before, and keeps what is not named."""
    found = await scene.add("a", "b", "c")

    result = await run(scene, found)

    assert (3, 0, 0) == (result.changed, result.unchanged, result.vault_operations)
    deks = [dek_ids_of(await scene.stored(name)) for name in "abc"]
    assert [1, 1, 1] == [len(named) for named in deks]
    assert set().union(*deks) == await scene.source.row_ids()
    assert 3 == len(await scene.source.row_ids())
    assert [note(name) for name in "abc"] == [await scene.read(name, scene.source) for name in "abc"]
    assert 3 == (await scene.stored("a"))["likes"]


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(scene: Scene) -> None:
    """What is encrypted costs one read, and makes no row."""
    found = await scene.add("a", "b")
    await run(scene, found)
    before = [await scene.stored(name) for name in "ab"]

    result = await run(scene, found)

    assert (0, 2) == (result.changed, result.unchanged)
    assert before == [await scene.stored(name) for name in "ab"]
    assert 2 == len(await scene.source.row_ids())


async def test_encrypted_fields_keep_their_dek(scene: Scene) -> None:
    """Of a document that an old writer has partly overwritten, only the plaintext gets another DEK."""
    (ref,) = await scene.add("a", side=scene.source)
    written = await scene.stored("a")
    await scene.container.replace_item("a", {**written, "title": "new"})

    await run(scene, [ref])

    now = await scene.stored("a")
    assert written["author"] == now["author"]
    assert {**note("a"), "title": "new"} == await scene.read("a", scene.source)


async def test_fields_that_a_document_lacks_are_no_fault(scene: Scene) -> None:
    """What is there is encrypted, also where one element of a list lacks the field."""
    await scene.container.create_item({"id": "a", "title": "t", "parts": [{"text": "x"}, {"other": 1}]})

    result = await run(scene, refs("a"))

    assert (1, {}) == (result.changed, scene.quarantined)
    stored = await scene.stored("a")
    assert stored["title"]["dekId"] == stored["parts"][0]["text"]["dekId"]
    assert {"other": 1} == stored["parts"][1]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [({"parts": [{"text": 1}] * 7_000}, "too_large"), ({"title": {"in": {"enc": 1, "dekId": "d"}}}, "invalid_value")],
)
@pytest.mark.parametrize("dry_run", [False, True])
async def test_document_that_cannot_be_encrypted_is_named(
    scene: Scene, properties: dict[str, Any], reason: str, *, dry_run: bool
) -> None:
    """It is quarantined with its reason, nothing is written of it, and the rest goes on."""
    await scene.add("bad", **properties)
    await scene.add("good")
    before = await scene.stored("bad")

    result = await run(scene, refs("bad", "good"), dry_run=dry_run)

    assert {"notes/bad": reason} == scene.quarantined
    assert (1, 1) == (result.changed, result.quarantined)
    assert before == await scene.stored("bad")
    assert (0 if dry_run else 1) == len(await scene.source.row_ids())


async def test_a_dry_run_writes_nothing(scene: Scene) -> None:
    """It counts what would be encrypted, and leaves documents and dek store as they are."""
    found = await scene.add("a", "b")
    before = [await scene.stored(name) for name in "ab"]

    result = await run(scene, found, dry_run=True)

    assert (2, set()) == (result.changed, await scene.source.row_ids())
    assert before == [await scene.stored(name) for name in "ab"]


async def test_deleted_document_stays_deleted(scene: Scene) -> None:
    """A document that is gone is counted and not made again."""
    result = await run(scene, refs("never-there"))

    assert (1, 0) == (result.gone, result.changed)
    assert [] == [item async for item in scene.container.read_all_items()]


async def test_crash_between_row_and_document_leaves_no_second_row(scene: Scene, cosmos: LocalCosmos) -> None:
    """The row of the first try is taken again; until then the document stays as it was."""
    found = await scene.add("a")
    before = await scene.stored("a")
    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await run(scene, found)
    cosmos.clear_faults()
    assert own(before) == own(await scene.stored("a"))
    left = await scene.source.row_ids()

    await run(scene, found)

    assert 1 == len(left)
    assert left == await scene.source.row_ids() == dek_ids_of(await scene.stored("a"))
    assert note("a") == await scene.read("a", scene.source)

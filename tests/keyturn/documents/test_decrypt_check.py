"""Reading everything and changing nothing: what does not decrypt is counted and named."""

from keyturn.documents.operations import check_page
from tests.keyturn.documents.scene import Scene, dek_ids_of, page_of, refs

NAMES = ("good", "moved", "missing", "plain", "foreign")


async def test_what_does_not_decrypt_is_named(scene: Scene) -> None:
    """Each document that does not decrypt gets its reason, and no document or row changes."""
    await scene.add("good", "moved", "missing", "plain", side=scene.source)
    moved, missing, plain = [await scene.stored(name) for name in ("moved", "missing", "plain")]
    await scene.container.replace_item("moved", {**moved, "title": (await scene.stored("good"))["title"]})
    (dek_id,) = dek_ids_of(missing)
    await scene.source.rows.delete_item(dek_id, partition_key=dek_id)
    await scene.container.replace_item("plain", {**plain, "title": "plaintext"})
    await scene.add("foreign", side=scene.source)
    (foreign,) = dek_ids_of(await scene.stored("foreign"))
    row = await scene.source.rows.read_item(foreign, partition_key=foreign)
    await scene.source.rows.replace_item(foreign, {**row, "mekName": "other-mek"})
    await scene.container.create_item({"id": "nothing", "likes": 1})
    before = [await scene.stored(name) for name in NAMES], await scene.source.row_ids()

    result = await check_page(page_of(refs(*NAMES, "nothing", "gone")), scene.dependencies())

    reasons = {"moved": "tampered_field", "missing": "missing_dek", "plain": "not_encrypted", "foreign": "foreign_mek"}
    assert {f"notes/{name}": reason for name, reason in reasons.items()} == scene.quarantined
    assert (1, 1, 1, 4) == (result.changed, result.unchanged, result.gone, result.quarantined)
    assert before == ([await scene.stored(name) for name in NAMES], await scene.source.row_ids())


async def test_disabled_version_is_named_once_for_each_document(scene: Scene) -> None:
    """Documents whose version is disabled are named as such."""
    found = await scene.add("a", "b", side=scene.source)
    await scene.source.mek.change(scene.source.version, enabled=False)

    await check_page(page_of(found), scene.dependencies())

    assert {"notes/a": "version_disabled", "notes/b": "version_disabled"} == scene.quarantined


async def test_unwraps_keep_the_pace(scene: Scene) -> None:
    """The vault is asked once for each document and not faster than the page may."""
    found = await scene.add(*"abcd", side=scene.source)

    result = await check_page(page_of(found, rate=100), scene.dependencies())

    assert (4, 4) == (result.changed, result.vault_operations)

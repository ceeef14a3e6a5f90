"""Reading everything and changing nothing: what does not decrypt is counted and named."""

from datetime import date

from field_encrypt import FieldEncryption, KeyVaultProvider
from field_encrypt.codecs import STANDARD_CODECS
from keyturn.documents.operations import check_page
from tests.keyturn.documents.harness import NAME, DocumentsHarness, dek_ids_of, page_of, refs

NAMES = ("good", "moved", "missing", "plain", "foreign")


async def test_what_does_not_decrypt_is_named(documents_harness: DocumentsHarness) -> None:
    """Each document that does not decrypt gets its reason, and no document or row changes."""
    await documents_harness.add("good", "moved", "missing", "plain", side=documents_harness.source)
    moved, missing, plain = [await documents_harness.stored(name) for name in ("moved", "missing", "plain")]
    await documents_harness.container.replace_item(
        "moved", {**moved, "title": (await documents_harness.stored("good"))["title"]}
    )
    (dek_id,) = dek_ids_of(missing)
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)
    await documents_harness.container.replace_item("plain", {**plain, "title": "plaintext"})
    await documents_harness.add("foreign", side=documents_harness.source)
    (foreign,) = dek_ids_of(await documents_harness.stored("foreign"))
    row = await documents_harness.source.rows.read_item(foreign, partition_key=foreign)
    await documents_harness.source.rows.replace_item(foreign, {**row, "mekName": "other-mek"})
    await documents_harness.container.create_item({"id": "nothing", "likes": 1})
    before = [await documents_harness.stored(name) for name in NAMES], await documents_harness.source.row_ids()

    result = await check_page(page_of(refs(*NAMES, "nothing", "gone")), documents_harness.dependencies())

    reasons = {"moved": "tampered_field", "missing": "missing_dek", "plain": "not_encrypted", "foreign": "foreign_mek"}
    assert {f"notes/{name}": reason for name, reason in reasons.items()} == documents_harness.quarantined
    assert (result.changed, result.unchanged, result.gone, result.quarantined) == (1, 1, 1, 4)
    assert (
        [await documents_harness.stored(name) for name in NAMES],
        await documents_harness.source.row_ids(),
    ) == before


async def test_a_field_of_an_unknown_codec_is_named(documents_harness: DocumentsHarness) -> None:
    """A document whose field another program's codec wrote is named, and the rest of the page goes on."""
    side = documents_harness.source
    codecs = STANDARD_CODECS.adding("year", _Year, lambda value: value.year, lambda value: _Year(int(str(value)), 1, 1))
    writer = FieldEncryption(KeyVaultProvider(side.mek.client), side.store, None, codecs=codecs)
    value = {"id": "coded", "title": _Year(2026, 1, 1)}
    await documents_harness.container.create_item(
        await writer.encrypt_fields(NAME, "coded", value, ["title"], partition_key="coded")
    )
    found = [*refs("coded"), *await documents_harness.add("plain", side=side)]

    result = await check_page(page_of(found), documents_harness.dependencies())

    assert documents_harness.quarantined == {"notes/coded": "unknown_codec"}
    assert (result.changed, result.quarantined) == (1, 1)


class _Year(date):
    """A type that no standard codec takes."""


async def test_disabled_version_is_named_once_for_each_document(documents_harness: DocumentsHarness) -> None:
    """Documents whose version is disabled are named as such."""
    found = await documents_harness.add("a", "b", side=documents_harness.source)
    await documents_harness.source.mek.change(documents_harness.source.version, enabled=False)

    await check_page(page_of(found), documents_harness.dependencies())

    assert documents_harness.quarantined == {"notes/a": "version_disabled", "notes/b": "version_disabled"}


async def test_unwraps_keep_the_pace(documents_harness: DocumentsHarness) -> None:
    """The vault is asked once for each document and not faster than the page may."""
    found = await documents_harness.add(*"abcd", side=documents_harness.source)

    result = await check_page(page_of(found, rate=100), documents_harness.dependencies())

    assert (result.changed, result.vault_operations) == (4, 4)

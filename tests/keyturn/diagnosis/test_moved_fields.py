"""Fields and documents that were copied or moved: each is named, with the place where it belongs."""

import copy

import pytest

from field_encrypt import FieldEncryption, KeyPolicy, KeyVaultProvider
from keyturn.diagnosis.document import DOCUMENTS_OF_A_DEK, diagnose_document
from keyturn.diagnosis.models import Place, Verdict
from tests.field_encrypt.format_1 import encrypted_as_format_1
from tests.keyturn.diagnosis.damaged_documents import FIELDS, WORKSPACE, DamagedDocuments, title_of

pytestmark = pytest.mark.usefixtures("mixed_types")


async def test_two_fields_that_changed_places_are_named(damaged: DamagedDocuments) -> None:
    """Each is told where it belongs."""
    document = await damaged.add()
    swapped = {**document, "title": document["author"]["name"], "author": {"name": document["title"]}}
    await damaged.notes.replace_item(document["id"], swapped)

    found = await damaged.diagnose(document)

    assert found.verdict == Verdict.FIELD_MOVED
    belongs = title_of(found).belongs_to
    assert (damaged.notes.id, document["id"], "author/name", WORKSPACE) == tuple(dict(belongs).values())


async def test_a_field_of_another_document_is_named(damaged: DamagedDocuments) -> None:
    """The document that the ciphertext was copied from is found by its DEK."""
    source, document = await damaged.add(), await damaged.add()
    await damaged.notes.replace_item(document["id"], {**document, "title": source["title"]})

    found = title_of(await damaged.diagnose(document))

    assert (Verdict.FIELD_MOVED, source["id"]) == (found.verdict, found.belongs_to.document_id)


async def test_a_document_of_another_container_is_named(damaged: DamagedDocuments) -> None:
    """A copy of a document under its own id does not open in another container."""
    document = await damaged.add()
    await damaged.archive.create_item(document)

    found = await damaged.diagnose(document, damaged.archive)

    assert found.fields[0].belongs_to is not None
    assert (Verdict.FIELD_MOVED, damaged.notes.id) == (found.verdict, found.fields[0].belongs_to.container)


async def test_a_document_of_another_partition_is_named(damaged: DamagedDocuments) -> None:
    """A copy of a document under its own id does not open in another partition, and it is told where it does."""
    document = await damaged.add()
    await damaged.notes.create_item({**document, "workspaceId": "thief's"})

    found = await diagnose_document(damaged.keyring, damaged.notes.id, document["id"], "thief's")

    assert found.verdict == Verdict.FIELD_MOVED
    assert title_of(found).belongs_to == Place(
        container=damaged.notes.id, document_id=document["id"], field_path="title", partition=WORKSPACE
    )
    assert f"in partition {WORKSPACE}" in found.finding
    assert (await damaged.diagnose(document)).verdict == Verdict.SOUND


async def test_a_copy_is_found_although_many_documents_share_its_dek(damaged: DamagedDocuments) -> None:
    """Where the DEK names too many documents, those of the same id in other partitions are looked at."""
    provider, store = KeyVaultProvider(damaged.local_keyring.mek.client), damaged.keyring.reader_store
    damaged.encryption = FieldEncryption(provider, store, None, policy=KeyPolicy(per="container"))
    document = [await damaged.add() for _ in range(DOCUMENTS_OF_A_DEK + 1)][-1]
    await damaged.notes.create_item({**document, "workspaceId": "thief's"})

    found = await diagnose_document(damaged.keyring, damaged.notes.id, document["id"], "thief's")

    assert title_of(found).belongs_to.partition == WORKSPACE


async def test_a_field_of_another_partitions_document_is_named(damaged: DamagedDocuments) -> None:
    """The document that it was copied from is found by its DEK, with its partition."""
    source = await damaged.add(workspaceId="another")
    document = await damaged.add()
    await damaged.notes.replace_item(document["id"], {**document, "title": source["title"]})

    found = title_of(await damaged.diagnose(document))

    assert (Verdict.FIELD_MOVED, source["id"]) == (found.verdict, found.belongs_to.document_id)
    assert found.belongs_to.partition == "another"


async def test_a_copy_of_format_1_is_named_on_both_sides(damaged: DamagedDocuments) -> None:
    """It opens in any partition: which of the documents is the copy, only people can tell."""
    store, provider = damaged.keyring.reader_store, KeyVaultProvider(damaged.local_keyring.mek.client)
    plain: dict[str, object] = {"id": "old", "workspaceId": WORKSPACE, "title": "t", "author": {"name": "n"}}
    stored = await encrypted_as_format_1(provider, store, damaged.notes.id, plain, FIELDS, "dek-of-old")
    await damaged.notes.create_item(stored)
    alone = await damaged.diagnose(stored)
    await damaged.notes.create_item({**stored, "workspaceId": "thief's"})

    both = [
        await diagnose_document(damaged.keyring, damaged.notes.id, "old", partition)
        for partition in (WORKSPACE, "thief's")
    ]

    assert alone.verdict == Verdict.SOUND
    assert [found.verdict for found in both] == [Verdict.FIELD_COPIED] * 2
    assert title_of(both[0]).authenticates
    assert "re-encrypt" in both[0].next_step


async def test_a_field_whose_writer_stated_no_partition_key_is_named(damaged: DamagedDocuments) -> None:
    """The settings and the writers do not agree; the next step says which setting is meant."""
    plain = {"id": "loose", "workspaceId": WORKSPACE, "title": "t"}
    await damaged.notes.create_item(
        await damaged.encryption.encrypt_fields(damaged.notes.id, "loose", plain, ["title"])
    )

    found = await damaged.diagnose(plain)

    assert found.verdict == Verdict.FIELD_UNBOUND
    assert "bindsPartitionKey" in found.next_step


async def test_a_copy_under_another_id_whose_source_is_gone_is_tampered(damaged: DamagedDocuments) -> None:
    """Nothing tells where the ciphertext belongs; that it does not belong here is certain."""
    document = await damaged.add()
    copied = {**copy.deepcopy(document), "id": "copy"}
    await damaged.notes.create_item(copied)
    await damaged.notes.delete_item(document["id"], partition_key=WORKSPACE)

    assert (await damaged.diagnose(copied)).verdict == Verdict.FIELD_TAMPERED

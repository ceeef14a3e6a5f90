"""Verification as a whole: what fails is named, in the answer and in the run's record."""

import itertools

import pytest
from azure.identity.aio import DefaultAzureCredential

from keyturn.contracts.states import State
from keyturn.contracts.steps import VerifyResult
from keyturn.deks.store import DekStore
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.rotation.status import status
from keyturn.rotation.verification import verify
from keyturn.runs.record_parts import REFERENCES_MAX
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.backups import backups_in
from tests.keyturn.documents.harness import FIELDS, NAME, DocumentsHarness, dek_ids_of
from tests.keyturn.local_keyring import keyring_of
from tests.keyturn.runs.lifecycle import bring_to


@pytest.fixture
def clients(documents_harness: DocumentsHarness, runs: RotationStore) -> KeyringClients:
    """The clients of a keyring with one container of documents."""
    mek, rows = documents_harness.source.mek, documents_harness.source.rows
    documents = [{"name": NAME, "fields": FIELDS}]
    keyring = keyring_of(mek.name, mek.vault.url, verifyChallengeResource=False, documents=documents)
    return KeyringClients(
        keyring=keyring,
        mek=mek.client,
        keys=mek.admin,
        versions=MekVersions(mek.admin, mek.client),
        dek_container=rows,
        rows=DekStore(rows, keyring),
        reader_store=documents_harness.source.store,
        documents={NAME: documents_harness.container},
        key_backups=backups_in(runs.documents, mek.admin, keyring="notes", mek_name=mek.name),
    )


async def verified(runs: RotationStore, clients: KeyringClients, target: str) -> tuple[VerifyResult, RotationRecord]:
    """Verify in a rotation with this target, and return what came of it and the record."""
    record = await bring_to(runs, State.SOAKING)
    await runs.update(record.run_id, lambda run: run.changed(target_version=target))
    async with DefaultAzureCredential() as credential:
        return await verify(runs, clients, record.ref, credential), await runs.read(record.run_id)


async def test_all_is_well(documents_harness: DocumentsHarness, clients: KeyringClients, runs: RotationStore) -> None:
    """Canaries decrypt, no DEK is missing, and the target is what writers wrap under."""
    await documents_harness.add("a", side=documents_harness.source)

    result, record = await verified(runs, clients, documents_harness.source.version)

    assert (result, record.references) == (VerifyResult(passed=True), [])
    assert [canary.document_id for canary in record.canaries] == ["a"]


async def test_a_missing_dek_is_named_with_its_document(
    documents_harness: DocumentsHarness, clients: KeyringClients, runs: RotationStore
) -> None:
    """Whoever has to look finds container, document and dekId in the record and in the status."""
    await documents_harness.add("a", side=documents_harness.source)
    (dek_id,) = dek_ids_of(await documents_harness.stored("a"))
    await documents_harness.source.rows.delete_item(dek_id, partition_key=dek_id)

    result, record = await verified(runs, clients, documents_harness.source.version)

    named = [{"container": NAME, "documentId": "a", "dekId": dek_id}]
    assert "references:notes" in result.failed_checks
    assert record.to_payload()["references"] == status(record).to_payload()["references"] == named


async def test_of_many_missing_deks_the_first_are_named(
    documents_harness: DocumentsHarness, clients: KeyringClients, runs: RotationStore
) -> None:
    """The record stays small, whatever is missing."""
    encryption = documents_harness.source.encryption
    for field, number in itertools.product(("title", "author"), range(REFERENCES_MAX)):
        name, value = f"{field}-{number}", "plaintext" if field == "title" else {"name": "Dana"}
        path = "title" if field == "title" else "author/name"
        document = await encryption.encrypt_fields(NAME, name, {"id": name, field: value}, [path])
        await documents_harness.container.create_item(document)
    for row_id in await documents_harness.source.row_ids():
        await documents_harness.source.rows.delete_item(row_id, partition_key=row_id)

    _, record = await verified(runs, clients, documents_harness.source.version)

    assert len(record.references) == REFERENCES_MAX


async def test_a_target_that_is_not_the_current_version_fails(
    documents_harness: DocumentsHarness, clients: KeyringClients, runs: RotationStore
) -> None:
    """A second version of a frozen process, or somebody else's: writers wrap under that one, not under the target."""
    await documents_harness.add("a", side=documents_harness.source)
    newer = await documents_harness.source.mek.create()
    target = documents_harness.source.version

    result, _ = await verified(runs, clients, target)

    assert result == VerifyResult(
        passed=False, failed_checks=[f"target:{target} is not the vault's current version, {newer}"]
    )

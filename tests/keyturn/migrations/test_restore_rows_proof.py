"""A row whose wrap and key check are damaged comes back only where documents show that the backup's DEK is theirs."""

from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import FieldEncryption, KeyVaultProvider
from field_encrypt.row_states import QuarantineReason
from keyturn.deks.copy import Found
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.local_keyring import encoded
from tests.keyturn.migrations.two_accounts import SYSTEM, TwoAccounts

DAMAGE = {"wrappedDek": encoded(b"x" * 256), "keyCheck": encoded(bytes(16))}


class Notes:
    """Documents of the keyring, whose rows both accounts have."""

    def __init__(self, accounts: TwoAccounts, container: ContainerProxy) -> None:
        self.accounts, self.container = accounts, container
        harness = accounts.harness
        harness.encrypt_notes(container)
        keyring = harness.resources.keyring(harness.keyring)
        provider = KeyVaultProvider(harness.local_keyring.mek.client)
        self.encryption = FieldEncryption(provider, keyring.reader_store, None)

    async def add(self, note_id: str) -> str:
        """Store a note under a DEK of its own, have the row in the backup, and return the row's id."""
        plain = {"id": note_id, "title": "Plans"}
        stored: dict[str, Any] = await self.encryption.encrypt_fields(
            self.container.id, note_id, plain, ["title"], partition_key=note_id
        )
        await self.container.create_item(stored)
        dek_id = str(stored["title"]["dekId"])
        row = (await self.accounts.rows())[dek_id]
        await self.accounts.there.create_item({name: value for name, value in row.items() if name not in SYSTEM})
        return dek_id

    async def title(self, note_id: str) -> str:
        """Return the note's title as a reader does who knows nothing yet."""
        harness = self.accounts.harness
        note = await self.container.read_item(note_id, note_id)
        reader = harness.resources.keyring(harness.keyring).encryption()
        read = await reader.decrypt_fields(self.container.id, note_id, note, ["title"], partition_key=note_id)
        return str(read["title"])

    async def damage(self, dek_id: str) -> dict[str, dict[str, Any]]:
        """Damage wrap and key check of a row here, and return all rows."""
        row = await self.accounts.here.read_item(dek_id, dek_id)
        await self.accounts.here.replace_item(dek_id, {**row, **DAMAGE})
        return await self.accounts.rows()


@pytest.fixture
async def notes(accounts: TwoAccounts, cosmos_client: CosmosClient) -> Notes:
    """No note yet."""
    return Notes(accounts, await new_container(cosmos_client, "notes"))


async def test_a_document_shows_that_the_row_is_its_own(accounts: TwoAccounts, notes: Notes) -> None:
    """Its field opens with the backup's DEK, which no other key can do: the row is copied, and the note opens again."""
    dek_id = await notes.add("a")
    await notes.add("b")
    await notes.damage(dek_id)

    compared = await accounts.restore()

    assert (compared.copied, compared.left) == ({Found.DAMAGED: 1}, [])
    assert await notes.title("a") == "Plans"


@pytest.mark.parametrize("documents", ["none", "another's", "its own and another's"])
async def test_without_that_proof_it_is_left(accounts: TwoAccounts, notes: Notes, documents: str) -> None:
    """No document names the DEK, or one does that does not open with it: the row may have been given another DEK."""
    dek_id = await notes.add("a")
    other = await notes.add("b")
    if documents != "its own and another's":
        await notes.container.delete_item("a", "a")
    if documents != "none":
        note = await notes.container.read_item("b", "b")
        assert note["title"]["dekId"] == other
        await notes.container.replace_item("b", {**note, "title": {**note["title"], "dekId": dek_id}})
    before = await notes.damage(dek_id)

    compared = await accounts.restore()

    assert [(row.id, row.reason) for row in compared.left] == [(dek_id, QuarantineReason.KEY_CHECK_MISMATCH)]
    assert await accounts.rows() == before


@pytest.mark.parametrize("written", [True, False], ids=["a note of the backup's DEK", "no note"])
async def test_a_row_that_opens_to_another_dek_is_named(accounts: TwoAccounts, notes: Notes, *, written: bool) -> None:
    """Wrap and key check are another row's: it opens and is never written, but a note that it does not open is told."""
    dek_id, other = await notes.add("a"), await notes.add("b")
    rows = await accounts.rows()
    taken = {name: rows[other][name] for name in ("wrappedDek", "keyCheck")}
    await accounts.here.replace_item(dek_id, {**rows[dek_id], **taken})
    if not written:
        await notes.container.delete_item("a", "a")
    before = await accounts.rows()

    compared = await accounts.restore()

    named = [(dek_id, QuarantineReason.KEY_CHECK_MISMATCH)] if written else []
    assert [(row.id, row.reason) for row in compared.left] == named
    assert (compared.found, compared.copied) == ({Found.NEWER: 1, Found.SAME: 1}, {})
    assert await accounts.rows() == before


async def test_without_the_right_to_read_documents_the_others_are_copied(accounts: TwoAccounts, notes: Notes) -> None:
    """The right is for this proof alone: without it such a row is left, and the operator is told why."""
    damaged, missing = await notes.add("a"), await notes.add("b")
    await notes.damage(damaged)
    await accounts.here.delete_item(missing, missing)
    match = f"/colls/{notes.container.id}/"
    accounts.local.cosmos.fault(operation="query", kind="status", status=403, match=match, count=None)
    told: list[str] = []

    compared = await accounts.restore(tell=told.append)

    assert (compared.copied, [row.id for row in compared.left]) == ({Found.MISSING: 1}, [damaged])
    assert any("documents cannot be read" in said for said in told)

"""Each right that a migration of documents needs, taken away in turn: it is named before anything is changed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.store import DekStore
from keyturn.errors import PermissionMissingError
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.migrations.documents import HINT, require_rights
from local.identity.roles import CONTAINERS, COSMOS, KEYS
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.backups import backups_in
from tests.keyturn.documents.harness import NAME, DocumentsHarness, Side
from tests.keyturn.local_keyring import keyring_of

# What the app holds anyway, and what it holds while documents are migrated.
RIGHTS = (
    f"{COSMOS}/readMetadata",
    f"{KEYS}/read",
    f"{KEYS}/unwrap/action",
    f"{CONTAINERS}/items/read",
    f"{CONTAINERS}/items/replace",
    f"{CONTAINERS}/items/create",
)


@asynccontextmanager
async def keyrings_of(
    documents_harness: DocumentsHarness, vault: LocalVault, cosmos: LocalCosmos, rights: Sequence[str]
) -> AsyncIterator[tuple[KeyringClients, KeyringClients]]:
    """Open source and target as an identity with these rights."""
    async with (
        vault.credential(f"migrating-{documents_harness.source.mek.name}", *rights) as credential,
        cosmos.client(credential) as client,
        KeyClient(vault.url, credential, verify_challenge_resource=False, transport=vault.transport()) as keys,
    ):
        database = client.get_database_client(DATABASE)

        def clients_of(side: Side) -> KeyringClients:
            keyring = keyring_of(side.mek.name, vault.url, dekContainer=side.rows.id, verifyChallengeResource=False)
            mek = MekClient(
                vault.url, side.mek.name, credential, verify_challenge_resource=False, transport=vault.transport()
            )
            rows = database.get_container_client(side.rows.id)
            return KeyringClients(
                keyring=keyring,
                mek=mek,
                keys=keys,
                versions=MekVersions(keys, mek),
                dek_container=rows,
                rows=DekStore(rows, keyring),
                reader_store=ReaderStore(rows, RowDefaults(mek_name=side.mek.name)),
                documents={NAME: database.get_container_client(documents_harness.container.id)},
                key_backups=backups_in(StateContainer(rows), keys, keyring="notes", mek_name=side.mek.name),
            )

        source, target = clients_of(documents_harness.source), clients_of(documents_harness.target)
        try:
            yield source, target
        finally:
            await source.mek.close()
            await target.mek.close()


async def everything(documents_harness: DocumentsHarness) -> list[object]:
    """Return every document and row."""
    containers = (documents_harness.container, documents_harness.source.rows, documents_harness.target.rows)
    return [item for container in containers async for item in container.read_all_items()]


async def test_with_all_of_them_a_migration_may_begin(
    documents_harness: DocumentsHarness, vault: LocalVault, cosmos: LocalCosmos
) -> None:
    """No other right is asked for, and asking leaves nothing behind."""
    await documents_harness.add("a", side=documents_harness.source)
    before = await everything(documents_harness)

    async with keyrings_of(documents_harness, vault, cosmos, RIGHTS) as (source, target):
        await require_rights(source, [NAME], target)

    assert await everything(documents_harness) == before


@pytest.mark.parametrize(
    ("right", "operation", "hint"),
    [
        (f"{CONTAINERS}/items/replace", "replace documents", HINT),
        (f"{CONTAINERS}/items/create", "create rows", HINT),
        (f"{CONTAINERS}/items/read", "read", HINT),
        (f"{KEYS}/unwrap/action", "wrap and unwrap", ""),
    ],
)
async def test_a_missing_right_is_named(
    documents_harness: DocumentsHarness, vault: LocalVault, cosmos: LocalCosmos, right: str, operation: str, hint: str
) -> None:
    """The error says what may not be done and where, and how to get the right; nothing is changed."""
    await documents_harness.add("a", side=documents_harness.source)
    before = await everything(documents_harness)
    left = [held for held in RIGHTS if held != right]

    async with keyrings_of(documents_harness, vault, cosmos, left) as (source, target):
        with pytest.raises(PermissionMissingError) as refused:
            await require_rights(source, [NAME], target)

    assert (refused.value.facts["operation"], refused.value.hint) == (operation, hint)
    assert refused.value.facts["resource"]
    assert await everything(documents_harness) == before

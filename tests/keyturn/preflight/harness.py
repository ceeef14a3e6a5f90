"""A keyring before its rotation, in the local services, and its pre-flight under a principal with chosen rights."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from azure.keyvault.keys.aio import KeyClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from keyturn.contracts.base import Policy
from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.store import DekStore
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.context import CheckContext, Facts, OnCall
from keyturn.preflight.run import run_preflight
from keyturn.runs.record_parts import Check, Preflight, RequestOptions
from keyturn.runs.records import RotationRecord
from keyturn.settings import Keyring, Settings, load_settings
from local.identity.roles import COSMOS, ROLES
from tests.field_encrypt.local_cosmos import DATABASE
from tests.keyturn.approval.approvers import SECRET
from tests.keyturn.backups import backups_in
from tests.keyturn.clocks import ManualClock
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import APPROVER, make_record
from tests.local.resource_manager.local_manager import ACCOUNT, LocalManager

INBOX = "json://inbox.invalid/everything"  # pre-flight sends nothing but through ``on_call``
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
VAULT_RIGHTS = ROLES["Keyturn rotator"]
# What a sweep needs of the dek store, no more.
STORE_RIGHTS = (
    f"{COSMOS}/readMetadata",
    f"{COSMOS}/sqlDatabases/containers/items/read",
    f"{COSMOS}/sqlDatabases/containers/items/replace",
    f"{COSMOS}/sqlDatabases/containers/executeQuery",
    f"{COSMOS}/sqlDatabases/containers/readChangeFeed",
)
ACCOUNT_RIGHTS = ROLES["Keyturn backup check"]


class PreflightHarness:
    """One keyring; :meth:`run` is the pre-flight of a rotation of it."""

    def __init__(self, local_keyring: LocalKeyring, documents: StateContainer, manager: LocalManager) -> None:
        self.local_keyring = local_keyring
        self.documents = documents
        self.manager = manager
        self.clock = ManualClock()
        self.vault_rights: Sequence[str] = VAULT_RIGHTS
        self.store_rights: Sequence[str] = STORE_RIGHTS
        self.account_rights: Sequence[str] = ACCOUNT_RIGHTS
        self.variables: dict[str, str] = {}
        self.keyring_values: dict[str, Any] = {}
        self.on_call: OnCall | None = None

    @property
    def who(self) -> str:
        """The app's principal."""
        return f"preflight-{self.local_keyring.mek.name}"

    def settings(self) -> Settings:
        """Return the app's settings."""
        return load_settings(
            {
                "AZURE_KEYVAULT_URL": self.local_keyring.mek.vault.url,
                "FIELD_ENCRYPT_MEK_NAME": self.local_keyring.mek.name,
                "KEYTURN_VERIFY_CHALLENGE_RESOURCE": "false",
                "COSMOS_ENDPOINT": self.local_keyring.cosmos.url,
                "COSMOS_DATABASE": DATABASE,
                "DEK_CONTAINER": self.local_keyring.container.id,
                "KEYTURN_KEY_SIZE": "2048",
                "KEYTURN_ACCESS": "keys",
                "KEYTURN_APPROVERS": json.dumps([APPROVER]),
                "APPROVAL_WEBHOOK_SECRETS": SECRET,
                "NOTIFICATION_URLS": INBOX,
                **self.variables,
            }
        )

    def record(self, **options: Any) -> RotationRecord:
        """Return the record of a rotation with these options, as a client may send them."""
        keyring = f"k-{self.local_keyring.mek.name}"
        return make_record(
            keyring, policy=Policy(key_size=2048), options=RequestOptions.model_validate(options), requested_at=NOW
        )

    async def run(self, record: RotationRecord | None = None, *, backed_up: bool = True) -> Preflight:
        """Run the pre-flight as a principal with the chosen rights; without waiting between attempts."""
        vault = self.local_keyring.mek.vault
        values = {"dek_container": self.local_keyring.container.id, **self.keyring_values}
        keyring = Keyring.model_validate({**self.local_keyring.keyring.model_dump(), **values})
        rights = (*self.vault_rights, *self.store_rights, *self.account_rights)
        async with (
            vault.credential(self.who, *rights) as credential,
            self.local_keyring.cosmos.client(credential) as cosmos,
            MekClient(
                vault.url, keyring.mek_name, credential, verify_challenge_resource=False, transport=vault.transport()
            ) as mek,
            KeyClient(vault.url, credential, verify_challenge_resource=False, transport=vault.transport()) as keys,
        ):
            container = cosmos.get_database_client(DATABASE).get_container_client(keyring.dek_container)
            account = CosmosAccount(ACCOUNT, self.manager.url, credential, transport=vault.transport())
            resources = KeyringClients(
                keyring=keyring,
                mek=mek,
                keys=keys,
                versions=MekVersions(keys, mek),
                dek_container=container,
                rows=DekStore(container, keyring),
                reader_store=ReaderStore(container, RowDefaults(mek_name=keyring.mek_name)),
                documents={},
                key_backups=backups_in(self.documents, keys, keyring=self.record().keyring, mek_name=keyring.mek_name),
            )
            try:
                context = CheckContext(
                    record=record or self.record(),
                    keyring=resources,
                    settings=self.settings(),
                    documents=self.documents,
                    account=account if backed_up else None,
                    on_call=self.on_call,
                    now=NOW,
                    facts=Facts(resources),
                )
                return await run_preflight(context, self.clock)
            finally:
                await account.close()


def failed(preflight: Preflight) -> list[str]:
    """Return the names of the checks that failed."""
    return [check.name for check in preflight.checks if check.outcome == "fail"]


def check_of(preflight: Preflight, name: str) -> Check:
    """Return what came of one check."""
    return next(check for check in preflight.checks if check.name == name)

"""The clients of one worker process, made once from its settings: the core's only place that reads the environment.

The Python worker runs every asynchronous function on one event loop, so connection pools, tokens and public keys are
shared by all invocations of a process.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from keyturn.approval.links import approval_links
from keyturn.clock import Clock, CorrectedClock
from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.client import cosmos_failures, open_account
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.store import DekStore
from keyturn.domain_events.actiontrail import Actiontrail
from keyturn.domain_events.outbox import Outbox
from keyturn.key_vault.backups import KeyBackups
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.notifications.notifier import Channels, Notifier
from keyturn.rotation.due import KeyringStatus, keyring_status
from keyturn.runs.store import EveryRun, MigrationStore, RotationStore
from keyturn.runs.transitions import CLOCK_SLACK
from keyturn.settings import Keyring, Settings, load_settings
from keyturn.settings.channels import approvers_channels, channels_of
from keyturn.settings.types import signing_secrets


class Resources:
    """Everything that activities and triggers work with."""

    def __init__(self, settings: Settings, credential: DefaultAzureCredential, cosmos: CosmosClient) -> None:
        self.settings = settings
        self.credential = credential
        self.clock = Clock()
        self._cosmos = cosmos
        self._keyrings: dict[str, KeyringClients] = {}
        database = cosmos.get_database_client(settings.keyturn_database)
        self.account = (
            CosmosAccount(settings.keyturn_cosmos_resource_id, settings.keyturn_resource_manager_url, credential)
            if settings.keyturn_cosmos_resource_id
            else None
        )
        self.records = database.get_container_client(settings.keyturn_container)
        self.run_store = RotationStore(StateContainer(self.records))
        self.migrations = MigrationStore(self.run_store.documents)
        self.every_run = EveryRun(self.run_store.documents)
        self.notifier = Notifier(
            self.every_run,
            Channels(
                everything=channels_of("NOTIFICATION_URLS", settings.notification_urls),
                on_call=channels_of("ON_CALL_URLS", settings.on_call_urls),
                approvers=approvers_channels(settings.approver_urls),
            ),
            public_url=settings.keyturn_public_url,
            links=lambda record, now: dict(approval_links(record, settings, now)),
        )
        self._actiontrail: Actiontrail | None = None
        self.outbox: Outbox | None = None  # where events go, if anywhere
        if settings.actiontrail_url is not None:
            self._actiontrail = Actiontrail(settings.actiontrail_url, signing_secrets(settings.actiontrail_secrets))
            self.outbox = Outbox(self.run_store.documents, self._actiontrail)

    @classmethod
    async def open(cls, settings: Settings) -> "Resources":
        """Open the clients; the database account alone is called, for where its containers are.

        Raises:
            PermissionMissingError: the identity may not read the account's metadata.
            UnavailableError: the account did not answer.
        """
        async with contextlib.AsyncExitStack() as resources:
            credential = await resources.enter_async_context(DefaultAzureCredential())
            cosmos = await open_account(settings.cosmos_endpoint, credential)
            resources.pop_all()  # from here on, close() is responsible
            return cls(settings, credential, cosmos)

    async def correct_clock(self, tell: Callable[[str], None]) -> None:
        """Let this process go by the database's time of day: a person's machine may be hours off, and its dates stay.

        Raises KeyturnError of the kind that the database's answer means.
        """
        headers = dict[str, str]()
        async with cosmos_failures("the keyturn container", "read"):
            await self.records.read(response_hook=lambda found, _: headers.update(found))
        if "Date" not in headers:
            return
        ahead = self.clock.now() - parsedate_to_datetime(headers["Date"])
        if abs(ahead) > CLOCK_SLACK:
            self.clock = CorrectedClock(ahead)
            seconds, way = abs(ahead).total_seconds(), "ahead of" if ahead > timedelta(0) else "behind"
            tell(f"this machine's clock is {seconds:.0f} s {way} the database's, which is used instead")

    def database(self, name: str) -> DatabaseProxy:
        """Return the client of a database of the account; nothing is asked yet."""
        return self._cosmos.get_database_client(name)

    def keyring(self, name: str | None) -> KeyringClients:
        """Return a keyring's clients; raises UnknownKeyringError."""
        if name is None or name not in self._keyrings:
            keyring = self.settings.keyring(name)
            name = keyring.name
            self._keyrings.setdefault(name, self._open_keyring(keyring))
        return self._keyrings[name]

    async def keyring_statuses(self, now: datetime) -> list[KeyringStatus]:
        """Return the status of every keyring; raises KeyturnError of the kind that the store or the vault answers."""
        names = [keyring.name for keyring in self.settings.keyrings]
        return [await keyring_status(self.run_store, self.keyring(name), self.settings, now) for name in names]

    def _open_keyring(self, keyring: Keyring) -> KeyringClients:
        database = self.database(keyring.cosmos_database)
        container = database.get_container_client(keyring.dek_container)
        verify = keyring.verify_challenge_resource
        mek = MekClient(keyring.vault_url, keyring.mek_name, self.credential, verify_challenge_resource=verify)
        keys = KeyClient(keyring.vault_url, self.credential, verify_challenge_resource=verify)
        records, backups = self.database(self.settings.keyturn_database), self.settings.keyturn_key_backup_container
        defaults = RowDefaults(mek_name=keyring.mek_name, algorithm=keyring.default_algorithm)
        return KeyringClients(
            keyring=keyring,
            mek=mek,
            keys=keys,
            versions=MekVersions(keys, mek),
            dek_container=container,
            rows=DekStore(container, keyring),
            reader_store=ReaderStore(container, defaults, keyring.row_names),
            documents={item.name: database.get_container_client(item.name) for item in keyring.documents},
            key_backups=KeyBackups(
                StateContainer(records.get_container_client(backups)),
                keys,
                keyring=keyring.name,
                mek_name=keyring.mek_name,
                container=backups,
                retention=self.settings.keyturn_key_backup_retention,
            ),
        )

    async def close(self) -> None:
        """Close every connection."""
        for resources in self._keyrings.values():
            await resources.mek.close()
            await resources.keys.close()
        if self.account is not None:
            await self.account.close()
        if self._actiontrail is not None:
            await self._actiontrail.close()
        await self._cosmos.close()
        await self.credential.close()


_lock = asyncio.Lock()
_resources: dict[asyncio.AbstractEventLoop, Resources] = {}


async def process_resources() -> Resources:
    """Return this process's resources, opened at the first call.

    Raises:
        SettingsError: a setting is missing or not what was expected.
    """
    loop = asyncio.get_running_loop()
    async with _lock:
        if loop not in _resources:
            _resources[loop] = await Resources.open(load_settings(dict(os.environ)))
        return _resources[loop]

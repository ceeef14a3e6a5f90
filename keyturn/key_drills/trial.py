"""Tries a key backup: restored into a vault that is thrown away, the copy of the key must open rows of today.

A backup that opens nothing looks like one that does, until the day on which there is nothing else. The copy has the
key's own name, the vault gives it no other; so a vault that keeps a copy takes no second one. An operator's vault keeps
it, disabled, for the operator to delete. A drill deletes and purges it, in the drill vault alone and while the
keyring's own vault has every version of it: docs/adr/0012-backups-that-open.md.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys.aio import KeyClient
from pydantic import Field

from field_encrypt.errors import FieldEncryptError
from field_encrypt.key_vault import MekClient
from field_encrypt.pacing import Pacer
from field_encrypt.rewrapping import NotUnwrapped, unwrap_row
from field_encrypt.row_states import Row, classify
from keyturn.clock import Clock
from keyturn.contracts.base import Payload, RunId
from keyturn.cosmos.client import cosmos_failures
from keyturn.deks.census import LABELS_MAX
from keyturn.deks.queries import Condition, Conditions, select_rows
from keyturn.deks.store import RESOURCE
from keyturn.errors import InvariantError, KeyExistsError, KeyturnError
from keyturn.key_vault.backups import KeyBackup, Phase, restore
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.pacing import PacedVault
from keyturn.keyring_clients import KeyringClients
from keyturn.settings.keyring import same_vault

SAMPLE = 20  # rows of each version
NAMED = 20  # rows that do not open, in a result
AT_ONCE = 100


class Trial(Payload):
    """What a restored backup was seen to open."""

    backup: str
    run_id: RunId
    phase: Phase
    taken_at: datetime
    key_id: str  # of the copy's newest version
    versions: int
    rows: dict[str, int]  # that open, by version
    failed: Annotated[
        dict[str, str], Field(max_length=NAMED)
    ]  # rows that the copy alone does not open, with the reason
    failures: int  # how many these are
    unreadable: int  # rows that the keyring's own vault does not open either
    copy_is: Literal["disabled", "purged"]

    @property
    def opened(self) -> int:
        """How many rows opened."""
        return sum(self.rows.values())

    @property
    def passed(self) -> bool:
        """Whether rows were tried and all of them open; of none, nothing is known."""
        return not self.failures and self.opened > 0

    def sentence(self) -> str:
        """Say what came out."""
        what = f"backup {self.backup}: {self.opened} of {self.opened + self.failures} rows open"
        return what if self.opened + self.failures else f"backup {self.backup}: there are no rows that it could open"


@dataclass
class _Seen:
    rows: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0


@dataclass(frozen=True)
class ThrowAwayVault:
    """A vault in which a copy of a keyring's key is tried."""

    keyring: KeyringClients
    keys: KeyClient
    vault: PacedVault

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, keyring: KeyringClients, credential: AsyncTokenCredential, operations_per_second: float
    ) -> AsyncIterator["ThrowAwayVault"]:
        """Open the clients; raises InvariantError for the vault that the keyring itself uses."""
        own = keyring.keyring
        if same_vault(url, own.vault_url):
            raise InvariantError("a backup is tried in another vault than the keyring's own", vault=url)
        verify = own.verify_challenge_resource
        async with (
            KeyClient(url, credential, verify_challenge_resource=verify) as keys,
            MekClient(url, own.mek_name, credential, verify_challenge_resource=verify) as mek,
        ):
            yield cls(keyring, keys, PacedVault(mek, Pacer(operations_per_second, Clock())))

    async def try_backup(self, backup: KeyBackup, *, every: bool, purge: bool) -> Trial:
        """Restore the backup and open a sample of the rows, or every one; then disable the copy, or purge it.

        Raises:
            KeyExistsError: the vault has a key of this name already.
            KeyturnError: of the kind that any other failure means; the copy is disabled or purged all the same.
        """
        blob = await self.keyring.key_backups.blob(backup)
        clean = self.purge if purge else self.disable
        try:
            restored = await restore(blob, self.keys)
            seen = await self._open_rows(every=every)
        except KeyExistsError:
            raise  # that key is not ours
        except BaseException:
            with suppress(KeyturnError):  # it may be there though the answer was lost, and what failed is to be told
                await clean()
            raise
        await clean()
        return Trial(
            backup=backup.id,
            run_id=backup.run_id,
            phase=backup.phase,
            taken_at=backup.taken_at,
            key_id=restored.key_id,
            versions=restored.versions,
            rows=dict(sorted(seen.rows.items())),
            failed=dict(list(seen.failed.items())[:NAMED]),
            failures=len(seen.failed),
            unreadable=seen.unreadable,
            copy_is="purged" if purge else "disabled",
        )

    async def disable(self) -> None:
        """Disable every version of the copy."""
        name = self.keyring.keyring.mek_name
        with vault_failures("disable the copy", name):
            async for found in self.keys.list_properties_of_key_versions(name):
                if found.enabled:
                    await self.keys.update_key_properties(name, found.version, enabled=False)

    async def purge(self) -> None:
        """Delete the copy and purge it, in whatever state it is.

        Raises:
            InvariantError: the keyring's own vault lacks a version of it: then it is the last copy, not one of several.
        """
        name = self.keyring.keyring.mek_name
        own = await self.keyring.versions.states()
        if any(same_vault(found.key_id, self.keys.vault_url) for found in own.values()):
            raise InvariantError("the keyring's own key is not deleted", vault=self.keys.vault_url)
        with vault_failures("delete the copy", name):
            copies = [str(found.version) async for found in self.keys.list_properties_of_key_versions(name)]
            _check_has(own, copies)
            if copies:
                await self.keys.delete_key(name)
            try:
                deleted = await self.keys.get_deleted_key(name)
            except ResourceNotFoundError:
                return
            _check_has(own, [str(deleted.properties.version)])
            await self.keys.purge_deleted_key(name)

    async def _open_rows(self, *, every: bool) -> _Seen:
        container, seen = self.keyring.dek_container, _Seen()
        conditions = Conditions(self.keyring.keyring, "")
        chosen = [conditions.ours]
        if not every:
            labels = await select_rows(container, conditions.labelled, f"DISTINCT VALUE {conditions.label}")
            labelled = sorted({str(label) for label in labels})[:LABELS_MAX]
            chosen = [*map(conditions.labelled_as, labelled), conditions.unlabelled]
        for condition in chosen:
            async for rows in self._pages(condition, "*" if every else f"TOP {SAMPLE} *"):
                await asyncio.gather(*(self._open(row, seen) for row in rows))
        return seen

    async def _pages(self, condition: Condition, selected: str) -> AsyncIterator[list[Row]]:
        query, parameters = condition.query(selected)
        found = self.keyring.dek_container.query_items(query, parameters=parameters, max_item_count=AT_ONCE)
        async with cosmos_failures(RESOURCE, "query"):
            async for page in found.by_page():
                yield [classify(item, self.keyring.keyring, "") async for item in page]

    async def _open(self, row: Row, seen: _Seen) -> None:
        with vault_failures("unwrap", self.keyring.keyring.mek_name):
            opened = await unwrap_row(row, self.vault.unwrap, self.vault.enabled_versions)
        if not isinstance(opened, NotUnwrapped):
            seen.rows[opened.version] += 1
        elif await self._opens_at_home(row):
            seen.failed[row.id] = f"{opened.reason} under version {opened.version or '(none)'}"
        else:
            seen.unreadable += 1

    async def _opens_at_home(self, row: Row) -> bool:
        """Tell whether the copy is at fault: only that the keyring's own vault refuses the row says that it is not."""
        mek = self.keyring.mek
        try:
            return not isinstance(await unwrap_row(row, mek.unwrap, mek.enabled_versions), NotUnwrapped)
        except FieldEncryptError:
            return True


def _check_has(own: dict[str, Any], copies: list[str]) -> None:
    if lacking := sorted(set(copies) - own.keys()):
        raise InvariantError("the last copy of a version is not deleted", versions=lacking)

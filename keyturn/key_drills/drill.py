"""The drill of a keyring's newest key backup: made when it is due, kept in one document, told where it fails."""

import logging
from datetime import datetime, timedelta
from typing import Literal

from azure.core.credentials_async import AsyncTokenCredential

from keyturn.audit.events import AuditEvent, KeyBackupTried
from keyturn.contracts.base import RunRef, Text
from keyturn.contracts.characters import visible
from keyturn.contracts.steps import NotifyInput
from keyturn.cosmos.state_container import StateContainer, StoredDocument
from keyturn.errors import KeyExistsError, KeyturnError, ResourceMissingError
from keyturn.key_drills.trial import ThrowAwayVault, Trial
from keyturn.keyring_clients import KeyringClients
from keyturn.notifications.channels import Message
from keyturn.notifications.events import DRILL_FAILED, EVENTS, runbook
from keyturn.notifications.notifier import Notifier
from keyturn.runs.store import RotationStore
from keyturn.settings import Settings

ID = "key-backup-drill"
BY_SCHEDULE = "schedule"
EVERY = timedelta(days=30)
AGAIN_AFTER = timedelta(hours=20)  # one that failed: less than a day, so that every daily tick tries again

_log = logging.getLogger(__name__)


class DrillRecord(StoredDocument):
    """The last drill of a keyring."""

    id: str = ID
    kind: Literal["key-backup-drill"] = "key-backup-drill"
    keyring: str
    at: datetime
    by: str
    vault_url: str
    passed: bool
    detail: Text
    trial: Trial | None = None  # null where it could not be made
    told: bool = False  # of a failure: whether people were


async def read_drill(documents: StateContainer, keyring: str) -> DrillRecord | None:
    """Return the last drill of the keyring, or None; raises KeyturnError of the kind that the store's answer means."""
    return await documents.find(DrillRecord.from_document, keyring, ID)


async def drill(
    runs: RotationStore, vault: ThrowAwayVault, *, by: str, now: datetime, every: bool, emptied: bool = True
) -> DrillRecord:
    """Try the newest backup, and write down what came of it: also that it could not be tried.

    The vault is ``emptied`` of an earlier drill's copy where it is the drills' own.

    Raises:
        KeyExistsError: another vault has a key of this name, and stays as it is.
        ResourceMissingError: no backup is kept.
        KeyturnError: the result could not be stored.
    """
    keyring = vault.keyring
    if (backup := await keyring.key_backups.find(None)) is None:
        raise ResourceMissingError("no backup of the key is kept", resource=keyring.key_backups.container)
    trial: Trial | None = None
    try:
        if emptied:
            await vault.purge()  # what a drill has left that died
        trial = await vault.try_backup(backup, every=every, purge=True)
        detail = trial.sentence()
    except KeyturnError as error:
        if isinstance(error, KeyExistsError) and not emptied:
            raise
        detail = f"backup {backup.id} could not be tried: {error.message}"
    record = DrillRecord(
        keyring=keyring.keyring.name,
        at=now,
        by=by,
        vault_url=vault.keys.vault_url,
        passed=trial is not None and trial.passed,
        detail=detail,
        trial=trial,
    )
    tried = KeyBackupTried(by=by, sha256=backup.sha256, passed=record.passed, detail=record.detail)
    await runs.audit.append(backup.run_id, [AuditEvent(key=f"{ID}:{now.isoformat()}", at=now, data=tried)])
    await _store(runs.documents, record)
    return record


async def drill_when_due(
    notifier: Notifier,
    runs: RotationStore,
    keyring: KeyringClients,
    credential: AsyncTokenCredential,
    settings: Settings,
    now: datetime,
) -> None:
    """Try the newest backup once a month, every day after a failure, and tell people of each failure.

    Nothing is done without a drill vault, or before the first backup.

    Raises:
        UnavailableError: no message could be sent; the next tick sends it.
        KeyturnError: the result could not be stored.
    """
    url, name = settings.keyturn_key_backup_drill_vault_url, keyring.keyring.name
    if url is None:
        return
    record = await read_drill(runs.documents, name)
    if record is None or now - record.at >= (EVERY if record.passed else AGAIN_AFTER):
        if await keyring.key_backups.find(None) is None:
            return
        pace = settings.policy.vault_operations_per_second
        async with ThrowAwayVault.open(url, keyring, credential, pace) as vault:
            record = await drill(runs, vault, by=BY_SCHEDULE, now=now, every=False)
        _log.info("key backup drill of keyring %s: %s", name, record.detail)
    if record.passed or record.told:
        return
    of_keyring = RunRef(run_id=name, keyring=name, fencing_token=0)
    told = NotifyInput(run=of_keyring, key=f"{ID}:{record.at.isoformat()}", event=DRILL_FAILED, detail=record.detail)
    await notifier.tell_of_keyring(told, _message(record))
    # Afterwards: who dies in between tells it twice, which harms less than never.
    await _store(runs.documents, record.model_copy(update={"told": True}))


async def _store(documents: StateContainer, record: DrillRecord) -> None:
    await documents.update(DrillRecord.from_document, record.keyring, ID, lambda _found: record)


def _message(record: DrillRecord) -> Message:
    lines = [f"The drill in {record.vault_url} failed: {record.detail}."]
    if record.trial is not None:
        lines += [f"- row {row}: {reason}" for row, reason in record.trial.failed.items()]
    lines += ["Until a drill passes, take it that a lost vault cannot be brought back.", "It is tried again every day."]
    text = "\n".join(map(visible, [*lines, *runbook(DRILL_FAILED)]))
    return Message(f"Keyturn: the key backup of {record.keyring} failed its drill", text, EVENTS[DRILL_FAILED].tone)

"""What no workflow tells: that a rotation is overdue, or that a run's workflow itself was lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from keyturn.contracts.steps import NotifyInput
from keyturn.keyring_clients import KeyringClients
from keyturn.notifications.events import OVERDUE
from keyturn.notifications.notifier import Notifier
from keyturn.rotation.due import last_completed, rotation_history
from keyturn.runs import store, transitions
from keyturn.runs.evidence_summary import moment
from keyturn.runs.records import RotationRecord
from keyturn.settings import Settings
from keyturn.telemetry import names, signals

REPEATED = timedelta(days=7)  # how often people are told that a rotation is still overdue


async def tell_unreported(
    notifier: Notifier, runs: store.RotationStore, keyring: KeyringClients, settings: Settings, now: datetime
) -> None:
    """Look at the keyring's runs and tell, each once, what people would otherwise not hear of.

    Of a keyring that has no rotation at all only the metric tells that one is overdue: a message is about a rotation.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression of six fields.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    name = keyring.keyring.name
    history = await rotation_history(runs, keyring, settings, now)
    records, due = history.records, history.overdue_since
    migrations = await store.MigrationStore(runs.documents).newest(name, limit=store.PAGE_MAX)
    for record in (*records, *migrations):
        if record.error is not None and record.ended and record.error.type == transitions.WORKFLOW_LOST:
            lost = NotifyInput(run=record.ref, key="lost:failed", event="failed", detail=transitions.WORKFLOW_LOST)
            await notifier.tell(lost, now)
    signals.record(names.OVERDUE, 0 if due is None else 1, {names.KEYRING: name})
    if (completed := last_completed(records)) is not None:
        signals.record(names.SINCE_ROTATION, (now - completed).total_seconds(), {names.KEYRING: name})
    if due is not None and records:
        key = f"{OVERDUE}:{due.isoformat()}:{(now - due) // REPEATED}"
        about = _about(records, key).ref
        await notifier.tell(NotifyInput(run=about, key=key, event=OVERDUE, detail=moment(due)), now)


def _about(records: Sequence[RotationRecord], key: str) -> RotationRecord:
    """Return the rotation that the message is about: the latest try, or the one of which this was told before."""
    known = (record for record in records if any(notice.key == key for notice in record.notifications))
    tries = (record for record in records if not record.options.dry_run)
    return next(known, None) or next(tries, records[0])

"""The status of each keyring: when it was rotated last, when it is due again, and whether it is overdue.

Overdue has this one meaning everywhere: health, the list of keyrings, the metric, and messages. What is *due*, which
the schedule's tick starts, is another question (:mod:`keyturn.rotation.schedule`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.contracts.base import Payload
from keyturn.errors import (
    MigrationRunningError,
    OperatorError,
    RotationRunningError,
    TooManyStartsError,
    TransientError,
)
from keyturn.key_vault.versions import ROTATION_TAG
from keyturn.keyring_clients import KeyringClients
from keyturn.rotation.drift import Drift, read_drift
from keyturn.rotation.schedule import did_its_work, due, last_began, next_occurrence
from keyturn.rotation.start import StartRequest, Workflows, resume_orphan, start
from keyturn.rotation.status import Summary, summary
from keyturn.runs.lease import read_lease
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import PAGE_MAX, RotationStore
from keyturn.settings import Settings


def last_completed(records: Sequence[RotationRecord]) -> datetime | None:
    """Return when the newest of the rotations that did their work was completed."""
    return max((record.ended_at for record in records if did_its_work(record) and record.ended_at), default=None)


def overdue_since(
    schedule: str, records: Sequence[RotationRecord], after: timedelta, now: datetime, *, made: datetime | None
) -> datetime | None:
    """Return since when a rotation has been due, if that is longer ago than it may take, else None.

    Due is the first occurrence of the schedule after the last rotation that was completed; where none was, the first
    attempt. Of a keyring that was never rotated, it is the first occurrence after the MEK was ``made``; None
    where nothing tells when that was. Raises SettingsError for a schedule that is no NCRONTAB expression of six fields.
    """
    attempts = [record.requested_at for record in records if not record.options.dry_run]
    since = last_completed(records) or (None if attempts else made)
    if since is None and not attempts:
        return None
    due = min(attempts) if since is None else next_occurrence(schedule, since)
    return due if now - due > after else None


# Monitors ask often, and a day more or less is nothing to a schedule.
REMEMBERED_SECONDS = 60.0
ANSWER_SECONDS = 10.0  # a monitor does not wait for longer

_log = logging.getLogger(__name__)

Versions = Callable[[], Awaitable[Mapping[str, MekVersionProperties]]]


class KeyringStatus(Payload):
    """A keyring as the schedule sees it."""

    keyring: str
    last_rotation: Summary | None  # the newest, however it ended
    last_began: datetime | None  # what the schedule counts from; null where nothing tells
    next_occurrence: datetime
    overdue: bool | None  # null where nothing was ever tried, and the schedule has not looked yet
    drift: Drift | None  # what the last look has found; null before the first
    version: str | None = None  # in force: the newest that is enabled; null where nothing tells
    version_created_on: datetime | None = None
    active_run: str | None = None  # the rotation or migration that holds the keyring


async def began(records: Iterable[RotationRecord], versions: Versions) -> datetime | None:
    """Return when the newest of a keyring's rotations that counts began; without one, when its MEK was made.

    A MEK that is younger than the newest occurrence of the schedule has nothing to be caught up. A version that a
    failed rotation of ours left behind says nothing about that.
    """
    if (counted := last_began(records)) is not None:
        return counted
    made = [found.created_on for found in (await versions()).values() if ROTATION_TAG not in found.tags]
    return max((at for at in made if at is not None), default=None)


class RotationHistory(NamedTuple):
    """A keyring's rotations, and what follows from them."""

    records: Sequence[RotationRecord]  # newest first
    last_began: datetime | None
    overdue_since: datetime | None


async def rotation_history(
    runs: RotationStore, keyring: KeyringClients, settings: Settings, now: datetime
) -> RotationHistory:
    """Return the keyring's rotations; every place that says whether a rotation is overdue has it from here.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression of six fields.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    records = await runs.newest(keyring.keyring.name, limit=PAGE_MAX)
    counted = await began(records, keyring.versions.states)
    schedule, after = settings.rotation_schedule, settings.keyturn_overdue_after
    return RotationHistory(records, counted, overdue_since(schedule, records, after, now, made=counted))


async def _in_force(keyring: KeyringClients) -> MekVersionProperties | None:
    """Return the newest enabled version; None where there is none, or the vault does not say."""
    try:
        states = await keyring.versions.states()
    except (TransientError, OperatorError) as error:
        _log.warning("the version in force of %s cannot be told: %s", keyring.keyring.name, type(error).__name__)
        return None
    return next((found for found in reversed(states.values()) if found.enabled), None)


async def keyring_status(
    runs: RotationStore, keyring: KeyringClients, settings: Settings, now: datetime
) -> KeyringStatus:
    """Return the keyring's status; raises KeyturnError of the kind that the store's or the vault's answer means."""
    version, lease = await _in_force(keyring), await read_lease(runs, keyring.keyring.name)
    history = await rotation_history(runs, keyring, settings, now)
    looked = await read_drift(runs.documents, keyring.keyring.name)
    tried = any(not record.options.dry_run for record in history.records)
    return KeyringStatus(
        keyring=keyring.keyring.name,
        last_rotation=summary(history.records[0]) if history.records else None,
        last_began=history.last_began,
        next_occurrence=next_occurrence(settings.rotation_schedule, now),
        overdue=history.overdue_since is not None if tried or looked is not None else None,
        drift=None if looked is None else looked.drift,
        version=None if version is None else version.version,
        version_created_on=None if version is None else version.created_on,
        active_run=None if lease is None else lease.holder,
    )


def any_overdue(found: Iterable[KeyringStatus]) -> bool | None:
    """Tell whether any keyring is overdue; None where none is, and one was not looked at yet."""
    return _any([status.overdue for status in found])


def drifted(found: Iterable[KeyringStatus]) -> bool | None:
    """Tell whether any keyring has drifted; None where none has, and one was not looked at yet."""
    return _any([None if status.drift is None else status.drift.since is not None for status in found])


def _any(answers: Sequence[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


class StatusMemory:
    """How the keyrings stand, asked of the store and the vault once a minute at most."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._asked: float | None = None
        self._known: Sequence[KeyringStatus] | None = None

    async def recall(self, ask: Callable[[], Awaitable[Sequence[KeyringStatus]]]) -> Sequence[KeyringStatus] | None:
        """Return the statuses; None where they cannot be told, which is no failure of the caller."""
        if self._asked is None or self._monotonic() - self._asked >= REMEMBERED_SECONDS:
            self._asked = self._monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._known = await ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, the app's health is another question
                _log.warning("how the keyrings stand cannot be told: %s", type(error).__name__)
                self._known = None
        return self._known


REQUESTER = "keyturn-schedule"


async def start_due(
    runs: RotationStore, keyring: KeyringClients, settings: Settings, workflows: Workflows, now: datetime
) -> RotationRecord | None:
    """Start the keyring's rotation if it is due, none is running, and not too many were today; return its record.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    # First: a run that lost its workflow goes on with another, whatever is due.
    name = keyring.keyring.name
    await resume_orphan(runs.documents, name, workflows, now)
    last = await began(await runs.newest(name, limit=PAGE_MAX), keyring.versions.states)
    if (occurrence := due(settings.rotation_schedule, last, now)) is None:
        return None
    try:
        return await start(
            runs,
            StartRequest(reason=f"scheduled for {occurrence.isoformat()}"),
            keyring=name,
            requested_by=REQUESTER,
            trigger="schedule",
            policy=settings.policy,
            workflows=workflows,
            starts_per_day=settings.keyturn_starts_per_day,
            now=now,
        )
    except (RotationRunningError, MigrationRunningError, TooManyStartsError):
        return None

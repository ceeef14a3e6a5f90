"""How the keyrings stand: when each was rotated last, when it is due again, and whether it is overdue."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.contracts import Payload
from keyturn.key_vault.versions import ROTATION_TAG
from keyturn.resources import Resources
from keyturn.rotation.overdue import overdue_since
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_store import PAGE_MAX, RunStore
from keyturn.rotation.schedule import last_began, next_occurrence
from keyturn.rotation.status import Summary, summary

# Monitors ask often, and a day more or less is nothing to a schedule.
REMEMBERED_SECONDS = 60.0
ANSWER_SECONDS = 10.0  # a monitor does not wait for longer

_log = logging.getLogger(__name__)

Versions = Callable[[], Awaitable[Mapping[str, MekVersionProperties]]]


class KeyringState(Payload):
    """A keyring as the schedule sees it."""

    keyring: str
    last_rotation: Summary | None  # the newest, however it ended
    last_began: datetime | None  # what the schedule counts from; null where nothing tells
    next_occurrence: datetime
    overdue: bool


async def began(records: Iterable[RotationRecord], versions: Versions) -> datetime | None:
    """Return when the newest of a keyring's rotations that counts began; without one, when its MEK was made.

    A MEK that is younger than the newest occurrence of the schedule has nothing to be caught up. A version that a
    failed rotation of ours left behind says nothing about that.
    """
    if (counted := last_began(records)) is not None:
        return counted
    made = [found.created_on for found in (await versions()).values() if ROTATION_TAG not in found.tags]
    return max((at for at in made if at is not None), default=None)


class Standing(NamedTuple):
    """A keyring's rotations, and what follows from them."""

    records: Sequence[RotationRecord]  # newest first
    last_began: datetime | None
    overdue_since: datetime | None


async def stand(
    runs: RunStore, keyring: str, versions: Versions, *, schedule: str, overdue_after: timedelta, now: datetime
) -> Standing:
    """Return how the keyring stands; every place that says whether a rotation is overdue has it from here.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression of six fields.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    records = await runs.newest(keyring, limit=PAGE_MAX)
    counted = await began(records, versions)
    return Standing(records, counted, overdue_since(schedule, records, overdue_after, now, made=counted))


async def look(opened: Resources, name: str, now: datetime) -> KeyringState:
    """Return how the keyring stands; raises KeyturnError of the kind that the store's or the vault's answer means."""
    settings = opened.settings
    found = await stand(
        opened.run_store,
        name,
        opened.keyring(name).versions.states,
        schedule=settings.rotation_schedule,
        overdue_after=settings.keyturn_overdue_after,
        now=now,
    )
    return KeyringState(
        keyring=name,
        last_rotation=summary(found.records[0]) if found.records else None,
        last_began=found.last_began,
        next_occurrence=next_occurrence(settings.rotation_schedule, now),
        overdue=found.overdue_since is not None,
    )


class OverdueMemory:
    """Whether any keyring is overdue, asked of the store and the vault once a minute at most."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._asked: float | None = None
        self._overdue: bool | None = None

    async def any_overdue(self, opened: Resources, now: datetime) -> bool | None:
        """Tell whether any keyring is overdue; None where that cannot be told, which is no failure of the asker."""
        if self._asked is None or self._monotonic() - self._asked >= REMEMBERED_SECONDS:
            self._asked = self._monotonic()
            self._overdue = await self._ask(opened, now)
        return self._overdue

    async def _ask(self, opened: Resources, now: datetime) -> bool | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return any([(await look(opened, keyring.name, now)).overdue for keyring in opened.settings.keyrings])
        except Exception as error:  # noqa: BLE001 - whatever it is, the app's health is another question
            _log.warning("whether a keyring is overdue cannot be told: %s", type(error).__name__)
            return None

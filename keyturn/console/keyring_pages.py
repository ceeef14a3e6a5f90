"""What the console shows of keyrings: a card for each, and the history of one as a timeline."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.console.charts import MARKS, Mark, lasting, moment, words
from keyturn.console.orders import Order, orders_on_keyring
from keyturn.console.sessions import Visitor
from keyturn.contracts.characters import counted
from keyturn.errors import KeyturnError
from keyturn.key_vault.versions import RETAIN_UNTIL_TAG, RETIRED_BY_TAG, ROTATION_TAG
from keyturn.keyring_clients import KeyringClients
from keyturn.migrations.status import migration_status
from keyturn.resources import Resources
from keyturn.rotation.drift import Drift
from keyturn.rotation.due import KeyringStatus, keyring_status
from keyturn.rotation.status import Pace, status
from keyturn.runs.lease import read_lease
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord

_log = logging.getLogger(__name__)

LISTED = 50  # runs of each kind on the timeline
LOOKED_AT = 10  # runs among which the last rotation is looked for: dry runs are none


@dataclass(frozen=True)
class RunLine:
    """A run in a few words."""

    run_id: str
    what: str
    state: str
    mark: Mark
    at: str
    by: str
    reason: str
    outcome: str  # what became of it
    percent: float | None  # of a run that goes on
    waits_for: str


@dataclass(frozen=True)
class Card:
    """A keyring on the console's first page; ``problem`` says why it cannot be told, and then the rest is empty."""

    keyring: str
    orders: Sequence[Order]
    problem: str = ""
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    active: RunLine | None = None
    last: RunLine | None = None


@dataclass(frozen=True)
class VersionLine:
    """A version of the MEK; what it is tagged with is what is read of the runs."""

    version: str
    state: str
    made: str
    by: str  # the rotation that made it
    retired_by: str = ""
    kept_until: str = ""


def run_line(record: RunRecord, now: datetime) -> RunLine:
    """Return the run in a few words."""
    pace = _pace(record)
    lasted = lasting((record.ended_at or now) - record.requested_at)
    said = record.history[-1].detail
    return RunLine(
        run_id=record.run_id,
        what=record.work.kind if isinstance(record, MigrationRecord) else _rotation(record),
        state=words(record.state),
        mark=MARKS.get(record.state, "none"),
        at=moment(record.requested_at),
        by=record.requested_by,
        reason=record.reason,
        outcome=f"{words(record.state)}, {lasted} after it was asked for{f': {said}' if said else ''}",
        percent=None if record.ended or pace is None else pace.percent,
        waits_for="" if pace is None or pace.waits_for is None else pace.waits_for.what,
    )


def _rotation(record: RunRecord) -> str:
    return "dry run" if isinstance(record, RotationRecord) and record.options.dry_run else "rotation"


def _pace(record: RunRecord) -> Pace | None:
    if isinstance(record, RotationRecord):
        return status(record)
    return migration_status(record) if isinstance(record, MigrationRecord) else None


async def cards(resources: Resources, visitor: Visitor, now: datetime) -> list[Card]:
    """Return a card for each keyring; one whose store or vault does not answer says so, and keeps none of the rest."""
    return [await _card(resources, keyring.name, visitor, now) for keyring in resources.settings.keyrings]


async def _card(resources: Resources, keyring: str, visitor: Visitor, now: datetime) -> Card:
    orders = orders_on_keyring(visitor)
    try:
        clients = resources.keyring(keyring)
        told = await keyring_status(resources.run_store, clients, resources.settings, now)
        active = await _going_on(resources, told.active_run)
        newest = await resources.run_store.newest(keyring, limit=LOOKED_AT)
        at_work = None if active is None else active.run_id
        last = next((one for one in newest if not one.options.dry_run and one.run_id != at_work), None)
    except KeyturnError as error:
        _log.warning("the console cannot tell how keyring %s stands: %s", keyring, type(error).__name__)
        return Card(keyring, orders, problem=error.message)
    return Card(
        keyring,
        orders if active is None else [],
        facts=_facts(told, now),
        warnings=_warnings(told),
        active=None if active is None else run_line(active, now),
        last=None if last is None else run_line(last, now),
    )


async def active_run(resources: Resources, keyring: str) -> RunRecord | None:
    """Return the run that holds the keyring and has not ended, or None."""
    lease = await read_lease(resources.every_run, keyring)
    return await _going_on(resources, None if lease is None else lease.holder)


async def _going_on(resources: Resources, holder: str | None) -> RunRecord | None:
    found = None if holder is None else await resources.every_run.find(holder)
    return None if found is None or found.ended else found


def _facts(told: KeyringStatus, now: datetime) -> list[tuple[str, str]]:
    made = told.version_created_on
    return [
        ("Version in force", told.version or "not known"),
        ("Its age", "not known" if made is None else f"{lasting(now - made)}, since {moment(made)}"),
        ("Next due", moment(told.next_occurrence)),
        ("Overdue", "not known yet" if told.overdue is None else "yes" if told.overdue else "no"),
        ("Drift", _drift(told.drift)),
    ]


def _drift(drift: Drift | None) -> str:
    if drift is None:
        return "not looked for yet"
    return f"{'none' if drift.since is None else 'found'}, as of {moment(drift.at)}"


def _warnings(told: KeyringStatus) -> list[str]:
    warnings = ["A rotation is overdue."] if told.overdue else []
    if told.drift is not None and told.drift.since is not None:
        drift = told.drift
        rows, missing = sum(drift.rows.values()), len(drift.missing)
        warnings += (
            [f"{counted(rows, 'row')} under versions that are disabled or missing: not readable."] if rows else []
        )
        warnings += [f"Not in the vault: {missing:,} of these versions."] if missing else []
        warnings += [f"Enabled although retired: {', '.join(drift.enabled)}."] if drift.enabled else []
        warnings += [f"This fixes it: {drift.mend}"] if drift.mend else []
    return warnings


async def timeline(resources: Resources, keyring: str, now: datetime) -> list[RunLine]:
    """Return the keyring's newest runs of either kind, newest first."""
    found: list[RunRecord] = [
        *await resources.run_store.newest(keyring, limit=LISTED),
        *await resources.migrations.newest(keyring, limit=LISTED),
    ]
    return [run_line(record, now) for record in sorted(found, key=lambda one: one.fencing_token, reverse=True)]


async def versions_of(keyring: KeyringClients) -> tuple[list[VersionLine], str]:
    """Return the versions of the MEK, newest first; where the vault does not tell them, none, and why."""
    try:
        return version_lines(await keyring.versions.states(), await keyring.versions.in_use()), ""
    except KeyturnError as error:
        _log.warning("the versions of %s cannot be told: %s", keyring.keyring.name, type(error).__name__)
        return [], error.message


def version_lines(states: Mapping[str, MekVersionProperties], current: str) -> list[VersionLine]:
    """Return the versions of the MEK, newest first."""

    def line(found: MekVersionProperties) -> VersionLine:
        made, by = moment(found.created_on), found.tags.get(ROTATION_TAG, "")
        if not found.enabled and (retired_by := found.tags.get(RETIRED_BY_TAG)):
            until = found.tags.get(RETAIN_UNTIL_TAG, "not known")
            return VersionLine(found.version, "retired", made, by, retired_by, until)
        state = "in force" if found.version == current else "enabled" if found.enabled else "disabled"
        return VersionLine(found.version, state, made, by)

    return [line(found) for found in reversed([*states.values()])]

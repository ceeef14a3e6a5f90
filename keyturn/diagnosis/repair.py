"""Repairs one row at an operator's order: exchanges its wrap and its previous wrap, where only the previous one opens.

Neither wrap is lost, and where both open, or none does, nothing is written. The row is read, then the keyring's lease,
and then the row is written on condition of its ETag and of the fence: what a run that began meanwhile has written is
never undone. The order is in an audit chain before the row is written.
"""

import asyncio
import shlex
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import StringConstraints

from field_encrypt.rewrapping import RACE_SECONDS, RACES_MAX
from field_encrypt.row_states import PREVIOUS_WRAP, Row, before_rewrap
from keyturn.audit.events import AuditEvent, RowRepairOrdered
from keyturn.contracts.base import Payload, PersonName, RunId
from keyturn.contracts.states import State
from keyturn.deks.store import Outcome
from keyturn.diagnosis.dek import ROW_AT_FAULT, ExaminedDek, examine
from keyturn.diagnosis.models import Verdict
from keyturn.errors import LostRaceError, WrongStateError
from keyturn.keyring_clients import KeyringClients
from keyturn.runs.lease import read_lease, running
from keyturn.runs.store import EveryRun, MigrationStore, RotationStore

type Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class RepairRequest(Payload):
    """The body of an order to repair a row: who gives it, and why."""

    keyring: str | None = None  # may be left out where there is only one
    requested_by: PersonName | None = None
    reason: Why


class Repaired(Payload):
    """A row that is on its previous wrap again."""

    keyring: str
    dek_id: str
    mek_version: str | None  # that the row names now
    run_id: RunId  # whose audit chain has the order
    next_step: str


class _Place(NamedTuple):
    """Where an order is kept, and the fence under which the row is written."""

    run_id: str
    fence: int
    waits: bool  # the run needs attention


async def repair_row(
    runs: EveryRun, keyring: KeyringClients, dek_id: str, *, by: str, reason: str, now: datetime
) -> Repaired:
    """Put the row back on its previous wrap; raises before anything is written where that is not what it needs.

    Raises:
        WrongStateError: the row opens, its previous wrap does not, or the keyring never had a run.
        RotationRunningError: a rotation holds the keyring, and does not wait for an operator.
        MigrationRunningError: a migration does.
        LostRaceError: others kept changing the row.
    """
    for race in range(RACES_MAX):
        await asyncio.sleep(RACE_SECONDS * 2**race if race else 0)
        examined = await examine(keyring, dek_id, await keyring.versions.states(), None)
        row, previous = _repairable(examined, keyring)
        place = await _place(runs, keyring.keyring.name)
        order = RowRepairOrdered(dek_id=dek_id, by=by, reason=reason, replaces=row.version, version=previous.version)
        await runs.audit.append(place.run_id, [AuditEvent(key=f"repair:{dek_id}:{row.etag}", at=now, data=order)])
        if (await keyring.rows.exchange(row, place.fence)).outcome is Outcome.CHANGED:
            look = f"keyturn diagnose dek {shlex.quote(dek_id)} --keyring {keyring.keyring.name}"
            return Repaired(
                keyring=keyring.keyring.name,
                dek_id=dek_id,
                mek_version=previous.version,
                run_id=place.run_id,
                next_step=f"keyturn retry {place.run_id}" if place.waits else look,
            )
    raise LostRaceError("others kept changing the row", document=dek_id, attempts=RACES_MAX)


def _repairable(examined: ExaminedDek, keyring: KeyringClients) -> tuple[Row, Row]:
    """Return the row and its previous wrap; raises WrongStateError where an exchange would not make it open."""
    found, row = examined.diagnosis, examined.row
    at_fault = found.verdict in {*ROW_AT_FAULT, Verdict.PREVIOUS_WRAP_OPENS}
    previous = None if row is None else before_rewrap(row, keyring.keyring, "")
    whole = row is not None and previous is not None and "algorithm" in row.raw[PREVIOUS_WRAP]
    if row is None or previous is None or not (at_fault and whole and found.previous_wrap == "holds"):
        said = f"the row is not repaired: {found.finding}; its previous wrap: {found.previous_wrap or 'not looked at'}"
        raise WrongStateError(said, hint=found.next_step, dekId=found.dek_id, state=found.verdict.value)
    return row, previous


async def _place(runs: EveryRun, keyring: str) -> _Place:
    """Return the chain that keeps the order, and the fence: of the run that waits, else of the keyring's newest."""
    lease = await read_lease(runs, keyring)
    if lease is not None and lease.holder is not None:
        if (await runs.read(lease.holder)).state is not State.NEEDS_ATTENTION:
            raise running(keyring, lease.holder)
        return _Place(lease.holder, lease.fencing_token, waits=True)
    stores = RotationStore(runs.documents), MigrationStore(runs.documents)
    newest = [record for store in stores for record in await store.newest(keyring, limit=1)]
    if lease is None or not newest:
        hint = f"make one: keyturn rotate --keyring {keyring} --dry-run"
        raise WrongStateError("no run of the keyring has an audit chain that keeps the order", hint=hint)
    last = max(newest, key=lambda record: record.fencing_token)
    return _Place(last.run_id, lease.fencing_token, waits=False)

"""What the approver learns of rows that are not as the last rotation left them."""

import logging
from datetime import UTC, datetime

from keyturn.contracts.migrations import RestoreRows, Rollback
from keyturn.contracts.pages import UnexplainedRow
from keyturn.contracts.states import State
from keyturn.deks.store import DekStore
from keyturn.deks.unexplained import Provenance, Since
from keyturn.rotation.schedule import did_its_work
from keyturn.runs.record_parts import NAMED_ROWS_MAX
from keyturn.runs.record_parts import Provenance as Found
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import PAGE_MAX, MigrationStore, RotationStore

_log = logging.getLogger(__name__)

NOT_ENDED = datetime(9999, 1, 1, tzinfo=UTC)


async def look_back(runs: RotationStore, migrations: MigrationStore, store: DekStore, run_id: str) -> Found:
    """Compare the rows with what the last completed rotation left, before the first is moved; raises KeyturnError."""
    earlier = await runs.newest(store.keyring.name, before=run_id, limit=PAGE_MAX)
    completed = next((record for record in earlier if did_its_work(record)), None)
    migrated = await migrations.newest(store.keyring.name, limit=PAGE_MAX)
    found = await _look(
        store, _since(completed, earlier, migrated), completed.run_id if completed is not None else None
    )
    if found.count:
        _log.warning("%s begins with %d rows that no run has left as they are", run_id, found.count)
    return found


async def look_again(store: DekStore, record: RotationRecord) -> Found:
    """Compare the rows with what the rotation itself has written since it began; raises KeyturnError.

    A keyring has one run at a time: nothing but this rotation has a reason to change a row. Those whose version it has
    adopted may have moved rows in the second in which it began. The service dates by seconds, on a clock of its own.
    """
    began = record.entered_at(State.CREATING_VERSION) or record.requested_at
    found = await _look(store, Since(began, dict.fromkeys((record.run_id, *record.adopted), NOT_ENDED)), record.run_id)
    if found.count:
        _log.warning("%d rows were changed beside %s", found.count, record.run_id)
    return found


async def _look(store: DekStore, since: Since | None, run_id: str | None) -> Found:
    provenance = Provenance(store, since)
    named: list[UnexplainedRow] = []
    count = 0
    for reason, condition in (("changed", provenance.changed), ("key_check_missing", provenance.without_key_check)):
        if condition is None or not (counted := await provenance.count(condition)):
            continue
        count += counted
        found = await provenance.first(condition, NAMED_ROWS_MAX - len(named)) if len(named) < NAMED_ROWS_MAX else []
        named += [UnexplainedRow(id=row_id, reason=reason) for row_id in found]
    return Found(
        since=run_id,
        created=await provenance.count(provenance.new) if provenance.new is not None else None,
        count=count,
        named=named,
    )


def _since(
    completed: RotationRecord | None, earlier: list[RotationRecord], migrated: list[MigrationRecord]
) -> Since | None:
    if completed is None or completed.ended_at is None:
        return None
    # A keyring has one run at a time: a migration that was asked for before the rotation's end had ended by then.
    later = [record for record in migrated if record.requested_at >= completed.ended_at]
    known = [*earlier[: earlier.index(completed) + 1], *later]
    rollbacks = [run for run in later if isinstance(run.work, Rollback) and not run.dry_run]
    return Since(
        completed.ended_at,
        {record.run_id: record.ended_at for record in known if record.ended_at is not None},
        [(run.requested_at, run.ended_at) for run in rollbacks if run.ended_at is not None],
        [
            (run.fencing_token, run.requested_at, run.ended_at)
            for run in later
            if isinstance(run.work, RestoreRows) and run.ended_at is not None
        ],
    )

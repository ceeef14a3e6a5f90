"""What the approver learns of rows that are not as the last rotation left them."""

import logging

from keyturn.contracts.migrations import Rollback
from keyturn.contracts.pages import UnexplainedRow
from keyturn.contracts.states import State
from keyturn.deks.store import DekStore
from keyturn.deks.unexplained import Provenance, Since
from keyturn.runs.record_parts import NAMED_ROWS_MAX
from keyturn.runs.record_parts import Provenance as Found
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import PAGE_MAX, MigrationStore, RotationStore

_log = logging.getLogger(__name__)


async def look_back(runs: RotationStore, migrations: MigrationStore, store: DekStore, run_id: str) -> Found:
    """Compare the rows with what the keyring's last completed rotation left; called before the first is rewrapped.

    Raises:
        KeyturnError: of the kind that the store's answer means.
    """
    earlier = await runs.newest(store.keyring.name, before=run_id, limit=PAGE_MAX)
    completed = next((record for record in earlier if _moved_every_row(record)), None)
    migrated = await migrations.newest(store.keyring.name, limit=PAGE_MAX)
    provenance = Provenance(store, _since(completed, earlier, migrated))
    named: list[UnexplainedRow] = []
    count = 0
    for reason, condition in (("changed", provenance.changed), ("key_check_missing", provenance.without_key_check)):
        if condition is None or not (counted := await provenance.count(condition)):
            continue
        count += counted
        found = await provenance.first(condition, NAMED_ROWS_MAX - len(named)) if len(named) < NAMED_ROWS_MAX else []
        named += [UnexplainedRow(id=row_id, reason=reason) for row_id in found]
    if count:
        _log.warning("%s begins with %d rows that no run has left as they are", run_id, count)
    return Found(
        since=completed.run_id if completed is not None else None,
        created=await provenance.count(provenance.new) if provenance.new is not None else None,
        count=count,
        named=named,
    )


def _moved_every_row(record: RotationRecord) -> bool:
    return record.state is State.COMPLETED and not record.options.dry_run


def _since(
    completed: RotationRecord | None, earlier: list[RotationRecord], migrated: list[MigrationRecord]
) -> Since | None:
    if completed is None or completed.ended_at is None:
        return None
    known: list[RotationRecord | MigrationRecord] = [*earlier[: earlier.index(completed) + 1]]
    # A keyring has one run at a time: a migration that was asked for before the rotation's end had ended by then.
    known += [record for record in migrated if record.requested_at >= completed.ended_at]
    return Since(
        completed.ended_at,
        {record.run_id: record.ended_at for record in known if record.ended_at is not None},
        [
            (record.requested_at, record.ended_at)
            for record in known
            if record.ended_at is not None and isinstance(record, MigrationRecord) and _puts_back(record)
        ],
    )


def _puts_back(record: MigrationRecord) -> bool:
    return isinstance(record.work, Rollback) and not record.dry_run

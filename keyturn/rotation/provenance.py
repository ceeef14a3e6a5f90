"""What the approver learns of rows that are not as the last rotation left them."""

from keyturn.dek_store.provenance import Provenance, Since
from keyturn.dek_store.store import DekStore
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.record_parts import NAMED_ROWS_MAX, UnexplainedRow
from keyturn.rotation.record_parts import Provenance as Found
from keyturn.rotation.run_store import PAGE_MAX, RunStore
from keyturn.rotation.states import State


async def look_back(runs: RunStore, store: DekStore, rotation_id: str) -> Found:
    """Compare the rows with what the keyring's last completed rotation left; called before the first is rewrapped.

    Raises:
        KeyturnError: of the kind that the store's answer means.
    """
    earlier = await runs.newest(store.keyring.name, before=rotation_id, limit=PAGE_MAX)
    completed = next((record for record in earlier if _moved_every_row(record)), None)
    provenance = Provenance(store, _since(completed, earlier))
    named: list[UnexplainedRow] = []
    count = 0
    for reason, condition in (("changed", provenance.changed), ("key_check_missing", provenance.without_key_check)):
        if condition is None or not (counted := await provenance.count(condition)):
            continue
        count += counted
        found = await provenance.first(condition, NAMED_ROWS_MAX - len(named)) if len(named) < NAMED_ROWS_MAX else []
        named += [UnexplainedRow(id=row_id, reason=reason) for row_id in found]
    return Found(
        since=completed.rotation_id if completed is not None else None,
        created=await provenance.count(provenance.new) if provenance.new is not None else None,
        count=count,
        named=named,
    )


def _moved_every_row(record: RotationRecord) -> bool:
    return record.state is State.COMPLETED and not record.options.dry_run


def _since(completed: RotationRecord | None, earlier: list[RotationRecord]) -> Since | None:
    if completed is None or completed.ended_at is None:
        return None
    later = earlier[: earlier.index(completed)]
    return Since(
        completed.ended_at,
        {record.rotation_id: record.ended_at for record in later if record.ended_at is not None},
    )

"""Provenance: rows that are not as the last completed rotation left them are named before they are rewrapped."""

import logging
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from keyturn.contracts.base import Policy, RunRef
from keyturn.contracts.migrations import RewrapDeks, Rollback, Work
from keyturn.contracts.states import State
from keyturn.deks.store import DekStore
from keyturn.ids import RunKind, new_run_id
from keyturn.rotation.unexplained import look_again, look_back
from keyturn.runs.record_parts import HistoryEntry, Provenance
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import make_record, new_keyring

pytestmark = pytest.mark.usefixtures("mixed_types")

HOUR = timedelta(hours=1)


class Past:
    """A store whose rotations have ended: as many as a test adds, the first of them first."""

    def __init__(self, runs: RotationStore, local_keyring: LocalKeyring) -> None:
        self.runs = runs
        self.local_keyring = local_keyring
        self.now = datetime.now(UTC)
        self.keyring = local_keyring.keyring.model_copy(update={"name": new_keyring()})
        self._tokens = count(1)

    async def ended(self, ago: timedelta, state: State = State.COMPLETED, **fields: Any) -> RotationRecord:
        """Add a rotation that ended so long ago."""
        at = self.now - ago
        return await self._add(at, state=state, ended_at=at, policy=Policy(), **fields)

    async def _add(self, at: datetime, **fields: Any) -> RotationRecord:
        own = {"run_id": new_run_id(RunKind.ROTATION, self.keyring.name, at), "fencing_token": next(self._tokens)}
        record = make_record(self.keyring.name, **{**own, **fields})
        await self.runs.documents.create(record.to_document())
        return record

    async def migrated(self, work: Work, ago: timedelta, took: timedelta, *, dry_run: bool = False) -> str:
        """Add a migration that began so long ago and took so long."""
        began = self.now - ago
        record = MigrationRecord(
            run_id=new_run_id(RunKind.MIGRATION, self.keyring.name, began),
            keyring=self.keyring.name,
            history=[HistoryEntry(at=began, source=None, target=State.REQUESTED, step=0, actor="ops")],
            state=State.COMPLETED,
            requested_by="ops",
            requested_at=began,
            ended_at=began + took,
            policy=Policy(),
            instance_id="migration",
            fencing_token=next(self._tokens),
            work=work,
            dry_run=dry_run,
        )
        await self.runs.documents.create(record.to_document())
        return record.run_id

    async def row(self, **properties: Any) -> str:
        """Add a row, which the service dates by its own clock: now."""
        [row_id] = await self.local_keyring.fill(1, **properties)
        return row_id

    async def seen(self) -> Provenance:
        """Look back from a rotation that begins now."""
        store = DekStore(self.local_keyring.container, self.keyring)
        begins = await self._add(self.now)
        return await look_back(self.runs, MigrationStore(self.runs.documents), store, begins.run_id)


def names(found: Provenance) -> dict[str, str]:
    """Return what is named, by reason."""
    return {row.id: row.reason for row in found.named}


async def test_without_a_completed_rotation_there_is_nothing_to_compare_with(
    runs: RotationStore, local_keyring: LocalKeyring
) -> None:
    """A dry run, and a rotation that was given up, left no state that rows could differ from."""
    past = Past(runs, local_keyring)
    await past.ended(2 * HOUR, state=State.ABORTED)
    await past.ended(HOUR, options={"dryRun": True})
    await past.row()

    assert await past.seen() == Provenance(since=None, created=None, count=0, named=[])


async def test_rows_as_the_last_rotation_left_them_are_not_named(
    runs: RotationStore, local_keyring: LocalKeyring
) -> None:
    """What was last changed before the rotation ended was counted and proven by it, whatever it says."""
    past = Past(runs, local_keyring)
    last = await past.ended(-HOUR)
    await past.row(rotationId=last.run_id)
    await past.row()

    assert await past.seen() == Provenance(since=last.run_id, created=0, count=0, named=[])


async def test_the_second_in_which_the_rotation_ended_counts(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """The service dates by the second: what it dates by the last one is named, unless the rotation has written it."""
    past = Past(runs, local_keyring)
    run_id = new_run_id(RunKind.ROTATION, past.keyring.name, past.now)
    await past.row(rotationId=run_id, createdAt=...)
    changed = await past.row(createdAt=...)
    dated = (await local_keyring.container.read_item(changed, partition_key=changed))["_ts"]
    past.now = datetime.fromtimestamp(dated, UTC) + timedelta(milliseconds=999)
    await past.ended(timedelta(0), run_id=run_id)

    assert names(await past.seen()) == {changed: "changed"}


async def test_a_row_that_was_changed_since_is_named(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """A row of that rotation, an old row and one that does not say how old it is: nobody should have written them."""
    past = Past(runs, local_keyring)
    last = await past.ended(HOUR)
    moved = await past.row(rotationId=last.run_id)
    old = await past.row(createdAt=(past.now - timedelta(days=400)).isoformat())
    silent = await past.row(createdAt=...)

    found = await past.seen()

    assert dict.fromkeys((moved, old, silent), "changed") == names(found)
    assert (last.run_id, 0, 3) == (found.since, found.created, found.count)


async def test_a_new_row_is_counted_and_not_named(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """The backend writes new rows all the time; who wrote one that says it is new, nobody can tell."""
    past = Past(runs, local_keyring)
    await past.ended(HOUR)
    for age in (timedelta(0), HOUR - timedelta(minutes=1), HOUR + timedelta(minutes=5)):
        await past.row(createdAt=(past.now - age).isoformat(timespec="milliseconds"))

    found = await past.seen()

    assert (found.created, found.count, found.named) == (3, 0, [])


async def test_what_a_later_rotation_has_changed_is_explained(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """A rotation that was given up has moved rows too; but not after its own end, and not under a made up id."""
    past = Past(runs, local_keyring)
    await past.ended(3 * HOUR)
    gave_up = await past.ended(HOUR, state=State.ABORTED)
    expired = await past.ended(-HOUR, state=State.EXPIRED)
    late = await past.row(rotationId=gave_up.run_id)
    await past.row(rotationId=expired.run_id)
    unused_name = await past.row(rotationId=new_run_id(RunKind.ROTATION, past.keyring.name, past.now))

    found = await past.seen()

    assert names(found) == {late: "changed", unused_name: "changed"}


async def test_what_a_later_migration_has_rewrapped_is_explained(
    runs: RotationStore, local_keyring: LocalKeyring
) -> None:
    """A migration leaves its id in the rows that it moves; after its own end nobody may use it."""
    past = Past(runs, local_keyring)
    await past.ended(3 * HOUR)
    early = await past.migrated(RewrapDeks(new_version="f" * 32), 2 * HOUR, HOUR)
    running = await past.migrated(RewrapDeks(new_version="f" * 32), HOUR, 2 * HOUR)
    late = await past.row(rotationId=early)
    await past.row(rotationId=running)

    assert names(await past.seen()) == {late: "changed"}


@pytest.mark.parametrize(
    ("dry_run", "took", "properties", "named"),
    [
        (False, 2 * HOUR, {}, False),
        (False, HOUR / 2, {}, True),
        (True, 2 * HOUR, {}, True),
        (False, 2 * HOUR, {"keyCheck": ...}, True),
        (False, 2 * HOUR, {"previousWrap": {"mekVersion": "0" * 32}}, True),
        (False, 2 * HOUR, {"previousWrap": {"mekVersion": "0" * 32}, "fence": 2}, False),
    ],
    ids=[
        "while it ran",
        "after it",
        "while a dry run ran",
        "without a key check",
        "with a previous wrap",
        "with the wrap that it exchanged",
    ],
)
async def test_what_a_rollback_has_put_back_is_explained(
    runs: RotationStore,
    local_keyring: LocalKeyring,
    *,
    dry_run: bool,
    took: timedelta,
    properties: dict[str, Any],
    named: bool,
) -> None:
    """A rollback takes a rotation's id out of the row: what changed while it ran, and looks so, is its work."""
    past = Past(runs, local_keyring)
    last = await past.ended(3 * HOUR)
    ref = RunRef(run_id=last.run_id, keyring=last.keyring, fencing_token=last.fencing_token)
    await past.migrated(Rollback(rotation=ref, new_version="f" * 32), HOUR, took, dry_run=dry_run)
    row = await past.row(createdAt=(past.now - timedelta(days=400)).isoformat(), **properties)

    assert ({row: "changed"} if named else {}) == names(await past.seen())


async def test_what_it_finds_is_in_the_log(
    runs: RotationStore, local_keyring: LocalKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever has an alert on warnings hears of it before anything moves."""
    past = Past(runs, local_keyring)
    await past.ended(HOUR)
    await past.row(createdAt=...)

    with caplog.at_level(logging.WARNING, logger="keyturn"):
        await past.seen()

    [message] = caplog.messages
    assert message.endswith("begins with 1 rows that no run has left as they are")


async def test_a_moved_row_without_a_key_check_is_named(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """Every rewrap writes the key check, so somebody has taken it away; a row that was never moved may lack it."""
    past = Past(runs, local_keyring)
    bare = await past.row(rotationId="notes.20251124T120000Z.abcdef", keyCheck=...)
    await past.row(keyCheck=...)

    found = await past.seen()

    assert (names(found), found.count) == ({bare: "key_check_missing"}, 1)


async def test_what_was_changed_beside_the_rotation_is_named(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """Before people are asked and before the retirement: rows that were planted since the rotation began."""
    past = Past(runs, local_keyring)
    began = past.now - HOUR
    entry = HistoryEntry(at=began, source=State.PREFLIGHT, target=State.CREATING_VERSION, step=2, actor="keyturn")
    record = make_record(past.keyring.name, requested_at=began, history=[entry])
    await past.row(rotationId=record.run_id)
    await past.row(createdAt=past.now.isoformat())
    planted = await past.row(createdAt=(past.now - 24 * HOUR).isoformat())
    moved = await past.row(rotationId="notes.20251124T120000Z.abcdef")

    found = await look_again(DekStore(local_keyring.container, past.keyring), record)

    assert (found.since, found.created, names(found)) == (record.run_id, 1, {planted: "changed", moved: "changed"})


async def test_foreign_rows_are_left_out(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """Rows of another key are never touched, and never named."""
    past = Past(runs, local_keyring)
    await past.ended(HOUR)
    await past.row(mekName="another-mek", createdAt=...)

    assert ((found := await past.seen()).created, found.count) == (0, 0)


async def test_many_are_counted_and_the_first_are_named(runs: RotationStore, local_keyring: LocalKeyring) -> None:
    """The record stays small however many rows somebody has touched."""
    past = Past(runs, local_keyring)
    await past.ended(HOUR)
    await local_keyring.fill(120, createdAt=...)

    found = await past.seen()

    assert (found.count, len(found.named)) == (120, 100)

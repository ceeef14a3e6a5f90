"""How far a migration of documents is: looked at, of those that the container under way holds."""

from datetime import timedelta

from keyturn.contracts.migrations import Encrypt
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import ProgressInput
from keyturn.migrations.status import migration_status
from keyturn.rotation.status import Counts
from keyturn.runs.progress import record_progress
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore
from tests.keyturn.migrations.harness import NOW, started

WORK = Encrypt(containers=["notes", "archive"])


async def report(
    migrations: MigrationStore,
    record: MigrationRecord,
    source: str,
    wave: int,
    *,
    scanned: int,
    changed: int,
    begun: int,
) -> Counts:
    """Report a wave of the pass over the container that began so many seconds ago, 200 documents in it."""
    request = ProgressInput(
        run=record.ref,
        phase="sweep",
        source=source,
        pass_number=begun + 1,
        pass_started_at=NOW + timedelta(seconds=begun),
        wave=wave,
        scanned=scanned,
        totals=PageResult(changed=changed),
        session_tokens=[],
    )
    written = await record_progress(migrations, request, NOW, 200 if wave == 1 else None)
    return migration_status(written).counts["sweep"]


async def test_what_was_looked_at_counts(migrations: MigrationStore) -> None:
    """Documents that need nothing are progress too; each container begins anew, and what was changed adds up."""
    record = await started(migrations, WORK)

    first = await report(migrations, record, "notes", 1, scanned=50, changed=2, begun=0)
    second = await report(migrations, record, "notes", 2, scanned=150, changed=5, begun=0)
    # Documents that the pass itself has changed come once more in the change feed.
    last = await report(migrations, record, "notes", 3, scanned=206, changed=6, begun=0)
    other = await report(migrations, record, "archive", 1, scanned=20, changed=1, begun=1)

    assert [seen.percent for seen in (first, second, last, other)] == [25.0, 75.0, 100.0, 10.0]
    assert [seen.rows_total for seen in (first, second, last, other)] == [200] * 4
    assert [last.source, other.source] == ["notes", "archive"]
    assert other.changed == 7

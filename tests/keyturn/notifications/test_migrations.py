"""People are told of migrations as of rotations: once, by the same desk, and approvers with links of their own."""

from datetime import timedelta

import pytest

from keyturn.contracts.base import StepInput
from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.contracts.steps import NotifyInput
from keyturn.rotation.watchdog import tell_unreported
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import EveryRun, MigrationStore, RotationStore
from keyturn.runs.transitions import lose, record_step
from tests.keyturn.migrations.harness import NOW, started
from tests.keyturn.notifications.inbox import Inbox, no_versions, notifier_of
from tests.keyturn.runs.lifecycle import monthly


@pytest.fixture
def migrations(runs: RotationStore) -> MigrationStore:
    """The store of the migrations' records, in the container of the rotations'."""
    return MigrationStore(runs.documents)


async def waiting(migrations: MigrationStore) -> MigrationRecord:
    """Return a restore that waits for a decision on its evidence."""
    record = await started(migrations, Restore())
    await record_step(migrations, StepInput(run=record.ref, step=1, target=State.RUNNING), NOW)
    frozen = {"evidence": {}, "evidence_digest": "d" * 64, "approval_expires_at": NOW + timedelta(days=1)}
    await migrations.update(record.run_id, lambda run: run.changed(**frozen))
    return await record_step(migrations, StepInput(run=record.ref, step=2, target=State.AWAITING_APPROVAL), NOW)


async def test_a_restore_is_announced_and_its_approvers_are_asked(migrations: MigrationStore, inbox: Inbox) -> None:
    """Twice is once; an approver's link is on that approver's channel alone; the record has what became of it."""
    record = await waiting(migrations)
    notifier = notifier_of(EveryRun(migrations.documents), inbox, on_call="pager")
    question = NotifyInput(run=record.ref, key="2.1:approval_wanted", event="approval_wanted")

    for _ in range(2):
        await notifier.tell(question, NOW)

    messages = {name: inbox.read(name, record.run_id) for name in ("all", "pager", "grace", "ada")}
    [notice] = (await migrations.read(record.run_id)).notifications
    assert {name: len(found) for name, found in messages.items()} == {"all": 1, "pager": 1, "grace": 1, "ada": 0}
    assert messages["all"][0]["title"] == f"Keyturn: please decide on the restore of {record.keyring}"
    assert "token=of-grace" in messages["grace"][0]["message"]
    assert "token" not in str(messages["all"]) + str(messages["pager"])
    assert {channel.outcome for channel in notice.channels} == {"sent"}


async def test_a_migration_that_lost_its_workflow_is_announced_once(
    runs: RotationStore, migrations: MigrationStore, inbox: Inbox
) -> None:
    """Nobody runs it, so nobody but the tick can tell that it has failed."""
    record = await started(migrations)
    await lose(migrations, record.run_id, "the workflow was lost", NOW)

    for _ in range(2):
        clients, settings = monthly(record.keyring, no_versions)
        await tell_unreported(notifier_of(EveryRun(runs.documents), inbox), runs, clients, settings, NOW)

    [message] = inbox.read("all", record.run_id)
    assert message["title"] == f"Keyturn: the move of rows of {record.keyring} failed"
    assert "WorkflowLostError: the workflow was lost" in message["message"]

"""What no workflow tells: the schedule's tick does, once each."""

from datetime import timedelta

from keyturn.contracts.states import State
from keyturn.rotation.watchdog import tell_unreported
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose
from tests.keyturn.notifications.inbox import Inbox, no_versions, notifier_of
from tests.keyturn.runs.lifecycle import NOW, bring_to, monthly, start_run, step_to


async def look(runs: RotationStore, inbox: Inbox, keyring: str, days: float) -> None:
    """Look as the tick does, so many days after the rotation was requested."""
    clients, settings = monthly(keyring, no_versions)
    await tell_unreported(notifier_of(runs, inbox), runs, clients, settings, NOW + timedelta(days=days))


async def test_an_overdue_rotation_is_announced_once_a_week(runs: RotationStore, inbox: Inbox) -> None:
    """Nothing is told in time; then once, however often the tick looks, and again a week later."""
    record = await bring_to(runs, State.BLOCKED)
    counts = []

    for days in (9, 11, 12, 19):
        await look(runs, inbox, record.keyring, days)
        counts.append(len(inbox.read("all", record.run_id)))

    [first, *_] = inbox.read("all", record.run_id)
    assert counts == [0, 1, 1, 2]
    assert first["title"] == f"Keyturn: a rotation of {record.keyring} is overdue"
    assert "One was due on 1 March 2026 03:00 UTC" in first["message"]
    assert "is blocked" in first["message"]


async def test_what_is_tried_and_blocked_every_day_is_announced_once_a_week_too(
    runs: RotationStore, inbox: Inbox
) -> None:
    """The message is about the latest try; the next day's, which is blocked as well, is no reason to send it again."""
    first = await bring_to(runs, State.BLOCKED)
    await look(runs, inbox, first.keyring, 11)
    second = await start_run(runs, first.keyring, now=NOW + timedelta(days=12))
    for target in (State.PREFLIGHT, State.BLOCKED):
        second = await step_to(runs, second, target)
    await look(runs, inbox, first.keyring, 12)
    in_time = [len(inbox.read("all", record.run_id)) for record in (first, second)]

    await look(runs, inbox, first.keyring, 19)

    assert in_time == [1, 0]
    assert [len(inbox.read("all", record.run_id)) for record in (first, second)] == [1, 1]


async def test_a_rotation_that_lost_its_workflow_is_announced_once(runs: RotationStore, inbox: Inbox) -> None:
    """Nobody runs it, so nobody but the tick can tell that it has failed."""
    record = await start_run(runs)
    await lose(runs, record.run_id, "the workflow was lost", NOW)

    for _ in range(2):
        await look(runs, inbox, record.keyring, 0)

    [message] = inbox.read("all", record.run_id)
    assert message["title"] == f"Keyturn: rotation of {record.keyring} failed"
    assert "WorkflowLostError: the workflow was lost" in message["message"]


async def test_a_keyring_that_was_never_rotated_is_silent(runs: RotationStore, inbox: Inbox) -> None:
    """The first tick starts a rotation; before that there is nothing to tell."""
    await look(runs, inbox, "never", 100)

    assert await runs.newest("never") == []

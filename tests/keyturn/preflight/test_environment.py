"""Backup, migrations, the window and the people on call."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.migrations import Reencrypt
from keyturn.contracts.states import State
from keyturn.errors import UnavailableError
from keyturn.preflight.run import WAITS
from keyturn.runs.migration_leases import keep_lease, take
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore
from tests.keyturn.migrations.harness import started, step_to
from tests.keyturn.preflight.harness import NOW, PreflightHarness, check_of, failed
from tests.keyturn.runs.lifecycle import REQUESTER

TONIGHT = '[{"cron": "0 22 * * *", "duration": "PT6H", "timeZone": "Europe/Berlin"}]'
NOON = '[{"cron": "0 22 * * *", "duration": "PT6H"}, {"cron": "30 11 * * 2", "duration": "PT1H"}]'


async def test_continuous_backup_is_enough(harness: PreflightHarness) -> None:
    """The tier is said, because it tells how far back a restore reaches."""
    harness.manager.set_backup(type="Continuous", tier="Continuous7Days")

    preflight = await harness.run()

    assert check_of(preflight, "backup").detail == "the account is backed up continuously (Continuous7Days)"


async def test_periodic_backup_needs_a_snapshot(harness: PreflightHarness) -> None:
    """A snapshot that the requester names stands in for continuous backup."""
    harness.manager.set_backup(type="Periodic")

    without = await harness.run()
    named = await harness.run(harness.record(snapshotReference="backup-2026-11-24"))

    assert failed(without) == ["backup"]
    assert "snapshotReference" in check_of(without, "backup").hint
    assert failed(named) == []
    assert "backup-2026-11-24" in check_of(named, "backup").detail


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_rotation_without_a_possible_approver_is_blocked(harness: PreflightHarness, *, dry_run: bool) -> None:
    """Before a version is made; a dry run tells as well. Whoever answers for it may waive it."""
    harness.variables = {"KEYTURN_APPROVERS": f'["{REQUESTER}"]'}
    waiver = {"check": "somebody_can_decide", "by": REQUESTER, "why": "Grace is named tomorrow"}

    blocked = await harness.run(harness.record(dryRun=dry_run))
    waived = await harness.run(harness.record(dryRun=dry_run, waivers=[waiver]))

    assert (failed(blocked), failed(waived)) == (["somebody_can_decide"], [])
    check = check_of(blocked, "somebody_can_decide")
    assert f"KEYTURN_APPROVERS names none but the requester, {REQUESTER}" in check.detail
    assert "docs/deploy.md" in check.hint


async def test_an_approver_is_named_with_what_reaches_them(harness: PreflightHarness) -> None:
    """What passed says who can decide."""
    check = check_of(await harness.run(), "somebody_can_decide")

    assert (check.outcome, check.detail) == ("pass", "1 approver other than the requester, told over a channel")


async def test_an_unknown_backup_is_none(harness: PreflightHarness) -> None:
    """Without a resource id nobody can say that there is a backup."""
    preflight = await harness.run(backed_up=False)

    assert failed(preflight) == ["backup"]
    assert "KEYTURN_COSMOS_RESOURCE_ID" in check_of(preflight, "backup").hint


async def test_a_resource_manager_that_does_not_answer_fails_the_check(harness: PreflightHarness) -> None:
    """No answer is no backup."""
    harness.manager.fault(kind="status", status=408, count=None)

    preflight = await harness.run()

    assert failed(preflight) == ["backup"]
    assert "Azure Resource Manager did not answer (408)" in check_of(preflight, "backup").detail


async def test_a_migration_under_way_blocks(harness: PreflightHarness) -> None:
    """Its lease is named; once that has expired, it blocks no longer."""
    keyring = harness.record().keyring
    long = await take(harness.documents, keyring, "encrypt", "host-7", lasts=timedelta(minutes=5), now=NOW)
    await take(harness.documents, keyring, "decrypt", "host-8", lasts=timedelta(0), now=NOW)

    preflight = await harness.run()

    assert failed(preflight) == ["no_migration"]
    detail = check_of(preflight, "no_migration").detail
    assert f"encrypt, run by host-7, until {long.expires_at.isoformat()}" in detail
    assert "decrypt" not in detail


@pytest.mark.parametrize("state", [State.RUNNING, State.AWAITING_APPROVAL, State.NEEDS_ATTENTION])
async def test_a_migration_onto_this_keyring_is_seen_for_as_long_as_it_lives(
    harness: PreflightHarness, migrations: MigrationStore, state: State
) -> None:
    """It renews nothing while it waits, and waits for longer than its lease lasts; a retirement would take its key."""
    keyring = harness.record().keyring
    migration = await started(migrations, Reencrypt(containers=["notes"], target_keyring=keyring))
    for target in dict.fromkeys([State.RUNNING, state]):
        migration = await step_to(migrations, migration, target)
    await keep_lease(migrations.documents, migration, NOW - timedelta(minutes=16))

    waiting = failed(await harness.run())
    await step_to(migrations, migration, State.ABORTED)

    assert (waiting, failed(await harness.run())) == (["no_migration"], [])


async def test_outside_every_window_a_rotation_is_blocked(harness: PreflightHarness) -> None:
    """It is noon on a Tuesday, the window is at night."""
    harness.variables = {"KEYTURN_WINDOWS": TONIGHT}

    preflight = await harness.run()

    assert failed(preflight) == ["maintenance_window"]
    assert "0 22 * * * Europe/Berlin for 6:00:00" in check_of(preflight, "maintenance_window").detail


async def test_inside_one_of_several_windows_it_is_not(harness: PreflightHarness) -> None:
    """One open window is enough."""
    harness.variables = {"KEYTURN_WINDOWS": NOON}

    assert failed(await harness.run()) == []


async def test_a_start_outside_the_window_can_be_forced_with_a_reason(harness: PreflightHarness) -> None:
    """Who forced it and why stays with the check."""
    harness.variables = {"KEYTURN_WINDOWS": TONIGHT}

    check = check_of(await harness.run(harness.record(force={"reason": "a key leaked"})), "maintenance_window")

    assert check.outcome == "waived"
    assert check.detail.endswith("waived by ada@example.com: a key leaked")


async def test_the_people_on_call_are_notified(harness: PreflightHarness) -> None:
    """The channel gets the rotation, and the check says where the message went."""
    notified: list[RotationRecord] = []

    async def on_call(record: RotationRecord) -> str:
        notified.append(record)
        return "the on-call channel"

    harness.on_call = on_call
    record = harness.record()

    check = check_of(await harness.run(record), "on_call_notified")

    assert [record] == notified
    assert (check.outcome, check.detail) == ("pass", "sent to the on-call channel")


async def test_a_dry_run_notifies_no_one(harness: PreflightHarness) -> None:
    """Nothing is sent for a rotation that will not be."""

    async def on_call(record: RotationRecord) -> str:
        raise AssertionError(f"{record.run_id} disturbed somebody")

    harness.on_call = on_call

    assert failed(await harness.run(harness.record(dryRun=True))) == []


async def test_a_channel_that_does_not_take_the_message_fails_the_check(harness: PreflightHarness) -> None:
    """It is tried again, then named."""

    async def on_call(_record: RotationRecord) -> str:
        raise UnavailableError("the on-call channel did not answer", resource="on-call")

    harness.on_call = on_call

    preflight = await harness.run()

    assert failed(preflight) == ["on_call_notified"]
    assert "the on-call channel did not answer" in check_of(preflight, "on_call_notified").detail
    assert harness.clock.slept == [*WAITS]


@pytest.mark.parametrize(("required", "expected"), [("false", []), ("true", ["on_call_notified"])])
async def test_without_a_channel_it_depends_on_the_setting(
    harness: PreflightHarness, required: str, expected: Any
) -> None:
    """Where nobody configured a channel, the check says so, and fails only if one is required."""
    harness.variables = {"KEYTURN_ON_CALL_REQUIRED": required}

    preflight = await harness.run()

    assert failed(preflight) == expected
    assert "no notification channel is configured" in check_of(preflight, "on_call_notified").detail

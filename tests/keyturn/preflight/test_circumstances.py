"""Backup, migrations, the window and the people on call."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.errors import UnavailableError
from keyturn.preflight.run import WAITS
from keyturn.runs.migration_leases import take
from keyturn.runs.records import RotationRecord
from tests.keyturn.preflight.scene import NOW, Scene, check_of, failed

TONIGHT = '[{"cron": "0 22 * * *", "duration": "PT6H", "timeZone": "Europe/Berlin"}]'
NOON = '[{"cron": "0 22 * * *", "duration": "PT6H"}, {"cron": "30 11 * * 2", "duration": "PT1H"}]'


async def test_continuous_backup_is_enough(scene: Scene) -> None:
    """The tier is said, because it tells how far back a restore reaches."""
    scene.manager.set_backup(type="Continuous", tier="Continuous7Days")

    preflight = await scene.run()

    assert "the account is backed up continuously (Continuous7Days)" == check_of(preflight, "backup").detail


async def test_periodic_backup_needs_a_snapshot(scene: Scene) -> None:
    """A snapshot that the requester names stands in for continuous backup."""
    scene.manager.set_backup(type="Periodic")

    without = await scene.run()
    named = await scene.run(scene.record(snapshotReference="backup-2026-11-24"))

    assert ["backup"] == failed(without)
    assert "snapshotReference" in check_of(without, "backup").hint
    assert [] == failed(named)
    assert "backup-2026-11-24" in check_of(named, "backup").detail


async def test_an_unknown_backup_is_none(scene: Scene) -> None:
    """Without a resource id nobody can say that there is a backup."""
    preflight = await scene.run(backed_up=False)

    assert ["backup"] == failed(preflight)
    assert "KEYTURN_COSMOS_RESOURCE_ID" in check_of(preflight, "backup").hint


async def test_a_resource_manager_that_does_not_answer_fails_the_check(scene: Scene) -> None:
    """No answer is no backup."""
    scene.manager.fault(kind="status", status=408, count=None)

    preflight = await scene.run()

    assert ["backup"] == failed(preflight)
    assert "Azure Resource Manager did not answer (408)" in check_of(preflight, "backup").detail


async def test_a_migration_under_way_blocks(scene: Scene) -> None:
    """Its lease is named; once that has expired, it blocks no longer."""
    keyring = scene.record().keyring
    long = await take(scene.documents, keyring, "encrypt", "host-7", lasts=timedelta(minutes=5), now=NOW)
    await take(scene.documents, keyring, "decrypt", "host-8", lasts=timedelta(0), now=NOW)

    preflight = await scene.run()

    assert ["no_migration"] == failed(preflight)
    detail = check_of(preflight, "no_migration").detail
    assert f"encrypt, run by host-7, until {long.expires_at.isoformat()}" in detail
    assert "decrypt" not in detail


async def test_outside_every_window_a_rotation_is_blocked(scene: Scene) -> None:
    """It is noon on a Tuesday, the window is at night."""
    scene.variables = {"KEYTURN_WINDOWS": TONIGHT}

    preflight = await scene.run()

    assert ["maintenance_window"] == failed(preflight)
    assert "0 22 * * * Europe/Berlin for 6:00:00" in check_of(preflight, "maintenance_window").detail


async def test_inside_one_of_several_windows_it_is_not(scene: Scene) -> None:
    """One open window is enough."""
    scene.variables = {"KEYTURN_WINDOWS": NOON}

    assert [] == failed(await scene.run())


async def test_a_start_outside_the_window_can_be_forced_with_a_reason(scene: Scene) -> None:
    """Who forced it and why stays with the check."""
    scene.variables = {"KEYTURN_WINDOWS": TONIGHT}

    check = check_of(await scene.run(scene.record(force={"reason": "a key leaked"})), "maintenance_window")

    assert "waived" == check.outcome
    assert check.detail.endswith("waived by ada@example.com: a key leaked")


async def test_the_people_on_call_are_told(scene: Scene) -> None:
    """The channel gets the rotation, and the check says where the message went."""
    told: list[RotationRecord] = []

    async def on_call(record: RotationRecord) -> str:
        told.append(record)
        return "the on-call channel"

    scene.on_call = on_call
    record = scene.record()

    check = check_of(await scene.run(record), "on_call_notified")

    assert [record] == told
    assert ("pass", "sent to the on-call channel") == (check.outcome, check.detail)


async def test_a_dry_run_disturbs_nobody(scene: Scene) -> None:
    """Nothing is sent for a rotation that will not be."""

    async def on_call(record: RotationRecord) -> str:
        raise AssertionError(f"{record.run_id} disturbed somebody")

    scene.on_call = on_call

    assert [] == failed(await scene.run(scene.record(dryRun=True)))


async def test_a_channel_that_does_not_take_the_message_fails_the_check(scene: Scene) -> None:
    """It is tried again, then named."""

    async def on_call(_record: RotationRecord) -> str:
        raise UnavailableError("the on-call channel did not answer", resource="on-call")

    scene.on_call = on_call

    preflight = await scene.run()

    assert ["on_call_notified"] == failed(preflight)
    assert "the on-call channel did not answer" in check_of(preflight, "on_call_notified").detail
    assert [*WAITS] == scene.clock.slept


@pytest.mark.parametrize(("required", "expected"), [("false", []), ("true", ["on_call_notified"])])
async def test_without_a_channel_it_depends_on_the_setting(scene: Scene, required: str, expected: Any) -> None:
    """Where nobody configured a channel, the check says so, and fails only if one is required."""
    scene.variables = {"KEYTURN_ON_CALL_REQUIRED": required}

    preflight = await scene.run()

    assert expected == failed(preflight)
    assert "no notification channel is configured" in check_of(preflight, "on_call_notified").detail

"""Pre-flight: what keeps a rotation from beginning, and who may answer for what."""

from datetime import UTC, datetime, timedelta

from keyturn.cosmos.state_container import Documents
from keyturn.runs import migration_leases as leases
from tests.end_to_end.play import Act, Play, Scenario, nothing, reject

BLOCKED = "requested preflight blocked"
DRY = "requested preflight completed"
REJECTED = "requested preflight creating_version sweeping soaking awaiting_approval rejected"


async def _version_disabled(play: Play) -> None:
    """Rows are left on a version, and somebody disables it."""
    version = await play.stage.newest_version()
    play.kept["row"] = await play.stage.add_row(version)
    await play.stage.keys.create_rsa_key(play.stage.mek_name, size=2048)
    play.kept["version"] = version
    play.enabled_before = {name for name, enabled in (await play.stage.versions()).items() if enabled} - {version}
    await play.stage.keys.update_key_properties(play.stage.mek_name, version, enabled=False)


async def _version_enabled(play: Play) -> None:
    await play.stage.keys.update_key_properties(play.stage.mek_name, play.kept["version"], enabled=True)


async def _disabled_version_is_named(play: Play) -> None:
    await _version_enabled(play)
    check = await play.check("row_versions")

    assert f"{play.kept['version']} (" in check["detail"]
    assert "is disabled" in check["detail"]
    assert "enable the version" in check["hint"]


async def _no_backup(play: Play) -> None:
    play.stage.control("resource_manager", "POST", "backup", json={"type": "Periodic"})


async def _backup_again(play: Play) -> None:
    play.stage.control("resource_manager", "POST", "backup", json={"type": "Continuous", "tier": "Continuous30Days"})


async def _migration_at_work(play: Play) -> None:
    documents, now = Documents(play.stage.runs), datetime.now(UTC)
    keyring = play.stage.keyring
    lease = await leases.take(documents, keyring, "re-encrypt", "a migration", lasts=timedelta(minutes=5), now=now)
    play.kept["lease"] = lease.id


async def _migration_over(play: Play) -> None:
    await play.stage.runs.delete_item(play.kept["lease"], partition_key=play.stage.keyring)


def _failed(*checks: str) -> Act:
    async def only_these(play: Play) -> None:
        status = await play.status()

        assert status["failedChecks"] == list(checks)
        await play.hears("blocked")
        assert all([(await play.check(check))["hint"] for check in checks])

    return only_these


def _waived(check: str, by: str, why: str) -> Act:
    async def evidence_says_so(play: Play) -> None:
        waived = (await play.evidence())["waivedChecks"]

        assert [(found["check"], found["by"], found["why"]) for found in waived] == [(check, by, why)]

    return evidence_says_so


async def _rows_of_every_kind(play: Play) -> None:
    version = await play.stage.newest_version()
    play.kept["rows"] = [
        await play.stage.add_row(version, mekVersion=...),
        await play.stage.add_row(version, mekName="another-mek"),
        await play.stage.add_row(version, mekVersion="no version!"),
    ]
    play.kept["census"] = await play.stage.census()


async def _rows_gone(play: Play) -> None:
    for row in play.kept["rows"]:
        await play.stage.delete_row(row)


async def _counted_by_kind(play: Play) -> None:
    detail = (await play.check("census"))["detail"]

    assert f"{play.kept['census'].total()} rows" in detail
    assert "unlabelled: 1" in detail
    assert "malformed label: 1" in detail
    assert "foreign: 1" in detail


async def _wrote_nothing(play: Play) -> None:
    """The rows and the vault are as they were, and the record holds the plan."""
    record = await play.record()

    assert await play.stage.census() == play.kept["census"]
    assert record["targetVersion"] is None
    assert record["preflight"]["plan"]["rows"] == play.kept["census"].total() - 1  # the foreign row is left alone
    assert record["preflight"]["plan"]["vaultOperations"] > 0


WAIVER = {"check": "backup", "why": "restored yesterday", "by": "ops@example.com"}

SCENARIOS = {
    "a version that rows name is disabled: blocked, and the check names it and what to do": Scenario(
        prepared=_version_disabled,
        people=nothing,
        path=BLOCKED,
        facts=(_failed("row_versions"), _disabled_version_is_named),
        tidied=_version_enabled,
    ),
    "the account has no continuous backup: blocked": Scenario(
        prepared=_no_backup, people=nothing, path=BLOCKED, facts=(_failed("backup"),), tidied=_backup_again
    ),
    "a snapshot is named where there is no continuous backup: the dry run passes": Scenario(
        prepared=_no_backup,
        request={"snapshotReference": "snapshots/2026-11-24", "dryRun": True},
        people=nothing,
        path=DRY,
        tidied=_backup_again,
    ),
    "somebody answers for a failed check: it is waived, and evidence says by whom and why": Scenario(
        prepared=_no_backup,
        request={"waivers": [WAIVER]},
        people=reject,
        path=REJECTED,
        facts=(_waived("backup", "ops@example.com", "restored yesterday"),),
        tidied=_backup_again,
    ),
    "a migration of the keyring is at work: blocked": Scenario(
        prepared=_migration_at_work,
        people=nothing,
        path=BLOCKED,
        facts=(_failed("no_migration"),),
        tidied=_migration_over,
    ),
    "a dry run: completed, with rows counted by kind and a plan, and nothing written but its own record": Scenario(
        prepared=_rows_of_every_kind,
        request={"dryRun": True},
        people=nothing,
        path=DRY,
        facts=(_counted_by_kind, _wrote_nothing),
        tidied=_rows_gone,
    ),
    "outside the maintenance window: blocked": Scenario(
        settings="window shut", people=nothing, path=BLOCKED, facts=(_failed("maintenance_window"),)
    ),
    "outside the maintenance window, forced: goes on, and evidence says by whom and why": Scenario(
        settings="window shut",
        request={"force": {"reason": "incident 4711"}},
        people=reject,
        path=REJECTED,
        facts=(_waived("maintenance_window", "dana@example.com", "incident 4711"),),
    ),
}

"""Pre-flight: what keeps a rotation from beginning, and who may answer for what."""

from datetime import UTC, datetime, timedelta

from keyturn.cosmos.state_container import StateContainer
from keyturn.runs import migration_leases as leases
from tests.end_to_end.scenario_run import Act, Scenario, ScenarioRun, nothing, reject

BLOCKED = "requested preflight blocked"
DRY = "requested preflight completed"
REJECTED = "requested preflight creating_version sweeping soaking awaiting_approval rejected"


async def _version_disabled(scenario_run: ScenarioRun) -> None:
    """Rows are left on a version, and somebody disables it."""
    version = await scenario_run.app.newest_version()
    scenario_run.kept["row"] = await scenario_run.app.add_row(version)
    await scenario_run.app.keys.create_rsa_key(scenario_run.app.mek_name, size=2048)
    scenario_run.kept["version"] = version
    scenario_run.enabled_before = {name for name, enabled in (await scenario_run.app.versions()).items() if enabled} - {
        version
    }
    await scenario_run.app.keys.update_key_properties(scenario_run.app.mek_name, version, enabled=False)


async def _version_enabled(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.keys.update_key_properties(
        scenario_run.app.mek_name, scenario_run.kept["version"], enabled=True
    )


async def _disabled_version_is_named(scenario_run: ScenarioRun) -> None:
    await _version_enabled(scenario_run)
    check = await scenario_run.check("row_versions")

    assert f"{scenario_run.kept['version']} (" in check["detail"]
    assert "is disabled" in check["detail"]
    assert "enable the version" in check["hint"]


async def _no_backup(scenario_run: ScenarioRun) -> None:
    scenario_run.app.control("resource_manager", "POST", "backup", json={"type": "Periodic"})


async def _backup_again(scenario_run: ScenarioRun) -> None:
    scenario_run.app.control(
        "resource_manager", "POST", "backup", json={"type": "Continuous", "tier": "Continuous30Days"}
    )


async def _migration_at_work(scenario_run: ScenarioRun) -> None:
    documents, now = StateContainer(scenario_run.app.runs), datetime.now(UTC)
    keyring = scenario_run.app.keyring
    lease = await leases.take(documents, keyring, "re-encrypt", "a migration", lasts=timedelta(minutes=5), now=now)
    scenario_run.kept["lease"] = lease.id


async def _migration_over(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.runs.delete_item(scenario_run.kept["lease"], partition_key=scenario_run.app.keyring)


def _failed(*checks: str) -> Act:
    async def only_these(scenario_run: ScenarioRun) -> None:
        status = await scenario_run.status()

        assert status["failedChecks"] == list(checks)
        await scenario_run.hears("blocked")
        assert all([(await scenario_run.check(check))["hint"] for check in checks])

    return only_these


def _waived(check: str, by: str, why: str) -> Act:
    async def evidence_says_so(scenario_run: ScenarioRun) -> None:
        waived = (await scenario_run.evidence())["waivedChecks"]

        assert [(found["check"], found["by"], found["why"]) for found in waived] == [(check, by, why)]

    return evidence_says_so


async def _rows_of_every_kind(scenario_run: ScenarioRun) -> None:
    version = await scenario_run.app.newest_version()
    scenario_run.kept["rows"] = [
        await scenario_run.app.add_row(version, mekVersion=...),
        await scenario_run.app.add_row(version, mekName="another-mek"),
        await scenario_run.app.add_row(version, mekVersion="no version!"),
    ]
    scenario_run.kept["census"] = await scenario_run.app.census()


async def _rows_gone(scenario_run: ScenarioRun) -> None:
    for row in scenario_run.kept["rows"]:
        await scenario_run.app.delete_row(row)


async def _counted_by_kind(scenario_run: ScenarioRun) -> None:
    detail = (await scenario_run.check("census"))["detail"]

    assert f"{scenario_run.kept['census'].total()} rows" in detail
    assert "unlabelled: 1" in detail
    assert "malformed label: 1" in detail
    assert "foreign: 1" in detail


async def _wrote_nothing(scenario_run: ScenarioRun) -> None:
    """The rows and the vault are as they were, and the record holds the plan."""
    record = await scenario_run.record()

    assert await scenario_run.app.census() == scenario_run.kept["census"]
    assert record["targetVersion"] is None
    assert (
        record["preflight"]["plan"]["rows"] == scenario_run.kept["census"].total() - 1
    )  # the foreign row is left alone
    assert record["preflight"]["plan"]["vaultOperations"] > 0


WAIVER = {"check": "backup", "why": "restored yesterday", "by": "ops@example.com"}

SCENARIOS = {
    "a version that rows name is disabled: blocked, and the check names it and what to do": Scenario(
        prepared=_version_disabled,
        callers=nothing,
        path=BLOCKED,
        facts=(_failed("row_versions"), _disabled_version_is_named),
        tidied=_version_enabled,
    ),
    "the account has no continuous backup: blocked": Scenario(
        prepared=_no_backup, callers=nothing, path=BLOCKED, facts=(_failed("backup"),), tidied=_backup_again
    ),
    "a snapshot is named where there is no continuous backup: the dry run passes": Scenario(
        prepared=_no_backup,
        request={"snapshotReference": "snapshots/2026-11-24", "dryRun": True},
        callers=nothing,
        path=DRY,
        tidied=_backup_again,
    ),
    "somebody answers for a failed check: it is waived, and evidence says by whom and why": Scenario(
        prepared=_no_backup,
        request={"waivers": [WAIVER]},
        callers=reject,
        path=REJECTED,
        facts=(_waived("backup", "ops@example.com", "restored yesterday"),),
        tidied=_backup_again,
    ),
    "a migration of the keyring is at work: blocked": Scenario(
        prepared=_migration_at_work,
        callers=nothing,
        path=BLOCKED,
        facts=(_failed("no_migration"),),
        tidied=_migration_over,
    ),
    "a dry run: completed, with rows counted by kind and a plan, and nothing written but its own record": Scenario(
        prepared=_rows_of_every_kind,
        request={"dryRun": True},
        callers=nothing,
        path=DRY,
        facts=(_counted_by_kind, _wrote_nothing),
        tidied=_rows_gone,
    ),
    "outside the maintenance window: blocked": Scenario(
        settings="window shut", callers=nothing, path=BLOCKED, facts=(_failed("maintenance_window"),)
    ),
    "outside the maintenance window, forced: goes on, and evidence says by whom and why": Scenario(
        settings="window shut",
        request={"force": {"reason": "incident 4711"}},
        callers=reject,
        path=REJECTED,
        facts=(_waived("maintenance_window", "dana@example.com", "incident 4711"),),
    ),
}

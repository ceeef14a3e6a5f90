"""Processes that die in the middle: nothing is lost, nothing is done twice."""

from pathlib import Path

import pytest

from local.supervisor import LocalAzure, Options
from tests.azure_option import as_asked
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.waits import until_rows_moved

pytestmark = pytest.mark.end_to_end


async def test_the_host_dies_in_the_middle_of_a_sweep(azure: LocalAzure, app: AppHarness) -> None:
    """A rotation goes on when the host comes back: it completes, with one new version and every note readable."""
    app.arm("key_vault", operation="unwrap", kind="hold", skip=40, count=None)
    run_id = await app.start()
    await until_rows_moved(app, run_id)

    azure.processes["functions_host"].kill()
    app.control("key_vault", "DELETE", "faults")
    azure.start("functions_host")
    status = await app.approve(run_id)

    assert await app.made_by(run_id) == [status["targetVersion"]]
    assert set(await app.census()) == {status["targetVersion"]}
    assert await app.unreadable_notes() == []


@pytest.mark.parametrize(
    "activity", ["create_version", "rewrap_page", "advance", "freeze_evidence", "retire_versions", "record_progress"]
)
async def test_the_host_dies_between_an_effect_and_its_report(
    azure: LocalAzure, app: AppHarness, activity: str
) -> None:
    """An activity that had its effect, and died before anybody heard of it, is run again to the same outcome."""
    app.arm("functions_host", operation=activity, kind="kill_after")

    async with app.keep_alive(azure, "functions_host") as restarts:
        run_id = await app.start()
        status = await app.approve(run_id)

    assert restarts.count == 1
    assert await app.made_by(run_id) == [status["targetVersion"]]
    assert set(await app.census()) == {status["targetVersion"]}
    assert len([version for version, enabled in (await app.versions()).items() if enabled]) == 1


async def test_everything_dies_and_comes_back_on_the_same_folder(tmp_path: Path) -> None:
    """After SIGKILL of every service, a second start on the folder finds the rows and the keys."""
    options = as_asked(Options(state=tmp_path, deks=20, bits=2048, vault_limits="off", partitions=2))
    first = LocalAzure(options)
    with first.running():
        async with AppHarness(first) as app:
            rows, versions = await app.census(), await app.versions()
        for process in first.processes.values():
            process.kill()

    with LocalAzure(options).running() as second:
        async with AppHarness(second) as app:
            assert await app.census() == rows
            assert await app.versions() == versions
            assert await app.unreadable_notes() == []

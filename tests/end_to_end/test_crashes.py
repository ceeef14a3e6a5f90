"""Processes that die in the middle: nothing is lost, nothing is done twice."""

import time
from pathlib import Path

import pytest

from local.supervisor import LocalAzure, Options
from tests.end_to_end.stage import Stage

pytestmark = pytest.mark.end_to_end

SECONDS = 60


async def until_rows_moved(stage: Stage, run_id: str) -> None:
    """Wait until the sweep has rewrapped some rows, and not all."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        census = await stage.census()
        target = (await stage.people.status(run_id))["targetVersion"]
        if 0 < census.get(str(target), 0) < census.total():
            return
    raise AssertionError("the sweep did not get to its middle")


async def test_the_host_dies_in_the_middle_of_a_sweep(azure: LocalAzure, stage: Stage) -> None:
    """A rotation goes on when the host comes back: it completes, with one new version and every note readable."""
    stage.arm("key_vault", operation="unwrap", kind="hold", skip=40, count=None)
    run_id = await stage.start()
    await until_rows_moved(stage, run_id)

    azure.processes["functions_host"].kill()
    stage.control("key_vault", "DELETE", "faults")
    azure.start("functions_host")
    status = await stage.approve(run_id)

    assert await stage.made_by(run_id) == [status["targetVersion"]]
    assert set(await stage.census()) == {status["targetVersion"]}
    assert await stage.unreadable_notes() == []


@pytest.mark.parametrize(
    "activity", ["create_version", "rewrap_page", "advance", "freeze_evidence", "retire_versions", "record_progress"]
)
async def test_the_host_dies_between_an_effect_and_its_report(azure: LocalAzure, stage: Stage, activity: str) -> None:
    """An activity that had its effect, and died before anybody heard of it, is run again to the same outcome."""
    stage.arm("functions_host", operation=activity, kind="kill_after")

    async with stage.keep_alive(azure, "functions_host") as restarts:
        run_id = await stage.start()
        status = await stage.approve(run_id)

    assert restarts.count == 1
    assert await stage.made_by(run_id) == [status["targetVersion"]]
    assert set(await stage.census()) == {status["targetVersion"]}
    assert len([version for version, enabled in (await stage.versions()).items() if enabled]) == 1


async def test_everything_dies_and_comes_back_on_the_same_folder(tmp_path: Path) -> None:
    """After SIGKILL of every service, a second start on the folder finds the rows and the keys."""
    options = Options(state=tmp_path, deks=20, bits=2048, vault_limits="off", partitions=2)
    first = LocalAzure(options)
    with first.running():
        async with Stage(first) as stage:
            rows, versions = await stage.census(), await stage.versions()
        for process in first.processes.values():
            process.kill()

    with LocalAzure(options).running() as second:
        async with Stage(second) as stage:
            assert await stage.census() == rows
            assert await stage.versions() == versions
            assert await stage.unreadable_notes() == []

"""Rows that were lost or damaged come back, by the command line, from a second account that holds a backup of them."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.audit.verify import verify_chain
from local.callers import POLL_SECONDS
from local.supervisor import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER
from tests.end_to_end.app_harness import SECONDS, AppHarness
from tests.end_to_end.command_line import REPOSITORY, Ended, keyturn, operator_environment
from tests.end_to_end.migrating import all_rows, begin, reach
from tests.local.services import ServiceProcess, start_service

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]

GARBAGE = "eHh4" * 85 + "eA=="  # 256 bytes, which no version unwraps
DAMAGES: tuple[dict[str, Any], ...] = (
    *({"wrappedDek": GARBAGE}, {"wrappedDek": ""}, {"wrappedDek": None}, {"mekVersion": "0" * 32}, {"mekVersion": 7}),
    *({"algorithm": "RSA1_5"}, {"algorithm": "RSA-OAEP"}, {"keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="}, {"keyCheck": "x"}),
    {"wrappedDek": GARBAGE, "mekVersion": None},
)
KILLS = 8


@pytest.fixture(scope="module")
def restored(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The account into which a backup is restored: empty at first."""
    state = tmp_path_factory.mktemp("restored") / "cosmos"
    keys = ("--tls", azure.server_pem, "--identity-key", azure.identity_key)
    service = start_service("local.cosmos", "--state", state, *keys, "--partitions", 2)
    yield service
    service.stop()


@pytest.fixture
async def backup(restored: ServiceProcess, app: AppHarness) -> AsyncIterator[ContainerProxy]:
    """The dek store in the other account, with every row as it is now."""
    key = (Path(restored._arguments[1]) / "master_key").read_text().strip()
    async with CosmosClient(restored.url, key) as client:
        database = await client.create_database_if_not_exists(COSMOS_DATABASE)
        container = await database.create_container(DEK_CONTAINER, PartitionKey("/id"))
        for row in (await all_rows(app)).values():
            await container.create_item(own(row))
        yield container
        await database.delete_container(DEK_CONTAINER)


def own(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the row holds itself."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def unchanged(rows: dict[str, dict[str, Any]], but: Collection[str]) -> dict[str, str]:
    """Return the other rows to the last byte, ETags included."""
    return {name: json.dumps(row) for name, row in rows.items() if name not in but}


async def restore_rows(app: AppHarness, restored: ServiceProcess, *options: str) -> Ended:
    """Run the command as an operator."""
    return await keyturn(app.azure, "restore-rows", "--from", restored.url, "--container", DEK_CONTAINER, *options)


async def test_one_missing_and_ten_damaged_rows(
    app: AppHarness, restored: ServiceProcess, backup: ContainerProxy
) -> None:
    """They come back and open; no other row has changed by a byte, and the app knows who did it."""
    first, *damaged = sorted(await all_rows(app))[: 1 + len(DAMAGES)]
    whole = {name: await app.row(name) for name in (first, *damaged)}
    await app.delete_row(first)
    for name, damage in zip(damaged, DAMAGES, strict=True):
        await app.rows.replace_item(name, {**whole[name], **damage})
    before = await all_rows(app)

    shown = await restore_rows(app, restored, "--dry-run")
    kept = await all_rows(app)
    done = await restore_rows(app, restored, "--json", "--reason", "a bad script")

    after = await all_rows(app)
    assert (shown.code, kept) == (0, before), shown
    assert "1 would be created" in shown.out
    assert "10 would be overwritten" in shown.out
    assert done.code == 0, done
    assert done.json["copied"] == {"missing": 1, "damaged": 10}
    assert unchanged(after, whole) == unchanged(before, whole)
    assert {name: {**own(after[name]), "fence": 0} for name in whole} == {
        name: {**own(row), "fence": 0} for name, row in whole.items()
    }
    assert await app.unreadable_notes() == []
    status = await app.callers.status(done.json["migrationId"])
    assert (status["state"], status["kind"], status["reason"]) == ("completed", "restore-rows", "a bad script")
    assert status["detail"] == "rows copied: 10 damaged, 1 missing; left: 0"


async def test_without_a_sign_in_nothing_is_asked(app: AppHarness, restored: ServiceProcess) -> None:
    """The error says what to do."""
    ended = await keyturn(app.azure, "restore-rows", "--from", restored.url, IDENTITY_HEADER="of nobody")

    assert ended.code == 77, ended
    assert "hint: az login" in ended.err


async def test_a_truncated_container_under_live_writes(
    azure: LocalAzure, app: AppHarness, restored: ServiceProcess, backup: ContainerProxy
) -> None:
    """All rows are gone while the backend goes on writing: all come back, and what it writes stays as it is."""
    lost = await all_rows(app)
    for name in lost:
        await app.delete_row(name)
    load = f"{azure.layout.url('backend')}/_control/load"
    await asyncio.to_thread(requests.put, load, json={"writesPerSecond": 20}, timeout=SECONDS)
    try:
        done = await restore_rows(app, restored)
    finally:
        await asyncio.to_thread(requests.put, load, json={"writesPerSecond": 0}, timeout=SECONDS)

    after = await all_rows(app)
    assert done.code == 0, done
    assert {name: {**own(after[name]), "fence": 0} for name in lost} == {
        name: {**own(row), "fence": 0} for name, row in lost.items()
    }
    written = [row for name, row in after.items() if name not in lost]
    assert written
    assert [row for row in written if "fence" in row] == []
    assert await app.unreadable_notes() == []


async def test_rows_of_a_retired_version(app: AppHarness, restored: ServiceProcess, backup: ContainerProxy) -> None:
    """They are copied, the command says that a restore comes next, and after it they open on the current version."""
    rotation = await app.rotate()
    lost = sorted(await all_rows(app))[:5]
    for name in lost[:4]:
        await app.delete_row(name)
    await app.rows.replace_item(lost[4], {**await app.row(lost[4]), "wrappedDek": GARBAGE})
    before = await all_rows(app)

    done = await restore_rows(app, restored)
    moving = await begin(app, "/api/restores")
    waiting = await reach(app, moving, "awaiting_approval")
    await app.callers.decide(moving, waiting["evidenceDigest"], approver="sam@example.com")
    await reach(app, moving, "completed")

    assert done.code == 73, done
    assert f"retired versions: {rotation['retired'][0]}; next: keyturn restore" in done.err
    assert unchanged(await all_rows(app), lost) == unchanged(before, lost)
    assert set(await app.census()) == {rotation["targetVersion"]}
    assert await app.unreadable_notes() == []


async def records(app: AppHarness) -> list[dict[str, Any]]:
    """Return the records of every call that was no dry run, in their order."""
    found = app.runs.query_items("SELECT * FROM c WHERE c.work.kind = 'restore-rows'")
    return sorted([dict(record) async for record in found], key=lambda record: record["fencingToken"])


async def ended_or(process: asyncio.subprocess.Process, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds, or the process has ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            if process.returncode is not None or await condition():
                return
            await asyncio.sleep(POLL_SECONDS / 10)


async def test_it_is_killed_and_run_again(
    azure: LocalAzure, app: AppHarness, restored: ServiceProcess, backup: ContainerProxy, tmp_path: Path
) -> None:
    """Wherever it is killed, what was copied is whole, and the last call does the rest; each call has its record."""
    lost, earlier = await all_rows(app), len(await records(app))
    for name in lost:
        await app.delete_row(name)
    app.arm("cosmos", operation="create", kind="delay", delayMs=500, match=f"/{DEK_CONTAINER}/", count=None)
    command = (sys.executable, "-m", "keyturn.cli", "restore-rows", "--from", restored.url)
    killed = 0
    for number in range(KILLS):
        rows, known = len(await all_rows(app)), len(await records(app))

        async def begun(known: int = known) -> bool:
            return len(await records(app)) > known

        async def copied(rows: int = rows) -> bool:
            return len(await all_rows(app)) > rows

        with (tmp_path / f"{number}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=REPOSITORY, env=operator_environment(azure), stdout=log, stderr=log
            )
        await ended_or(process, copied if number % 2 else begun)
        if process.returncode is None:
            process.kill()
        killed += await process.wait() == -signal.SIGKILL
    app.clear_faults()
    done = await restore_rows(app, restored, "--json")

    after, calls = await all_rows(app), (await records(app))[earlier:]
    assert killed > KILLS / 2
    assert done.code == 0, done
    assert {name: {**own(row), "fence": 0} for name, row in after.items()} == {
        name: {**own(row), "fence": 0} for name, row in lost.items()
    }
    assert await app.unreadable_notes() == []
    assert {record["state"] for record in calls} == {"failed", "completed"}  # one may have been killed at its end
    assert len(calls) == KILLS + 1
    assert (calls[-1]["state"], calls[-1]["id"]) == ("completed", done.json["migrationId"])
    for record in calls:
        chain = await app.callers.call("GET", f"/api/migrations/{record['id']}/audit")
        assert verify_chain(str(chain.body).encode().splitlines()).broken is None
    rotation = await app.rotate()  # the keyring is free, and no row is in a rotation's way
    assert set(await app.census()) == {rotation["targetVersion"]}

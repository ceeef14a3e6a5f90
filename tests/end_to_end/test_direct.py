"""Break-glass: the app is killed in mid-sweep, `keyturn direct` finishes its rows, and the app goes on from there."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from keyturn.audit.events import TYPES, StateChanged
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.cosmos.state_container import StateContainer
from keyturn.runs import budget
from local.cosmos.store import writes_of
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.bulk import fill
from tests.end_to_end.command_line import REPOSITORY, execute, keyturn, operator_environment
from tests.end_to_end.migrating import all_rows
from tests.end_to_end.waits import until_rows_moved

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]

KILLS = 30
IN_FLIGHT = 40  # rows: four pages of ten
SECONDS = 120


@pytest.fixture
async def down(azure: LocalAzure, app: AppHarness) -> AsyncIterator[AppHarness]:
    """The app's surroundings without the app, which is back in the end."""
    azure.processes["functions_host"].kill()
    yield app
    azure.start("functions_host")
    app.clear_faults()


async def runs_of(app: AppHarness) -> list[str]:
    """Return the ids of every run of the keyring."""
    query = "SELECT VALUE c.id FROM c WHERE c.kind IN ('rotation', 'migration')"
    return [str(run_id) async for run_id in app.runs.query_items(query)]


def unwraps(app: AppHarness) -> int:
    """Return how many DEKs the vault has unwrapped for the operator."""
    return int(app.control("key_vault", "GET", "operations/counts?who=operator")["unwrap"])


async def check_moved_once(app: AppHarness, run_id: str, target: str, before: dict[str, Any]) -> None:
    """Every row is on the target, put there by this run in one write, from the very wrap that it had before."""
    rows = await all_rows(app)
    assert rows.keys() >= before.keys()
    for row_id, old in before.items():
        row = rows[row_id]
        assert (row["mekVersion"], row["rotationId"]) == (target, run_id)
        assert row["previousWrap"]["mekVersion"] == old["mekVersion"]
        assert row["previousWrap"]["wrappedDek"] == old["wrappedDek"]
        assert writes_of(row["_etag"]) - writes_of(old["_etag"]) == 1
    assert await app.unreadable_notes() == []


async def check_chain(app: AppHarness, run_id: str) -> None:
    """The run's audit chain holds, and tells every state change of its record, which have no gap."""
    record = await app.runs.read_item(run_id, partition_key=app.keyring)
    chain = await AuditLog(StateContainer(app.runs)).export(run_id)
    verified = verify_chain(chain.splitlines())
    assert (verified.broken, verified.run_id) == (None, run_id)
    assert [entry["step"] for entry in record["history"]] == list(range(record["step"] + 1))
    assert chain.count(TYPES[StateChanged].encode()) == len(record["history"])


async def test_the_app_dies_in_mid_sweep_and_direct_finishes(azure: LocalAzure, app: AppHarness) -> None:
    """One run's record, one chain, one version, every row on it, nothing moved twice; the app goes on to the end."""
    before = await all_rows(app)
    known = await runs_of(app)
    app.arm("key_vault", operation="unwrap", kind="hold", skip=25, count=None)
    run_id = await app.start()
    await until_rows_moved(app, run_id)
    azure.processes["functions_host"].kill()
    app.control("key_vault", "DELETE", "faults")
    left = len(before) - (await app.census())[str((await app.runs.read_item(run_id, app.keyring))["targetVersion"])]

    opened = unwraps(app)
    moved = await keyturn(azure, "direct", "rewrap")

    assert moved.code == 0, moved.err
    assert moved.out.split() == [run_id]
    assert "rows moved" in moved.err
    assert len(set(await app.census())) == 1
    assert unwraps(app) - opened == left  # what the app had moved is not even opened again
    again = await keyturn(azure, "direct", "rewrap", "--json")
    assert again.code == 0, again.err
    assert again.json["state"] == "needs_attention"
    assert ": moved 0 rows" in again.json["detail"]
    assert unwraps(app) - opened == left

    azure.start("functions_host")
    await until_retried(azure, app, run_id)
    status = await app.approve(run_id)

    assert set(await runs_of(app)) - set(known) == {run_id}
    assert await app.made_by(run_id) == [status["targetVersion"]]
    await check_moved_once(app, run_id, status["targetVersion"], before)
    await check_chain(app, run_id)


async def test_the_app_and_direct_at_once(azure: LocalAzure, app: AppHarness) -> None:
    """Taken over from an app that lives: its pages end at the fence, no row is written twice, and it goes on later."""
    before = await all_rows(app)
    app.arm("key_vault", operation="unwrap", kind="delay", delayMs=300, count=None)
    run_id = await app.start()
    await until_rows_moved(app, run_id)

    refused = await keyturn(azure, "direct", "rewrap")
    both = await asyncio.gather(*(keyturn(azure, "direct", "rewrap", "--take-over") for _ in "ab"))
    app.control("key_vault", "DELETE", "faults")
    last = await keyturn(azure, "direct", "rewrap", "--take-over")
    await until_retried(azure, app, run_id)
    status = await app.approve(run_id)

    assert (refused.code, "the app answers" in refused.err) == (73, True)
    assert {ended.code for ended in both} <= {0, 73}, both  # 73: the other one went on
    assert last.code == 0, last.err
    assert await app.made_by(run_id) == [status["targetVersion"]]
    await check_moved_once(app, run_id, status["targetVersion"], before)
    await check_chain(app, run_id)


async def until_retried(azure: LocalAzure, app: AppHarness, run_id: str) -> None:
    """Give the command that goes on until the app has taken it up: its old workflow has to end first."""
    deadline = time.monotonic() + SECONDS
    while (await app.callers.status(run_id))["state"] == "needs_attention":
        assert time.monotonic() < deadline, "the app did not go on"
        await keyturn(azure, "retry", run_id)


@pytest.mark.timeout(900)
async def test_thirty_kills(azure: LocalAzure, down: AppHarness) -> None:
    """`keyturn direct rewrap`, killed thirty times anywhere, is one run that moves every row once."""
    app, drawn = down, random.Random(20261126)  # noqa: S311 - repeatable on purpose
    old = await app.newest_version()
    fill(azure, app.mek, await app.mek.get_version(old), 240)
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    new = await app.newest_version()
    before = await all_rows(app)
    known, opened = await runs_of(app), unwraps(app)
    app.arm("key_vault", operation="unwrap", kind="delay", delayMs=100, count=None)
    killed = 0
    for _ in range(KILLS):
        killed += await killed_while_it_runs(azure, drawn)
    app.control("key_vault", "DELETE", "faults")

    finished = await keyturn(azure, "direct", "rewrap", "--json")

    assert killed == KILLS
    assert finished.code == 0, finished.err
    run_id = finished.json["run"]
    assert finished.json["state"] == "completed"
    assert set(await runs_of(app)) - set(known) == {run_id}
    assert len(before) <= unwraps(app) - opened <= len(before) + KILLS * IN_FLIGHT
    await check_moved_once(app, run_id, new, before)
    await check_chain(app, run_id)


async def test_the_old_name_and_a_ctrl_c(azure: LocalAzure, down: AppHarness) -> None:
    """`encrypt-migrate` with the flags of old moves rows; Ctrl-C stops it, and the same command goes on."""
    app, rows = down, await all_rows(down)
    ((old, _),) = (await app.census()).most_common(1)
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    new = await app.newest_version()
    program = "from keyturn.cli.direct import encrypt_migrate; encrypt_migrate()"
    flags = ("--product", app.keyring, "--mode", "rewrap-deks", "--old-mek-version", old, "--new-mek-version", new)
    command = (sys.executable, "-c", program, *flags)
    environment = operator_environment(azure)
    app.arm("key_vault", operation="unwrap", kind="hold", skip=10, count=None)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    run_id = (await asyncio.wait_for(process.stderr.readline(), SECONDS)).decode().partition(":")[0]
    await until_some_moved(app, new)

    process.send_signal(signal.SIGINT)
    said = (await asyncio.wait_for(process.stderr.read(), SECONDS)).decode()
    code = await process.wait()
    claims = [found async for found in app.runs.query_items("SELECT * FROM c", partition_key=budget.PARTITION)]
    app.control("key_vault", "DELETE", "faults")
    finished = await execute(*command, cwd=REPOSITORY, env=environment)

    assert (code, "the same command goes on" in said) == (130, True)
    assert all(run_id not in found["claims"] for found in claims)  # others need not wait for it to expire
    assert (finished.code, finished.out.split()) == (0, [run_id]), finished.err
    await check_moved_once(app, run_id, new, rows)


async def until_some_moved(app: AppHarness, version: str) -> None:
    """Wait until rows are on the version, and not all."""
    async with asyncio.timeout(SECONDS):
        while not (await app.census())[version]:
            pass


async def killed_while_it_runs(azure: LocalAzure, drawn: random.Random) -> bool:
    """Start the command and kill it somewhere: while it starts, or so long after its first sign of work."""
    environment = {
        **operator_environment(azure),
        "KEYTURN_PAGE_ROWS": "10",
        "KEYTURN_VAULT_OPERATIONS_PER_SECOND": "12",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "keyturn.cli", "direct", "rewrap"),
        cwd=REPOSITORY,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    early, after = drawn.random() < 0.3, drawn.uniform(0, 1.2)
    if not early:
        await asyncio.wait_for(process.stderr.readline(), SECONDS)
    try:
        await asyncio.wait_for(process.wait(), after)
    except TimeoutError:
        process.kill()
    code = await process.wait()
    if code >= 0:
        raise AssertionError(f"{code}: {(await process.stderr.read()).decode()}")
    return True

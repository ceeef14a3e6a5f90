"""Rows that come back while writers, other calls and operators are at work: one run at a time, and no write lost."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.contracts.states import State
from keyturn.deks.copy import Found
from keyturn.errors import AbortRequestedError, FencedError, MigrationRunningError
from keyturn.migrations.restore_rows import Compared
from keyturn.runs.commands import record_command
from keyturn.runs.lease import read_lease
from keyturn.runs.migration_leases import LASTS
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import WORKFLOW_LOST
from tests.keyturn.migrations.harness import REWRAP, started
from tests.keyturn.migrations.two_accounts import GARBAGE, TwoAccounts
from tests.keyturn.runs.lifecycle import start_run


@pytest.mark.parametrize("operation", ["create", "replace"])
async def test_what_a_writer_makes_meanwhile_stays(accounts: TwoAccounts, operation: str) -> None:
    """The row comes, or is put right, between the look and the write: the write is refused, and the row stays."""
    [ref] = await accounts.backed_up(1)
    row = {**await accounts.local.item(ref), "by": "a live writer"}
    if operation == "create":
        await accounts.lose([ref])
    else:
        await accounts.change(ref, wrappedDek=GARBAGE)
    accounts.local.cosmos.fault(operation=operation, kind="hold", match=accounts.here.id)
    restoring = asyncio.create_task(accounts.restore())
    await asyncio.to_thread(accounts.local.cosmos.until_fired)

    await accounts.here.upsert_item({name: value for name, value in row.items() if not name.startswith("_")})
    made = await accounts.rows()
    await asyncio.to_thread(accounts.local.cosmos.clear_faults)
    compared = await restoring

    assert await accounts.rows() == made
    assert (compared.found, compared.copied) == ({Found.NEWER: 1}, {})


@pytest.mark.parametrize("operation", ["create", "replace"])
async def test_a_lost_answer_counts_once(accounts: TwoAccounts, operation: str) -> None:
    """The row was written, and its answer was lost: that it is there is no other writer's doing."""
    [ref] = await accounts.backed_up(1)
    if operation == "create":
        await accounts.lose([ref])
    else:
        await accounts.change(ref, wrappedDek=GARBAGE)
    accounts.local.cosmos.fault(operation=operation, kind="reset_after", match=accounts.here.id)

    compared = await accounts.restore()

    await accounts.check_copied([ref], {})
    found = Found.MISSING if operation == "create" else Found.DAMAGED
    assert (compared.found, compared.copied) == ({found: 1}, {found: 1})


async def test_one_run_at_a_time(accounts: TwoAccounts) -> None:
    """A keyring that a rotation or a migration holds is refused, and nothing is copied."""
    runs, name = accounts.harness.runs, accounts.harness.keyring
    refs = await accounts.backed_up(1)
    await accounts.lose(refs)
    await started(accounts.harness.resources.migrations, REWRAP, keyring=name)

    with pytest.raises(MigrationRunningError):
        await accounts.restore()

    assert await accounts.rows() == {}
    assert (await read_lease(runs, name)) is not None


async def hanging(accounts: TwoAccounts, operation: str) -> asyncio.Task[Compared]:
    """Return a call that hangs at its first rows: to others it looks as if its process were dead."""
    accounts.local.cosmos.fault(operation=operation, kind="hold", match=accounts.here.id, count=None)
    call = asyncio.create_task(accounts.restore())
    await asyncio.to_thread(accounts.local.cosmos.until_fired)
    return call


async def test_another_call_takes_the_place_of_one_that_has_not_ended(accounts: TwoAccounts) -> None:
    """It may have been killed. Where it lives, it has lost its keyring, and says so."""
    refs = await accounts.backed_up(3)
    await accounts.lose(refs)
    first = await hanging(accounts, "create")

    second = asyncio.create_task(accounts.restore())
    await asyncio.to_thread(accounts.local.cosmos.until_fired)
    await asyncio.to_thread(accounts.local.cosmos.clear_faults)
    compared = await second

    with pytest.raises(FencedError):
        await first
    await accounts.check_copied(refs, {})
    assert (await accounts.record(compared.run_id)).state is State.COMPLETED


async def test_a_call_that_was_killed_holds_the_keyring_no_longer_than_its_lease(
    accounts: TwoAccounts, runs: RotationStore
) -> None:
    """A rotation is refused meanwhile, and begins afterwards; the call, if it lives, writes nothing any more."""
    name, now = accounts.harness.keyring, datetime.now(UTC)
    refs = await accounts.backed_up(3)
    await accounts.lose(refs)
    first = await hanging(accounts, "read")

    with pytest.raises(MigrationRunningError) as refused:
        await start_run(runs, name, now=now, alive=False)
    begun = await start_run(runs, name, now=now + LASTS + timedelta(minutes=1), alive=False)

    ended = await accounts.record(refused.value.facts["migrationId"])
    await asyncio.to_thread(accounts.local.cosmos.clear_faults)
    with pytest.raises(FencedError):
        await first
    assert (ended.state, ended.error and ended.error.type) == (State.FAILED, WORKFLOW_LOST)
    assert begun.state is State.REQUESTED
    assert await accounts.rows() == {}
    assert (await accounts.record(ended.run_id)).step == ended.step


async def test_an_operator_ends_it(accounts: TwoAccounts) -> None:
    """An abort is looked for before every page: what is copied stays, and the rest comes another time."""
    refs = await accounts.backed_up(40)
    await accounts.lose(refs)
    call = await hanging(accounts, "create")
    lease = await read_lease(accounts.harness.runs, accounts.harness.keyring)
    assert lease is not None
    assert lease.holder is not None

    migrations = accounts.harness.resources.migrations
    await record_command(migrations, lease.holder, "abort", by="ada@example.com", now=datetime.now(UTC))
    await asyncio.to_thread(accounts.local.cosmos.clear_faults)
    with pytest.raises(AbortRequestedError):
        await call

    record, copied = await accounts.record(lease.holder), await accounts.rows()
    assert (record.state, record.history[-1].actor) == (State.ABORTED, "ada@example.com")
    assert 0 < len(copied) < len(refs)
    await accounts.restore()
    await accounts.check_copied(refs, {})

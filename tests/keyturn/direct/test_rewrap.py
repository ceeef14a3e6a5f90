"""`keyturn direct rewrap`: rows of the run under way, or of a migration of its own, moved once, whatever dies."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.contracts.migrations import RewrapDeks
from keyturn.contracts.states import State
from keyturn.direct.rows import rewrap
from keyturn.direct.session import Direct, Progress
from keyturn.direct.takeover import holder_of, take_over
from keyturn.errors import FencedError, RowsLeftError
from keyturn.runs import budget
from keyturn.runs.records import MigrationRecord, RotationRecord
from local.cosmos.store import writes_of
from tests.invariants.crash import Died, Requests
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import begun
from tests.invariants.rotation_driver import ready_to_retire
from tests.keyturn.direct.conftest import OPERATOR, another, runs_of, sweeping

SECONDS = 60
CLAIMS = "SELECT VALUE c.claims FROM c"


async def assert_moved_once(harness: ActivityHarness, run_id: str, target: str, rows: int) -> None:
    """Every row is on the target by this run, in one write, from the version that it was on, with its own DEK."""
    found = await harness.rows()
    assert len(found) == rows
    assert {(row["mekVersion"], row["rotationId"]) for row in found} == {(target, run_id)}
    assert {row["previousWrap"]["mekVersion"] for row in found} == {harness.old}
    assert {writes_of(row["_etag"]) for row in found} == {1}
    assert await harness.changed_deks() == []
    assert await harness.needed_but_disabled() == []


async def test_without_a_run_it_begins_a_migration(
    harness: ActivityHarness, direct: Direct, printed: list[str | Progress]
) -> None:
    """Every row goes onto the newest enabled version; the record is a migration's, in the operator's name."""
    await harness.local_keyring.add_many(12, harness.old)
    new = await harness.local_keyring.mek.create()

    record = await rewrap(direct, None)

    assert isinstance(record, MigrationRecord)
    assert (record.state, record.work) == (State.COMPLETED, RewrapDeks(new_version=new))
    assert (record.requested_by, record.requested_by_id) == OPERATOR
    assert "keyturn direct, olga@example.com: 12 rows were moved" in record.history[-1].detail
    await assert_moved_once(harness, record.run_id, new, 12)
    assert await holder_of(direct, harness.keyring) is None
    assert [said for said in printed if isinstance(said, Progress)][-1][1:] == (12, 12, 0)
    claims = [item async for item in harness._run_container.query_items(CLAIMS, partition_key=budget.PARTITION)]
    assert claims == [{}]


async def test_only_rows_of_the_old_version(harness: ActivityHarness, direct: Direct) -> None:
    """With an old version, rows on others stay as they are; a dry run moves none at all."""
    await harness.local_keyring.add_many(3, harness.old)
    other = await harness.local_keyring.mek.create()
    kept = await harness.local_keyring.add(other)
    new = await harness.local_keyring.mek.create()
    before = await harness.rows()

    looked = await rewrap(direct, harness.keyring, old_version=harness.old, dry_run=True)
    assert "3 rows would be moved, 0 cannot" in looked.history[-1].detail
    assert await harness.rows() == before
    await rewrap(direct, harness.keyring, new_version=new, old_version=harness.old)

    versions = {row["id"]: row["mekVersion"] for row in await harness.rows()}
    assert versions.pop(kept.id) == other
    assert set(versions.values()) == {new}


async def test_it_finishes_the_rows_of_a_rotation(harness: ActivityHarness, direct: Direct) -> None:
    """The rotation whose app died: its record, its version; what was moved is not opened again, and its pages end."""
    driver = await sweeping(harness)
    page = (await driver.pages("rewrap"))[0]
    opened = len(harness.operations())

    record = await rewrap(direct, harness.keyring, force=True)

    assert record.run_id == driver.run_id
    assert record.state is State.NEEDS_ATTENTION
    assert record.fencing_token == driver.ref.fencing_token + 1
    assert "moved 7 rows, none is left under an old version" in record.history[-1].detail
    assert await runs_of(harness) == [driver.run_id]
    await assert_moved_once(harness, driver.run_id, driver.target, 12)
    unwraps = [done for done in harness.operations()[opened:] if done["operation"] == "unwrap"]
    assert len(unwraps) == 7
    late = await harness.act("rewrap_page", page)
    assert late["failure"]["errorType"] == FencedError.__name__


@pytest.mark.parametrize("state", [State.AWAITING_APPROVAL, State.RETIRING])
async def test_later_states_go_back_to_the_sweep(harness: ActivityHarness, direct: Direct, state: State) -> None:
    """The evidence is void, and what was disabled already is enabled again before any row is moved."""
    driver = await ready_to_retire(harness)
    if state is State.RETIRING:
        assert (await driver.act("retire_versions", driver.retirement()))["retired"] == [harness.old]
    await harness.local_keyring.add(driver.target)

    record = await rewrap(direct, harness.keyring, force=True)

    assert isinstance(record, RotationRecord)
    assert (record.state, record.evidence_digest, record.decision) == (State.NEEDS_ATTENTION, None, None)
    assert not record.retirement_in_force
    assert (await harness.vault_versions())[harness.old].enabled
    assert await harness.unapproved(record) == []


@pytest.mark.parametrize("part", range(12))
async def test_it_dies_anywhere_and_goes_on(harness: ActivityHarness, direct: Direct, part: int) -> None:
    """Whatever request was its last: the next process goes on with the same run, and moves each row once."""
    await harness.local_keyring.add_many(12, harness.old)
    new = await harness.local_keyring.mek.create()
    last = 3 + 7 * part

    with pytest.raises(Died), Requests(last).counted():
        await rewrap(direct, harness.keyring)
    begun = await runs_of(harness)
    record = await rewrap(direct, harness.keyring)

    assert record.state is State.COMPLETED
    assert await runs_of(harness) == [record.run_id]
    assert begun in ([], [record.run_id])
    await assert_moved_once(harness, record.run_id, new, 12)


async def test_what_earlier_processes_moved_is_counted(harness: ActivityHarness, direct: Direct) -> None:
    """The record of a run that went on after a kill tells what it has moved in all, and not its last process alone."""
    await harness.local_keyring.add_many(12, harness.old)
    await harness.local_keyring.mek.create()

    def die(told: str | Progress) -> None:
        if isinstance(told, Progress) and told.done == 12:
            raise Died

    with pytest.raises(Died):
        await rewrap(replace(direct, tell=die), harness.keyring)
    record = await rewrap(direct, harness.keyring)

    assert record.history[-1].detail.endswith(": 0 rows were moved, 12 in all")


async def test_killed_at_its_end_it_is_the_same_run(
    harness: ActivityHarness, direct: Direct, printed: list[str | Progress]
) -> None:
    """Completed, and killed before it said so: the same command tells of that run, and begins none with no rows."""
    await harness.local_keyring.add_many(3, harness.old)
    new = await harness.local_keyring.mek.create()
    first = await rewrap(direct, harness.keyring)
    again = await rewrap(direct, harness.keyring)

    assert (again.run_id, again.state, again.step) == (first.run_id, State.COMPLETED, first.step)
    assert any("nothing is left" in said for said in printed if isinstance(said, str))
    await assert_moved_once(harness, first.run_id, new, 3)

    chosen = await rewrap(direct, harness.keyring, old_version=harness.old)  # which is another command
    await harness.local_keyring.add(harness.old)  # a stale writer's
    last = await rewrap(direct, harness.keyring)

    assert len({first.run_id, chosen.run_id, last.run_id}) == 3
    assert "1 rows were moved" in last.history[-1].detail


async def test_one_that_was_overtaken_writes_nothing(harness: ActivityHarness, direct: Direct) -> None:
    """Two operators at once: the first one's pages end as those of an app that was given up."""
    await harness.local_keyring.add_many(3, harness.old)
    new = await harness.local_keyring.mek.create()
    mine = await begun(harness, RewrapDeks(new_version=new))
    first = await take_over(direct, mine, force=True)
    second = await take_over(another(direct), first.record, force=True)
    before = await harness.rows()

    with pytest.raises(FencedError):
        await first.advance(State.RUNNING)
    with pytest.raises(FencedError):
        await first.move("rewrap_chosen", new, RewrapDeks(new_version=new).left)

    assert await harness.rows() == before
    await second.advance(State.RUNNING)


async def test_a_row_that_cannot_be_moved_is_named(harness: ActivityHarness, direct: Direct) -> None:
    """The others are moved; the run waits, the error names the row; once it is gone the same command completes."""
    await harness.local_keyring.add_many(4, harness.old)
    bad = await harness.local_keyring.add(harness.old, wrappedDek="no base64!")
    new = await harness.local_keyring.mek.create()

    with pytest.raises(RowsLeftError) as raised:
        await rewrap(direct, harness.keyring)
    await harness.local_keyring.container.delete_item(bad.id, partition_key=bad.id)
    run_id = raised.value.facts["rotationId"]
    waiting = await direct.resources.every_run.read(run_id)
    record = await rewrap(direct, harness.keyring)

    assert [row["id"] for row in raised.value.facts["named"]] == [bad.id]
    assert (waiting.state, waiting.quarantined.count) == (State.NEEDS_ATTENTION, 1)
    assert (record.run_id, record.state, record.quarantined.count) == (run_id, State.COMPLETED, 0)
    await assert_moved_once(harness, run_id, new, 4)


async def test_an_outage_that_ends_is_waited_for(
    harness: ActivityHarness, direct: Direct, printed: list[str | Progress]
) -> None:
    """The vault refuses some requests: each step is tried again, and the operator is told."""
    await harness.local_keyring.add_many(6, harness.old)
    await harness.local_keyring.mek.create()
    harness.local_keyring.cosmos.fault(operation="patch", kind="status", status=503, count=4)

    record = await rewrap(direct, harness.keyring)

    assert record.state is State.COMPLETED
    assert any("trying again" in said for said in printed if isinstance(said, str))


async def test_a_clock_that_is_behind_loses_no_progress(
    harness: ActivityHarness, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass begins after the app's last one, whatever this machine's clock says: what it finds is written down."""
    driver = await sweeping(harness)
    await driver.work("rewrap")
    bad = await harness.local_keyring.add(harness.old, wrappedDek="no base64!")
    behind = direct.now().replace(year=2020)
    monkeypatch.setattr(type(direct), "now", lambda _: behind)

    with pytest.raises(RowsLeftError) as raised:
        await rewrap(direct, harness.keyring, force=True)

    found = await direct.resources.run_store.read(driver.run_id)
    assert [row["id"] for row in raised.value.facts["named"]] == [bad.id]
    assert (found.quarantined.count, found.progress["sweep"].current.quarantined) == (1, 1)


async def test_other_runs_share_of_the_vault_is_waited_for(harness: ActivityHarness, direct: Direct) -> None:
    """While another run holds all of the vault's budget, nothing is unwrapped."""
    await harness.local_keyring.add_many(4, harness.old)
    await harness.local_keyring.mek.create()
    documents, vault = direct.resources.every_run.documents, harness.local_keyring.mek.vault.url
    policy = direct.resources.settings.policy
    await budget.claim(documents, vault, "another", policy, policy.vault_operations_per_second, direct.now())

    waiting = asyncio.Event()
    waits = replace(direct, tell=lambda said: waiting.set() if "budget" in str(said) else None)
    moving = asyncio.create_task(rewrap(waits, harness.keyring))
    await asyncio.wait_for(waiting.wait(), SECONDS)
    assert [done for done in harness.operations() if done["operation"] == "unwrap"] == []
    await budget.give_back(documents, vault, "another", direct.now())

    assert (await moving).state is State.COMPLETED

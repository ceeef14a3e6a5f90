"""`keyturn direct rollback` and `reinstate`: what the app would do, with the same approvals and no second door."""

from datetime import UTC, datetime

import pytest

from keyturn.contracts.migrations import RestoreInput
from keyturn.contracts.passes import CensusInput
from keyturn.contracts.states import State
from keyturn.direct.rows import roll_back
from keyturn.direct.session import Direct
from keyturn.errors import InvariantError, UnknownRotationError, WrongStateError
from keyturn.migrations.requests import rollback_work
from keyturn.rotation.retirement import order_reinstatement
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import Decision
from keyturn.runs.records import MigrationRecord
from tests.invariants.crash import Died, Requests
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import adopting, begun, given_up
from tests.invariants.rotation_driver import RotationDriver, ready_to_retire
from tests.invariants.steps import Steps
from tests.keyturn.direct.conftest import runs_of, sweeping


async def retired(harness: ActivityHarness) -> str:
    """Play a rotation to its end, and return its id."""
    driver = await ready_to_retire(harness)
    await driver.act("retire_versions", driver.retirement())
    await driver.advance(State.WATCHING)
    await driver.advance(State.COMPLETED)
    return driver.run_id


async def assert_back(harness: ActivityHarness, record: MigrationRecord, rows: int) -> None:
    """The rollback has completed, and every row is where it was, with its own DEK."""
    assert record.state is State.COMPLETED
    found = await harness.rows()
    assert [row["mekVersion"] for row in found] == [harness.old] * rows
    assert await harness.changed_deks() == []
    assert await harness.needed_but_disabled() == []


@pytest.mark.parametrize("last", [None, *range(4, 80, 12)])
async def test_rows_go_back_whatever_dies(harness: ActivityHarness, direct: Direct, last: int | None) -> None:
    """A rotation that was given up is rolled back by one migration, though the process dies at some request."""
    work = await given_up(harness)

    if last is not None:
        with pytest.raises(Died), Requests(last).counted():
            await roll_back(direct, work.rotation.run_id)
    record = await roll_back(direct, work.rotation.run_id)

    assert isinstance(record, MigrationRecord)
    await assert_back(harness, record, 3)
    assert await runs_of(harness) == [work.rotation.run_id, record.run_id]


@pytest.mark.parametrize("last", [None, *range(4, 100, 24)])
async def test_adopted_rows_go_back_too(harness: ActivityHarness, direct: Direct, last: int | None) -> None:
    """A dry run counts them; the one whose rows they were has nothing left to roll back."""
    newest = await adopting(harness)
    first = newest.adopted[0]

    looked = await roll_back(direct, newest.run_id, dry_run=True)
    with pytest.raises(WrongStateError, match="later rotation has moved rows"):
        await roll_back(direct, first)
    if last is not None:
        with pytest.raises(Died), Requests(last).counted():
            await roll_back(direct, newest.run_id)
    record = await roll_back(direct, newest.run_id)
    left = await roll_back(direct, first)

    assert isinstance(record, MigrationRecord)
    await assert_back(harness, record, 4)
    assert "dry run: 4 rows are the rotation's (or of 1 that it adopted), 0 are not" in looked.history[-1].detail
    assert "0 rows are the rotation's, 4 are not" in left.history[-1].detail


async def test_a_rotation_under_way_is_ended_first(harness: ActivityHarness, direct: Direct) -> None:
    """In mid-sweep: it is aborted in the operator's name, and its rows go back; a dry run ends nothing."""
    driver = await sweeping(harness)

    record = await roll_back(direct, driver.run_id, force=True)

    ended = await harness.runs.read(driver.run_id)
    assert (ended.state, ended.history[-1].actor) == (State.ABORTED, direct.operator.name)
    assert isinstance(record, MigrationRecord)
    await assert_back(harness, record, 12)


async def test_one_that_retires_is_reinstated_and_ended_first(harness: ActivityHarness, direct: Direct) -> None:
    """Within the trial period the disable is taken back by whoever made it, without a second person."""
    driver = await ready_to_retire(harness)
    await driver.act("retire_versions", driver.retirement())

    record = await roll_back(direct, driver.run_id, force=True)

    assert isinstance(record, MigrationRecord)
    await assert_back(harness, record, 3)
    assert (await harness.vault_versions())[harness.old].enabled


async def test_rows_that_it_adopted_go_back_too(harness: ActivityHarness, direct: Direct) -> None:
    """They carry the id of the rotation that was given up, whose version and rows this one took over and completed."""
    await given_up(harness)
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.to_retiring()
    await to_completed_from_retiring(driver)
    assert {row["rotationId"] == driver.run_id for row in await harness.rows()} == {False}
    versions, now = harness.versions, direct.now()
    await order_reinstatement(harness.runs, versions, driver.run_id, by=direct.operator.name, now=now)

    record = await roll_back(direct, driver.run_id)

    assert isinstance(record, MigrationRecord)
    await assert_back(harness, record, 3)


async def to_completed_from_retiring(driver: RotationDriver) -> None:
    """Retire, and end."""
    await driver.act("retire_versions", driver.retirement())
    await driver.advance(State.WATCHING)
    await driver.advance(State.COMPLETED)


async def test_what_is_retired_waits_for_another_person(harness: ActivityHarness, direct: Direct) -> None:
    """The rollback waits and enables nothing; once the retirement is taken back, the same command goes on with it."""
    run_id = await retired(harness)

    with pytest.raises(WrongStateError, match="another person") as raised:
        await roll_back(direct, run_id)
    waiting = await direct.resources.migrations.read(raised.value.facts["rotationId"])
    assert not (await harness.vault_versions())[harness.old].enabled
    versions, now = harness.versions, direct.now()
    await order_reinstatement(harness.runs, versions, run_id, by=direct.operator.name, now=now)
    record = await roll_back(direct, run_id)

    assert waiting.state is State.NEEDS_ATTENTION
    assert f"keyturn direct reinstate {run_id}" in raised.value.hint
    assert isinstance(record, MigrationRecord)
    assert record.run_id == waiting.run_id
    await assert_back(harness, record, 3)


@pytest.mark.parametrize("decision", ["approved", "rejected"])
async def test_a_decision_that_the_app_took_is_followed(
    harness: ActivityHarness, direct: Direct, decision: str
) -> None:
    """The app has asked, another person has decided, and the app is gone."""
    run_id = await retired(harness)
    asked = await begun(harness, await rollback_work(await harness.runs.read(run_id), harness.runs))
    driver = Steps(harness, asked)
    driver.target = asked.rollback.new_version
    await driver.advance(State.RUNNING)
    await driver.act("take_census", _census(driver))
    look = RestoreInput(run=driver.ref, step=driver.step, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    await driver.act("freeze_rollback", look)
    await driver.advance(State.AWAITING_APPROVAL)
    await harness.decide(await direct.resources.migrations.read(asked.run_id))
    if decision == "rejected":
        await direct.resources.migrations.update(asked.run_id, _rejected)

    if decision == "rejected":
        with pytest.raises(WrongStateError, match="rejected"):
            await roll_back(direct, run_id, force=True)
        assert (await direct.resources.migrations.read(asked.run_id)).state is State.ABORTED
        assert not (await harness.vault_versions())[harness.old].enabled
        return
    record = await roll_back(direct, run_id, force=True)

    assert isinstance(record, MigrationRecord)
    assert record.run_id == asked.run_id
    await assert_back(harness, record, 3)


def _rejected(record: MigrationRecord) -> MigrationRecord:
    assert record.decision is not None
    return record.changed(decision=record.decision.model_copy(update={"decision": "rejected"}))


def _census(driver: Steps) -> CensusInput:
    return CensusInput(run=driver.ref, target_version=driver.target)


@pytest.mark.parametrize("forged", ["no evidence", "another's evidence"])
async def test_a_decision_without_its_evidence_enables_nothing(
    harness: ActivityHarness, direct: Direct, forged: str
) -> None:
    """Whoever writes to the records can make a decision up; what it enables must be what the evidence names."""
    run_id = await retired(harness)
    with pytest.raises(WrongStateError) as raised:
        await roll_back(direct, run_id)
    evidence = (
        {}
        if forged == "no evidence"
        else {"evidence": {"versions": {}}, "evidence_digest": digest_of({"versions": {}})}
    )
    made_up = Decision(decision="approved", by="x", digest=evidence.get("evidence_digest", "0" * 64), at=direct.now())
    rollback = raised.value.facts["rotationId"]
    await direct.resources.migrations.update(rollback, lambda found: found.changed(decision=made_up, **evidence))

    with pytest.raises((WrongStateError, InvariantError)):
        await roll_back(direct, run_id)

    assert not (await harness.vault_versions())[harness.old].enabled


async def test_an_unknown_rotation_is_refused(harness: ActivityHarness, direct: Direct) -> None:
    """What is no rotation's id is named."""
    with pytest.raises(UnknownRotationError):
        await roll_back(direct, f"{harness.keyring}.20200101T000000Z.abcdef")

"""The record under a database that loses answers, refuses, or is not there."""

from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.contracts.base import StepInput
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import PermissionMissingError, ResourceMissingError, UnavailableError
from keyturn.runs.lease import read_lease
from keyturn.runs.progress import with_quarantined
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step
from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.runs.lifecycle import NOW, bring_to, make_record, new_keyring, start_run, start_with

READER = ROLES["Cosmos DB Built-in Data Reader"]


@pytest.fixture(autouse=True)
def no_faults_left(cosmos: LocalCosmos) -> Iterator[None]:
    """Disarm what a test has armed."""
    yield
    cosmos.clear_faults()


@pytest.fixture
async def reader(cosmos: LocalCosmos, container: ContainerProxy) -> AsyncIterator[RotationStore]:
    """The store as an identity sees it that may only read."""
    async with cosmos.credential("reader", *READER) as credential, cosmos.client(credential) as client:
        database = client.get_database_client("keyturn")
        yield RotationStore(StateContainer(database.get_container_client(container.id)))


async def test_a_change_whose_answer_is_lost_is_made_once(runs: RotationStore, cosmos: LocalCosmos) -> None:
    """The database took the change and the connection broke: the record holds it once."""
    record = await start_run(runs)
    cosmos.fault(operation="replace", kind="reset_after")

    await runs.update(record.run_id, lambda run: with_quarantined(run, [QuarantinedRow(id="row", reason="malformed")]))

    assert (await runs.read(record.run_id)).quarantined.count == 1


async def test_a_step_whose_answer_is_lost_is_one_step(runs: RotationStore, cosmos: LocalCosmos) -> None:
    """The number of the step keeps it from being applied again."""
    record = await start_run(runs)
    cosmos.fault(operation="replace", kind="reset_after")

    moved = await record_step(runs, StepInput(run=record.ref, step=1, target=State.PREFLIGHT), NOW)

    assert (moved.state, moved.step, len(moved.history)) == (State.PREFLIGHT, 1, 2)


@pytest.mark.parametrize("operation", ["create", "batch"])
async def test_a_start_whose_answer_is_lost_starts_one_rotation(
    runs: RotationStore, cosmos: LocalCosmos, operation: str
) -> None:
    """Claim or lease were written and the connection broke: one rotation holds the keyring, asked for once or twice."""
    keyring, key = new_keyring(), new_keyring()
    cosmos.fault(operation=operation, kind="reset_after")

    try:
        first = await start_with(runs, keyring, key)
    except UnavailableError:  # what the SDK does not repeat is repeated by the caller
        first = await start_with(runs, keyring, key)
    again = await start_with(runs, keyring, key)
    held = await read_lease(runs, keyring)

    assert first.run_id == again.run_id
    assert held is not None
    assert first.run_id == held.holder
    assert len(await runs.newest(keyring)) == 1


async def test_an_end_whose_release_is_lost_frees_the_keyring(runs: RotationStore, cosmos: LocalCosmos) -> None:
    """The second conditional write of an end is repeated until the lease is free."""
    record = await bring_to(runs, State.PREFLIGHT)
    cosmos.fault(operation="replace", kind="reset_after", skip=1)

    await record_step(runs, StepInput(run=record.ref, step=record.step + 1, target=State.BLOCKED), NOW)
    held = await read_lease(runs, record.keyring)

    assert held is not None
    assert held.holder is None


async def test_a_missing_right_is_the_operators_to_fix(runs: RotationStore, reader: RotationStore) -> None:
    """An identity that may read and not write can look at a rotation, and is told what it lacks when it writes."""
    record = await start_run(runs)

    assert await reader.read(record.run_id) == record
    with pytest.raises(PermissionMissingError) as raised:
        await start_run(reader)
    with pytest.raises(PermissionMissingError):
        await reader.update(record.run_id, lambda run: run.changed(reason="x"))

    assert raised.value.facts == {"resource": "the keyturn container", "operation": "batch"}


async def test_a_missing_container_is_the_operators_to_fix(cosmos_client: CosmosClient) -> None:
    """Where the container does not exist, it is that which is said to be missing, and not the rotation."""
    nowhere = RotationStore(
        StateContainer(cosmos_client.get_database_client("keyturn").get_container_client("nowhere"))
    )

    with pytest.raises(ResourceMissingError):
        await nowhere.read(make_record().run_id)
    with pytest.raises(ResourceMissingError):
        await start_run(nowhere)

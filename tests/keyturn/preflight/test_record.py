"""What pre-flight found is kept in the run's record."""

import uuid

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from keyturn.contracts.states import State
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import FencedError
from keyturn.preflight.run import record_preflight
from keyturn.runs.record_parts import Check, Preflight
from keyturn.runs.store import RotationStore
from tests.keyturn.preflight.harness import NOW
from tests.keyturn.runs.lifecycle import bring_to

GOOD = Preflight(at=NOW, checks=[Check(name="mek_exists", outcome="pass", detail="it does")])
BAD = Preflight(at=NOW, checks=[*GOOD.checks, Check(name="backup", outcome="fail", detail="none", hint="make one")])


@pytest.fixture
async def runs(cosmos_client: CosmosClient) -> RotationStore:
    """The runs' records."""
    database = await cosmos_client.create_database_if_not_exists("keyturn")
    return RotationStore(
        StateContainer(await database.create_container(f"keyturn-{uuid.uuid4().hex}", PartitionKey("/keyring")))
    )


async def test_the_checks_are_recorded_and_the_failed_ones_named(runs: RotationStore) -> None:
    """The workflow learns the names, the record keeps all of it; running again replaces it."""
    record = await bring_to(runs, State.PREFLIGHT)
    ref = record.ref

    first = await record_preflight(runs, ref, GOOD)
    second = await record_preflight(runs, ref, BAD)

    assert (first.passed, first.failed_checks) == (True, [])
    assert (second.passed, second.failed_checks) == (False, ["backup"])
    assert (await runs.read(record.run_id)).preflight == BAD


async def test_a_late_repetition_changes_nothing(runs: RotationStore) -> None:
    """What the rotation went on with stays what it went on with."""
    record = await bring_to(runs, State.PREFLIGHT)
    await record_preflight(runs, record.ref, GOOD)
    creating = await runs.update(record.run_id, lambda run: run.changed(state=State.CREATING_VERSION))

    late = await record_preflight(runs, creating.ref, BAD)

    assert late.passed
    assert (await runs.read(record.run_id)).preflight == GOOD


async def test_another_runs_findings_are_refused(runs: RotationStore) -> None:
    """A run that lost its keyring writes nothing."""
    record = await bring_to(runs, State.PREFLIGHT)
    stranger = record.ref.model_copy(update={"fencing_token": record.fencing_token - 1})

    with pytest.raises(FencedError):
        await record_preflight(runs, stranger, GOOD)

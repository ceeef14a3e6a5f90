"""The run's documents while replicas lag behind: what this process has written it reads, however it was written."""

from collections.abc import Iterator

import pytest

from keyturn.contracts.states import State
from keyturn.runs.store import RotationStore
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.runs.lifecycle import bring_to, start_run


@pytest.fixture
def lag(cosmos: LocalCosmos) -> Iterator[None]:
    """Reads without a session token are ten seconds behind."""
    cosmos._post("settings", {"replicaLagMs": 10_000})
    yield
    cosmos._post("settings", {"replicaLagMs": 0})


@pytest.mark.usefixtures("lag")
async def test_a_start_reads_the_record_that_its_batch_wrote(runs: RotationStore) -> None:
    """The record and the lease are written in one batch, whose session the SDK does not keep."""
    record = await start_run(runs)

    assert await runs.read(record.run_id) == record
    assert await runs.newest(record.keyring) == [record]


@pytest.mark.usefixtures("lag")
async def test_state_changes_follow_each_other(runs: RotationStore) -> None:
    """Each change meets the one before it."""
    record = await bring_to(runs, State.COMPLETED)

    assert State.COMPLETED is (await runs.read(record.run_id)).state

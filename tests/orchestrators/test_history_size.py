"""What a rotation leaves in durable history: small events and short generations, however large the store is."""

import asyncio
import json
import logging
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

import orchestrators
from keyturn.contracts.base import Policy, RotationInput, RunRef
from keyturn.contracts.pages import RANGES_MAX
from local.task_hub.limits import MESSAGE_BYTES
from orchestrators import row_pass
from tests.invariants.engine import registered
from tests.local.task_hub.hub_process import HubProcess
from tests.orchestrators.large_store import LargeStore

SECOND = timedelta(seconds=1)
EVENT_BYTES_MAX = 64 * 1024
EVENTS_MAX = 1_000
RUN_BYTES_MAX = MESSAGE_BYTES * 3 // 4  # a turn travels with its whole history, and must fit with room to spare
SECONDS = 120


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A task hub in a process of its own."""
    process = HubProcess(tmp_path_factory.mktemp("task_hub"))
    yield process
    process.stop()


def run(
    hub: HubProcess, store: LargeStore, instance_id: str, window: int = 4, page_rows: int = 100
) -> OrchestrationStatus:
    """Run one rotation with the app's own workflows, on a policy that waits little, and return how it ended."""
    given = RotationInput(
        run=RunRef(run_id=f"{instance_id}.20261124T030000Z.abcdef", keyring=instance_id, fencing_token=1),
        policy=Policy(
            soak=SECOND,
            quiet_interval=SECOND,
            tail_interval=SECOND,
            watch=SECOND,
            window_pages=window,
            page_rows=page_rows,
        ),
    )
    quiet = logging.getLogger("tests.orchestrators")
    quiet.setLevel(logging.ERROR)
    with TaskHubGrpcWorker(host_address=hub.address, logger=quiet) as worker:
        for name, function in registered(orchestrators).items():
            worker._registry.add_named_orchestrator(name, function.orchestrator_function)
        for name, activity in store.activities().items():
            worker._registry.add_named_activity(name, activity)
        worker.start()
        client = TaskHubGrpcClient(host_address=hub.address, logger=quiet)
        client.schedule_new_orchestration("rotation", input=given.to_payload(), instance_id=instance_id)
        state = client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
        client.close()
    assert state is not None
    return state.runtime_status


def generations(hub: HubProcess, instance_id: str) -> list[dict[str, Any]]:
    """Return every run of the instance and of all its sub-workflows."""
    with urllib.request.urlopen(f"{hub.control_url}/_control/instances") as answer:  # noqa: S310 - loopback
        known = json.load(answer)["instanceIds"]
    mine = [name for name in known if name.startswith(instance_id)]
    return [run for name in mine for run in hub.history(name)["generations"]]


@pytest.mark.parametrize(("rows", "ranges"), [(20_000, 4), (3_000, RANGES_MAX)])
async def test_a_large_store_leaves_small_events_and_short_generations(hub: HubProcess, rows: int, ranges: int) -> None:
    """No event is larger than 64 KiB and no generation has more than 1,000 events, however many partitions."""
    store, instance_id = LargeStore(rows, ranges), f"rows-in-{ranges}"

    status = await asyncio.to_thread(run, hub, store, instance_id, min(16, ranges))

    runs = generations(hub, instance_id)
    assert status is OrchestrationStatus.COMPLETED
    assert (store.proven, store.states[-1]) == (rows, "completed")
    assert max(event["bytes"] for found in runs for event in found["events"]) <= EVENT_BYTES_MAX
    assert max(len(found["events"]) for found in runs) <= EVENTS_MAX
    assert max(found["bytes"] for found in runs) <= RUN_BYTES_MAX
    assert any(found["generation"] > 0 for found in runs)


@pytest.mark.parametrize(("rows", "id_length"), [(1_200, 1_000), (20_000, 36)], ids=["long ids", "large pages"])
async def test_the_largest_pages_leave_histories_that_a_message_carries(
    hub: HubProcess, rows: int, id_length: int
) -> None:
    """However long the ids and however many rows a page may have, the hub hands every turn out."""
    store, instance_id = LargeStore(rows, 4, id_length=id_length), f"ids-of-{id_length}"

    status = await asyncio.to_thread(run, hub, store, instance_id, 16, 250)

    largest = max(found["bytes"] for found in generations(hub, instance_id))
    assert (status, store.proven) == (OrchestrationStatus.COMPLETED, rows)
    assert largest <= RUN_BYTES_MAX


async def test_a_store_that_grows_beyond_the_limit_in_mid_run_is_swept_all_the_same(hub: HubProcess) -> None:
    """Partitions are split when the service likes: pre-flight was passed long ago, and nothing else counts them."""
    store = LargeStore(RANGES_MAX + 50, RANGES_MAX + 50)

    status = await asyncio.to_thread(run, hub, store, "grown", 16)

    assert (status, store.states[-1]) == (OrchestrationStatus.COMPLETED, "completed")


async def test_a_pass_that_waits_for_the_vaults_budget_keeps_short_generations(
    hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long other runs leave nothing, the wait goes on in a new generation, and no page is lost with the old."""
    monkeypatch.setattr(row_pass, "BUDGET_WAIT", timedelta(milliseconds=1))
    store, instance_id = LargeStore(300, 2, refusals=200), "waiting-for-budget"

    status = await asyncio.to_thread(run, hub, store, instance_id)

    runs = generations(hub, instance_id)
    assert status is OrchestrationStatus.COMPLETED
    assert (store.refusals < 0, store.proven, store.states[-1]) == (True, 300, "completed")
    assert max(len(found["events"]) for found in runs) <= EVENTS_MAX
    assert max(found["bytes"] for found in runs) <= RUN_BYTES_MAX
    assert any(found["generation"] > 1 for found in runs)

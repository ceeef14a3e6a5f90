"""Delivery at least once: external events that come twice, and work that is taken from a worker which says nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local.task_hub.backend import REPEATED_AFTER_SECONDS
from tests.local.task_hub.hand_worker import HandWorker, done, kinds, timer
from tests.local.task_hub.hub_process import HubProcess

LOCK_SECONDS = 1.5


@pytest.fixture
def repeating(tmp_path: Path) -> Iterator[HubProcess]:
    """Run a hub that delivers every event twice, and whose locks are short."""
    process = HubProcess(tmp_path, "--duplicate-events", "7", "--lock-seconds", str(LOCK_SECONDS))
    yield process
    process.stop()


def _events(hub: HubProcess, instance_id: str) -> list[str]:
    runs = hub.history(instance_id)["generations"]
    raised = [event for run in runs for event in run["events"] if event["kind"] == "eventRaised"]
    return [event["content"]["name"] for event in raised]


def test_every_event_comes_twice_sooner_or_later(repeating: HubProcess) -> None:
    """In the turn of the first delivery, or in a later one."""
    with HandWorker(repeating.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take())
        names = [f"event-{number}" for number in range(5)]
        for name in names:
            worker.raise_event(instance_id, name)
        while len(_events(repeating, instance_id)) < 2 * len(names):
            worker.finish_turn(worker.take())

    assert sorted(_events(repeating, instance_id)) == sorted(names * 2)
    assert repeating.history(instance_id)["eventsSent"] == len(names)


def test_a_repetition_for_an_instance_that_is_gone_is_dropped(repeating: HubProcess) -> None:
    """It was ended and purged meanwhile: the hub goes on, and so do its timers."""
    with HandWorker(repeating.address) as worker:
        for _ in range(5):
            gone = worker.start()
            worker.finish_turn(worker.take())
            worker.raise_event(gone)
            worker.finish_turn(worker.take(), done())
            worker.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=gone))
        worker.start()
        after_all = datetime.now(UTC) + timedelta(seconds=max(REPEATED_AFTER_SECONDS))
        worker.finish_turn(worker.take(), timer(1, after_all))

        turn = worker.take()
        worker.finish_turn(turn, done())

    assert kinds(turn.orchestratorRequest.newEvents) == ["timerFired"]


@pytest.mark.parametrize("what", ["turn", "activity"])
def test_a_worker_that_says_nothing_loses_its_work(repeating: HubProcess, what: str) -> None:
    """It is connected, but neither answers nor renews: another worker gets the work, and its answer counts."""
    with HandWorker(repeating.address, orchestrations=1, activities=1) as hanging:
        instance_id = hanging.start()
        stale = hanging.take()
        if what == "activity":
            hanging.finish_turn(stale, hanging.activity(1))
            stale = hanging.take()
        with HandWorker(repeating.address, name=hanging.name) as other:
            fresh = other.take()
            if what == "activity":
                hanging.finish_activity(stale, "6")
                other.finish_activity(fresh, "7")
                fresh = other.take()
            else:
                hanging.finish_turn(stale, done('"from the dead"'))
            other.finish_turn(fresh, done('"from the living"'))

    assert repeating.history(instance_id)["output"] == '"from the living"'
    if what == "activity":
        completed = [event for event in fresh.orchestratorRequest.newEvents if event.HasField("taskCompleted")]
        assert [event.taskCompleted.result.value for event in completed] == ["7"]


def test_a_worker_that_renews_keeps_its_work(repeating: HubProcess) -> None:
    """It works for longer than a lock lasts, which is when a silent worker's work has come to another one."""
    with HandWorker(repeating.address) as slow, HandWorker(repeating.address) as silent:
        instance_id = slow.start()
        turn = slow.take()
        silent.start()
        silent.take()
        with (
            HandWorker(repeating.address, name=slow.name) as idle,
            HandWorker(repeating.address, name=silent.name) as other,
        ):
            while other.idle:
                slow.renew()
            other.finish_turn(other.take(), done())
            slow.finish_turn(turn, done('"slowly"'))
            given_once = idle.idle

    assert given_once
    assert repeating.history(instance_id)["output"] == '"slowly"'

"""The schedule's tick, through its own trigger: what fails is raised, and keeps nothing else back."""

import json
from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

import triggers
from keyturn.rotation.drift import DriftRecord, read_drift
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from triggers import schedule


class Timer(func.TimerRequest):
    """The timer, in time."""

    past_due = False


@pytest.fixture
async def harness(
    local_keyring: LocalKeyring, cosmos_client: CosmosClient, container: ContainerProxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ActivityHarness]:
    """A keyring whose MEK is new, so that nothing is due."""
    made = await ActivityHarness.create(local_keyring, cosmos_client, container)

    async def resources() -> object:
        return made.resources

    monkeypatch.setattr(schedule, "process_resources", resources)
    yield made
    await made.close()


async def tick() -> None:
    """Let the timer fire."""
    binding = json.dumps({"taskHubName": "tests", "rpcBaseUrl": "localhost:1"})  # nothing asks for a workflow here
    function: Any = registered(triggers)["start_due_rotations"]
    await function(timer=Timer(), client=binding)


async def looked(harness: ActivityHarness) -> DriftRecord | None:
    """Return the last look for drift."""
    return await read_drift(harness.runs.documents, harness.keyring)


async def test_the_tick_looks_for_drift(harness: ActivityHarness) -> None:
    """In every keyring, though nothing is due."""
    rows = await harness.local_keyring.fill(3, mekVersion="d" * 32)

    await tick()

    found = await looked(harness)
    assert found is not None
    assert found.drift.rows == {"d" * 32: len(rows)}


async def test_a_look_that_fails_fails_the_tick(harness: ActivityHarness) -> None:
    """The store cannot be counted: the tick says so, and remembers nothing."""
    harness.local_keyring.cosmos.fault(
        operation="query", kind="status", status=403, match=harness.local_keyring.container.id, count=None
    )

    with pytest.raises(ExceptionGroup) as raised:
        await tick()

    assert [type(error).__name__ for error in raised.value.exceptions] == ["PermissionMissingError"]
    assert await looked(harness) is None


async def test_a_start_that_fails_keeps_no_look_back(harness: ActivityHarness) -> None:
    """Whatever the schedule cannot do, drift is looked for; the tick fails all the same."""
    harness.local_keyring.mek.fault(operation="list", kind="status", status=403, count=1)

    with pytest.raises(ExceptionGroup) as raised:
        await tick()

    assert len(raised.value.exceptions) == 1
    assert await looked(harness) is not None

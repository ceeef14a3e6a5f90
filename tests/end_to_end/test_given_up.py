"""The hub gives a worker up that lives on, and hands its activity to another instance of the app."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from local.callers import POLL_SECONDS
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import SECONDS, AppHarness

# What keeps the first worker's disable back: the vault answers 503 three times, or the request does not arrive.
BACK = [
    pytest.param({"kind": "status", "status": 503, "count": 3}, id="three 503s"),
    pytest.param({"kind": "hold", "count": 1}, id="a request that comes late"),
]


@pytest.fixture
def second_host(azure: LocalAzure, app: AppHarness) -> Iterator[None]:
    """Another instance of the app on the same hub."""
    azure.start("second_host")
    yield
    azure.processes.pop("second_host").terminate()


@pytest.mark.end_to_end
@pytest.mark.long
@pytest.mark.parametrize("back", BACK)
async def test_a_disable_that_comes_after_its_reinstatement_is_taken_back(
    app: AppHarness, second_host: None, back: dict[str, Any]
) -> None:
    """The canaries fail, and the rotation is reinstated; then the first worker's disable takes effect."""
    run_id = await app.start()
    waiting = await app.callers.wait_for(run_id, "awaiting_approval", seconds=120)
    record = await app.runs.read_item(run_id, partition_key=app.keyring)
    old = record["oldVersions"][0]
    app.arm("backend", operation="health", kind="status", status=503, count=None)
    app.arm("key_vault", operation="update", match=old, **back)
    await app.callers.decide(run_id, waiting["evidenceDigest"])
    await _until(lambda: any(rule["fired"] for rule in app.control("key_vault", "GET", "faults")))

    given_up = app.control("task_hub_control", "POST", "activities/retire_versions/give_up")["handedOutAgain"]
    ended = await app.callers.wait_for(run_id, "reinstated")
    app.release("key_vault")
    if given_up:
        hub = app.azure.layout.log("task_hub")
        await _until(lambda: "Ignored a stale completion of activity" in hub.read_text())

    assert given_up or back["kind"] == "status"  # the app itself does not wait for a vault that answers 503
    assert (await app.versions())[old] is True
    assert (await app.callers.status(run_id))["state"] == ended["state"]


async def _until(holds: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(POLL_SECONDS)

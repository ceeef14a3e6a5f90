"""A rollback or a restore on which nobody could decide is refused before anything begins, by the routes themselves."""

import json
from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

import triggers
from keyturn.approval.deciders import ADVICE
from keyturn.contracts.states import State
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import PATHS, start_run, step_to
from tests.local.task_hub.hub_process import HubProcess
from triggers import access

REFUSED = "no approver could decide: of approvers KEYTURN_APPROVERS names none"


@pytest.fixture
async def harness(
    local_keyring: LocalKeyring, cosmos_client: CosmosClient, container: ContainerProxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ActivityHarness]:
    """An app that has no approvers."""
    harness = await ActivityHarness.create(local_keyring, cosmos_client, container)
    harness.resources.settings = harness.resources.settings.model_copy(update={"keyturn_approvers": []})

    async def resources() -> object:
        return harness.resources

    monkeypatch.setattr(access, "process_resources", resources)
    yield harness
    await harness.close()


async def ask(function: str, hub: HubProcess, route: dict[str, str], **body: Any) -> tuple[int, Any]:
    """Call the route; returns status and body."""
    content = json.dumps({"requestedBy": "olga@example.com", **body}).encode()
    request = func.HttpRequest("POST", "https://app.example/api/x", route_params=route, body=content)
    binding = json.dumps({"taskHubName": "tests", "rpcBaseUrl": hub.address})
    answer = await registered(triggers)[function](req=request, client=binding)
    return answer.status_code, json.loads(answer.get_body())


async def test_what_no_approver_could_approve_does_not_start(harness: ActivityHarness, hub: HubProcess) -> None:
    """In pre-flight's words, with the setting; no migration is made, and the keyring stays free."""
    record = await start_run(harness.runs, harness.keyring)
    for state in PATHS[State.COMPLETED]:
        record = await step_to(harness.runs, record, state)
    retired = {"retired": [harness.old], "target_version": "f" * 32}
    record = await harness.runs.update(record.run_id, lambda run: run.changed(**retired))

    answers = [
        await ask("start_restore", hub, {}),
        await ask("roll_back_rotation", hub, {"rotation_id": record.run_id}),
    ]

    for status, problem in answers:
        assert (status, problem["detail"], problem["variable"]) == (500, REFUSED, "KEYTURN_APPROVERS")
        assert problem["hint"] == ADVICE
    assert await harness.resources.migrations.newest(harness.keyring, limit=5) == []

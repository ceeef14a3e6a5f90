"""An operator takes a retirement back, through the route itself: on a real vault, store and task hub."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from durabletask.task import OrchestrationContext
from durabletask.worker import TaskHubGrpcWorker

import triggers
from keyturn.access.identity import HEADER
from keyturn.access.roles import Role
from keyturn.contracts.states import State
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.records import RotationRecord
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.keyturn.access.principals import header_of
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import PATHS, start_run, step_to
from tests.local.task_hub.hub_process import HubProcess
from triggers import access
from triggers.workflow import ensure_started

OPERATOR = "olga@example.com"


def rotation(ctx: OrchestrationContext, payload: dict[str, Any]) -> Any:
    """Stand where the workflow stands: wait for a command."""
    event = yield ctx.wait_for_external_event("command")
    return [payload["run"]["rotationId"], event["rotationId"]]


@pytest.fixture(scope="module", autouse=True)
def worker(hub: HubProcess) -> Iterator[None]:
    """Run the workflow."""
    with TaskHubGrpcWorker(host_address=hub.address) as running:
        running.add_orchestrator(rotation)
        running.start()
        yield


class Route:
    """The route, and a keyring whose rotation has retired the version ``old``."""

    def __init__(self, harness: ActivityHarness, hub: HubProcess, client: df.DurableFunctionsClient) -> None:
        self.harness, self.hub, self.client = harness, hub, client

    async def retired(self, state: State, *, ended: timedelta = timedelta(0), works: bool = False) -> RotationRecord:
        """Return a rotation in the state that has retired the old version; it ended so long ago, or has a workflow."""
        harness = self.harness
        new = await harness.local_keyring.mek.create()
        record = await start_run(harness.runs, harness.keyring)
        if works:
            await ensure_started(self.client, harness.runs, record)
        for target in PATHS[state]:
            record = await step_to(harness.runs, record, target)
        named: dict[str, Any] = {"old_versions": [harness.old], "retired": [harness.old]}
        named |= {"ended_at": datetime.now(UTC) - ended} if record.ended else {}
        record = await harness.runs.update(record.run_id, lambda run: run.changed(**named))
        until = datetime.now(UTC) + record.policy.retain
        await self.versions.retire([harness.old], target_version=new, run_id=record.run_id, retain_until=until)
        return record

    @property
    def versions(self) -> Any:
        """The versions, as the app changes them."""
        return self.harness.resources.keyring(self.harness.keyring).versions

    async def enabled(self) -> bool:
        """Tell whether the old version is enabled."""
        return bool((await self.versions.states())[self.harness.old].enabled)

    async def order(self, run_id: str, *, by: str | None = OPERATOR, **headers: str) -> tuple[int, Any]:
        """Order the reinstatement; returns status and body."""
        body = json.dumps({"requestedBy": by}).encode() if by else b""
        url = f"https://app.example/api/rotations/{run_id}/reinstate"
        request = func.HttpRequest("POST", url, headers=headers, route_params={"rotation_id": run_id}, body=body)
        function: Callable[..., Any] = registered(triggers)["reinstate_rotation"]
        binding = json.dumps({"taskHubName": "tests", "rpcBaseUrl": self.hub.address})
        answer = await function(req=request, client=binding)
        return answer.status_code, json.loads(answer.get_body())

    async def audited(self, run_id: str) -> list[tuple[str, Any]]:
        """Return who ordered, or tried to, and what was reinstated, as the chain has it."""
        chain = (await self.harness.runs.audit.export(run_id)).splitlines()
        events = [json.loads(line) for line in chain]
        data = [(event["type"].rpartition(".")[2], event["data"]) for event in events]
        wanted = {"command_given": "by", "attempt_refused": "by", "versions_reinstated": "versions"}
        return [(kind, found[wanted[kind]]) for kind, found in data if kind in wanted]


@pytest.fixture
async def route(
    local_keyring: LocalKeyring,
    cosmos_client: CosmosClient,
    container: ContainerProxy,
    hub: HubProcess,
    durable: df.DurableFunctionsClient,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Route]:
    """The route, served by the app's own resources."""
    harness = await ActivityHarness.create(local_keyring, cosmos_client, container)

    async def resources() -> object:
        return harness.resources

    harness.resources.settings = harness.resources.settings.model_copy(update={"keyturn_access": "keys"})
    monkeypatch.setattr(access, "process_resources", resources)
    yield Route(harness, hub, durable)
    await harness.close()


async def test_a_completed_rotation_is_taken_back_audited_and_announced_once(route: Route) -> None:
    """Until its retention ends; the same order again changes nothing, and nobody is told twice."""
    record = await route.retired(State.COMPLETED, ended=timedelta(days=29))

    answers = [await route.order(record.run_id) for _ in range(2)]

    assert [(status, body["state"], body["reinstated"]) for status, body in answers] == [
        (202, "completed", [route.harness.old])
    ] * 2
    assert await route.enabled()
    stored = await route.harness.runs.read(record.run_id)
    assert not stored.retirement_in_force
    assert [(notice.event, notice.key) for notice in stored.notifications] == [("reinstated", "ordered:reinstated")]
    assert await route.audited(record.run_id) == [
        ("command_given", OPERATOR),
        ("versions_reinstated", [route.harness.old]),
    ]


@pytest.mark.parametrize("state", [State.RETIRING, State.WATCHING])
async def test_a_rotation_at_work_is_taken_back_and_its_workflow_woken(route: Route, state: State) -> None:
    """The versions are enabled at once; the workflow, which ends the rotation, tells people."""
    record = await route.retired(state, works=True)

    answers = [await route.order(record.run_id) for _ in range(2)]

    ended = await route.client.wait_for_orchestration_completion(record.instance_id, timeout=60)
    assert ended is not None
    assert ended.get_output(list) == [record.run_id] * 2
    assert [(status, body["reinstated"]) for status, body in answers] == [(202, [route.harness.old])] * 2
    assert await route.enabled()
    stored = await route.harness.runs.read(record.run_id)
    assert (stored.retirement_in_force, stored.notifications) == (False, [])
    assert (await route.audited(record.run_id))[0] == ("command_given", OPERATOR)


@pytest.mark.parametrize(
    ("state", "ended"),
    [(State.AWAITING_APPROVAL, 0), (State.ABORTED, 0), (State.REINSTATED, 0), (State.COMPLETED, 31)],
)
async def test_what_cannot_be_taken_back_is_refused_and_audited(route: Route, state: State, ended: int) -> None:
    """Nothing was retired, or it was taken back, or its retention is over: nothing changes."""
    record = await route.retired(state, ended=timedelta(days=ended))

    status, body = await route.order(record.run_id)

    assert (status, body["type"], body["state"]) == (409, "urn:keyturn:problem:wrong-state", state.value)
    assert await route.audited(record.run_id) == [("attempt_refused", OPERATOR)]
    assert not await route.enabled()
    assert (await route.harness.runs.read(record.run_id)).notifications == []


async def test_an_unknown_rotation_cannot_be_taken_back(route: Route) -> None:
    """Neither what no run is, nor a migration."""
    for kind in RunKind:
        unknown = new_run_id(kind, route.harness.keyring, datetime.now(UTC))
        assert (await route.order(unknown))[0] == 404
    assert (await route.order("none"))[0] == 404


async def test_only_an_operator_takes_back(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where people sign in, the role decides, and the refusal is in the chain; the token says who ordered it."""
    record = await route.retired(State.COMPLETED)
    resources, signed = route.harness.resources, {"keyturn_access": "entra", "website_auth_enabled": True}
    monkeypatch.setattr(resources, "settings", resources.settings.model_copy(update=signed))

    refused = await route.order(record.run_id, by=None, **{HEADER: header_of(Role.REQUESTER, Role.APPROVER)})
    before = await route.enabled()
    taken = await route.order(record.run_id, by=None, **{HEADER: header_of(Role.OPERATOR)})

    assert (refused[0], before, taken[0], await route.enabled()) == (403, False, 202, True)
    assert [kind for kind, _ in await route.audited(record.run_id)] == [
        "attempt_refused",
        "command_given",
        "versions_reinstated",
    ]

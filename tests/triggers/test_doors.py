"""The doors of one person who would be two: how a run is asked for, and where a link is looked at."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import azure.functions as func
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from pydantic import SecretStr

import triggers
from keyturn.approval.links import Link, make_token
from keyturn.contracts.states import State
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import PATHS, start_run, step_to
from triggers import access, approval_page

SECRET = "whsec_" + "QUJD" * 8


class Doors:
    """The app's routes, served by its own resources with access ``keys``."""

    def __init__(self, harness: ActivityHarness) -> None:
        self.harness = harness

    def set(self, **settings: Any) -> None:
        """Change settings."""
        self.harness.resources.settings = self.harness.resources.settings.model_copy(update=settings)

    async def call(self, function: str, method: str, path: str, body: bytes = b"", **more: Any) -> tuple[int, str]:
        """Call a route; returns status and body."""
        run_id = path.split("/")[3] if path.count("/") > 2 else ""
        route_params, url = {"rotation_id": run_id}, f"https://app.example{path}"
        request = func.HttpRequest(method, url, route_params=route_params, body=body, **more)
        answering: Callable[..., Any] = registered(triggers)[function]
        binding = {"client": json.dumps({"taskHubName": "tests", "rpcBaseUrl": "http://localhost:1"})}
        answer = await answering(req=request, **(binding if method == "POST" else {}))
        return answer.status_code, answer.get_body().decode()


@pytest.fixture
async def doors(
    local_keyring: LocalKeyring,
    cosmos_client: CosmosClient,
    container: ContainerProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Doors]:
    """The routes, on a store and a vault."""
    harness = await ActivityHarness.create(local_keyring, cosmos_client, container)

    async def resources() -> object:
        return harness.resources

    monkeypatch.setattr(access, "process_resources", resources)
    doors = Doors(harness)
    doors.set(approval_webhook_secrets=SecretStr(SECRET))
    yield doors
    await harness.close()


@pytest.mark.parametrize(
    ("function", "path", "body"),
    [
        ("start_rotation", "/api/rotations", {}),
        ("start_restore", "/api/restores", {}),
        ("abort_rotation", "/api/rotations/r/abort", {}),
        ("roll_back_rotation", "/api/rotations/r/rollback", {}),
    ],
)
async def test_sam_and_an_invisible_character_ask_for_nothing(
    doors: Doors, function: str, path: str, body: dict[str, Any]
) -> None:
    """The answer names the field and the character, and there is no record that Sam could approve."""
    asked = json.dumps({**body, "requestedBy": "sam\u200b"}).encode()

    status, answer = await doors.call(function, "POST", path, asked)

    problem = json.loads(answer)
    assert (status, problem["field"]) == (400, "requestedBy")
    assert "U+200B" in problem["detail"]
    own = doors.harness.resources.records.query_items("SELECT * FROM c", partition_key=doors.harness.keyring)
    assert [item async for item in own] == []


async def link_of(doors: Doors) -> tuple[str, str]:
    """Return path and token of Sam's link to a rotation that waits for a decision."""
    record = await start_run(doors.harness.runs, doors.harness.keyring)
    for target in PATHS[State.AWAITING_APPROVAL]:
        record = await step_to(doors.harness.runs, record, target)
    until = datetime.now(UTC) + timedelta(hours=1)
    link = Link(run_id=record.run_id, evidence_digest=record.evidence_digest or "", approver="sam", expires_at=until)
    return f"/api/rotations/{record.run_id}/approval", make_token(link, SECRET)


NAME = "keyturn_links_without_sign_in"


@pytest.mark.parametrize(("said", "expected"), [({NAME: False}, (401, 401)), ({NAME: True}, (200, 400))])
async def test_with_keys_a_link_opens_only_where_the_setting_allows_it(
    doors: Doors, said: dict[str, bool], expected: tuple[int, int]
) -> None:
    """A link that was signed with the right secret is none while there are no links, to look or to decide."""
    doors.set(**said)
    path, token = await link_of(doors)
    no_decision = f"token={quote(token)}&decision=maybe".encode()

    shown, _ = await doors.call("show_approval", "GET", path, params={"token": token})
    pressed, _ = await doors.call("decide_approval", "POST", path, no_decision)

    assert (shown, pressed) == expected


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 403}, {"kind": "hold"}], ids=["refuses", "is silent"])
async def test_a_vault_that_is_away_hides_no_question(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """It tells when versions were made, and nothing that is decided on: the page says that it does not know."""
    monkeypatch.setattr(approval_page, "DATES_SECONDS", 0.2)
    doors.set(**{NAME: True})
    path, token = await link_of(doors)
    doors.harness.local_keyring.mek.fault(operation="list", count=None, **fault)

    status, shown = await doors.call("show_approval", "GET", path, params={"token": token})

    doors.harness.local_keyring.mek.vault.control("DELETE", "faults")
    assert (status, shown.count('value="approve"')) == (200, 1)

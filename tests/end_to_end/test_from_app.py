"""What the app does for an operator outside its network: it examines its deployment, and hands key backups out."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest

from keyturn.doctor.live import BY_HAND
from keyturn.doctor.run import LOOKED_AT, PROBED
from local.callers import Callers
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import keyturn
from tests.end_to_end.guarded import OPERATOR, READER, REQUESTER, GuardedApp

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]

OLGA = "olga@example.com"


@pytest.fixture(scope="module")
async def backed_up(guarded: GuardedApp) -> str:
    """A rotation that has taken a backup of the key, and is given up."""
    run_id = await guarded.start()
    await guarded.callers.wait_for(run_id, "awaiting_approval")
    await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
    await guarded.callers.wait_for(run_id, "aborted")
    return run_id


async def test_the_app_examines_itself(app: AppHarness) -> None:
    """The same report and exit code as on a workstation, as the app, from where the app is; nothing is changed."""
    versions = await app.versions()

    asked = await keyturn(app.azure, "doctor", "--from-app", "--json")
    # A desk outside the network: it reaches the app and nothing else.
    outside = {"AZURE_KEYVAULT_URL": "", "COSMOS_ENDPOINT": "", "IDENTITY_ENDPOINT": "http://localhost:1"}
    shown = await keyturn(app.azure, "doctor", "--from-app", "--all", **outside)

    outcomes = {line["id"]: line["outcome"] for line in asked.json}
    assert {*LOOKED_AT, *PROBED, *BY_HAND} <= set(outcomes)
    assert [line for line in asked.json if line["outcome"] in ("problem", "warning")] == []
    assert (outcomes["cosmos_patch_right"], outcomes["cosmos_batch_right"]) == ("ok", "ok")
    assert {asked.code, shown.code} == {0}
    assert "cosmos_patch_right" in shown.out
    assert await app.versions() == versions


async def test_a_problem_that_the_app_finds_is_the_exit_code(app: AppHarness) -> None:
    """What is wrong where the app is ends the command as it does on a workstation."""
    app.control("resource_manager", "POST", "backup", json={"type": "Periodic"})
    try:
        asked = await keyturn(app.azure, "doctor", "--from-app", "--json")
    finally:
        app.control("resource_manager", "POST", "backup", json={"type": "Continuous"})

    assert asked.code == 73
    assert [line["id"] for line in asked.json if line["outcome"] == "problem"] == ["backup"]


async def test_one_examination_at_a_time(app: AppHarness) -> None:
    """Each asks the vault for a share of what live traffic needs: of several at once the others are told to wait."""
    answers = await asyncio.gather(*(app.callers.call("POST", "/api/doctor") for _ in range(4)))

    assert sorted({answer.status for answer in answers}) == [200, 429]
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 429} == {"30"}


async def test_a_function_key_alone_gets_no_backup(app: AppHarness) -> None:
    """Without a sign-in the audit could not name who took it."""
    run_id = await app.start()
    await app.callers.wait_for(run_id, "awaiting_approval")
    listed = await keyturn(app.azure, "key-backup", "list", "--from-app", "--json")

    answer = await app.callers.call("POST", f"/api/rotations/{run_id}/key-backup")

    assert run_id in {backup["rotationId"] for backup in listed.json}
    assert "blob" not in json.dumps(listed.json)
    assert (answer.status, answer.body["type"]) == (403, "urn:keyturn:problem:forbidden")


@pytest.mark.xdist_group("guarded")
@pytest.mark.parametrize("role", [READER, REQUESTER])
async def test_only_operators_are_answered(guarded: GuardedApp, backed_up: str, role: str) -> None:
    """No other role examines, lists or takes a backup out; an attempt on a backup is in the audit."""
    person = guarded.person("eve@example.com", role)
    asked = [("POST", "/api/doctor"), ("GET", "/api/key-backups"), ("POST", f"/api/rotations/{backed_up}/key-backup")]

    answers = [await person.call(method, path) for method, path in asked]

    assert [answer.status for answer in answers] == [403, 403, 403]
    refused = [event["data"] for event in await audit(guarded.callers, backed_up) if "attempt_refused" in event["type"]]
    assert ("key_backup", "eve@example.com") in {(data["attempt"], data["by"]) for data in refused}


@pytest.mark.xdist_group("guarded")
async def test_a_backup_is_handed_out_and_announced(guarded: GuardedApp, backed_up: str) -> None:
    """An operator gets the vault's blob, which is stored nowhere on the way; the audit names them, once a day."""
    olga = guarded.person(OLGA, OPERATOR)

    first, second = [await olga.call("POST", f"/api/rotations/{backed_up}/key-backup") for _ in range(2)]
    blob = base64.b64decode(first.body["blob"])
    handed_out = [
        event for event in await audit(guarded.callers, backed_up) if "key_backup_handed_out" in event["type"]
    ]

    assert (first.status, second.body) == (200, first.body)
    assert first.headers["Cache-Control"] == "no-store"
    assert hashlib.sha256(blob).hexdigest() == first.body["sha256"]
    assert [event["data"] for event in handed_out] == [{"by": OLGA, "sha256": first.body["sha256"]}]


@pytest.mark.xdist_group("guarded")
async def test_a_backup_that_is_not_there_is_not_found(guarded: GuardedApp) -> None:
    """A rotation without one, and what is no rotation."""
    olga = guarded.person(OLGA, OPERATOR)
    unknown = [await olga.call("POST", f"/api/rotations/{name}/key-backup") for name in ("x", absent(guarded))]

    assert [answer.status for answer in unknown] == [404, 404]


def absent(app: GuardedApp) -> str:
    """Return the id of a rotation that there is not."""
    return f"{app.keyring}.20260101T000000Z.000000"


async def audit(callers: Callers, run_id: str) -> list[Any]:
    """Return the events of a run's chain."""
    answer = await callers.call("GET", f"/api/rotations/{run_id}/audit")
    return [json.loads(line) for line in str(answer.body).splitlines()]

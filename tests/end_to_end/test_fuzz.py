"""Every route under requests at random, by nobody and with each role: nothing breaks, and nothing changes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

import function_app
from local.callers import Callers
from tests.end_to_end.guarded import APPROVER, OPERATOR, READER, REQUESTER, GuardedApp
from tests.end_to_end.migrating import begin, reach
from tests.end_to_end.requests_at_random import Request, requests_at_random
from tests.triggers.registered import triggers_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("guarded"), pytest.mark.long]

REQUESTS = 15  # for each operation and caller
INSIDES = ("Traceback", "site-packages", ".py", "azure.", "127.0.0.1", "localhost", "vault.azure", "whsec_")
CALLERS: dict[str, tuple[str, ...] | None] = {
    "nobody": None,
    "without a role": (),
    **{role: (role,) for role in (REQUESTER, APPROVER, OPERATOR, READER)},
}


@pytest.fixture(scope="module")
async def held(guarded: GuardedApp) -> AsyncIterator[list[str]]:
    """A rotation that waits for a decision, and a migration that has ended.

    The rotation holds the keyring, so that no start succeeds meanwhile.
    """
    version = await guarded.newest_version()
    migration_id = await begin(guarded, "/api/migrations", kind="rewrap-deks", newVersion=version, dryRun=True)
    await reach(guarded, migration_id, "completed")
    run_id = await guarded.start()
    await guarded.callers.wait_for(run_id, "awaiting_approval")
    yield [run_id, migration_id]
    await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
    await guarded.callers.wait_for(run_id, "aborted")


async def state_of(app: GuardedApp) -> dict[str, Any]:
    """Return what a caller could have changed: runs, what was decided and commanded, versions, rows."""
    selected = "c.id, c.state, c.decision, c.decisions, c.commands, c.requestedBy"
    query = f"SELECT {selected} FROM c WHERE c.kind IN ('rotation', 'migration')"  # noqa: S608 - constant
    found = [item async for item in app.runs.query_items(query)]
    rows = {row["id"]: row["_etag"] async for row in app.rows.read_all_items()}
    return {"versions": await app.versions(), "rows": rows, **{item["id"]: item for item in found}}


def test_every_route_of_the_app_is_tried() -> None:
    """What the app registers for HTTP, by name, method and path, is what requests are made for: a new route too."""
    routes = {
        (name, method.value, f"/api/{trigger['route']}")
        for name, trigger in triggers_of(function_app.app).items()
        if trigger["type"] == "httpTrigger"
        for method in trigger["methods"]
    }
    tried = {(one.operation, one.method, one.route) for one in requests_at_random(1, 0, [], {})}

    assert routes == tried
    assert len(routes) > 20


async def send(person: Callers, request: Request) -> str | None:
    """Send a request and return what is wrong with its answer, if anything."""
    answer = await person.call(request.method, request.path, data=request.body, headers=request.headers)
    said = json.dumps(answer.body)
    if answer.status >= 500:
        return f"{answer.status} {said}: {request}"
    if answer.status >= 400 and (leaked := [inside for inside in INSIDES if inside in said]):
        return f"{leaked} in {said}: {request}"
    return None


@pytest.mark.parametrize("caller", CALLERS)
async def test_nothing_breaks_and_nothing_changes(guarded: GuardedApp, held: list[str], caller: str) -> None:
    """No answer is a 5xx or shows an inside, and no rotation, decision, command or version is another than before."""
    roles = CALLERS[caller]
    person = Callers(guarded.azure.endpoints()) if roles is None else guarded.person("eve@example.com", *roles)
    before = await state_of(guarded)

    # An operator may abort: that is tried on what does not exist.
    leave_alone = {"abort_rotation": held[0]} if roles == (OPERATOR,) else {}
    requests = requests_at_random(REQUESTS, len(caller), held, leave_alone)
    wrong = [said for request in requests if (said := await send(person, request)) is not None]
    if roles is None:
        await person.__aexit__(None, None, None)

    assert wrong == []
    assert await state_of(guarded) == before

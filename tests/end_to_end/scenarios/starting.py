"""Starting: one rotation a keyring at a time, whoever starts it and however often."""

import asyncio
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from keyturn.rotation.schedule import next_occurrence
from local.identity.roles import assigned, container
from local.supervisor.environment import COSMOS_DATABASE as DATABASE
from tests.end_to_end.app_settings import ARCHIVE, ARCHIVE_DEKS, ARCHIVE_MEK
from tests.end_to_end.facts import everything_moved
from tests.end_to_end.scenario_run import Scenario, ScenarioRun, abort, after, approve, started, then

NOT_DUE = "no rotation of keyring notelett is to be started"
ABORTED = "requested preflight creating_version sweeping soaking awaiting_approval aborted"

WAITS = "requested preflight creating_version sweeping soaking awaiting_approval"
ONWARDS = "sweeping soaking awaiting_approval retiring watching completed"


async def _second_start(scenario_run: ScenarioRun) -> None:
    """Another request is refused with the link to the rotation that runs."""
    answer = await scenario_run.callers.request_rotation()

    assert answer.status == HTTPStatus.CONFLICT
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.body["type"] == "urn:keyturn:problem:rotation-running"
    assert answer.body["rotationId"] == scenario_run.run_id
    followed = await scenario_run.callers.call("GET", answer.body["statusUrl"])
    assert followed.body["rotationId"] == scenario_run.run_id


async def _start_with_key(scenario_run: ScenarioRun) -> None:
    headers = {"idempotency-key": "monthly-2026-11"}
    answers = [await scenario_run.callers.request_rotation(headers) for _ in range(2)]
    other = await scenario_run.callers.request_rotation(headers, reason="another")

    assert [answer.status for answer in answers] == [HTTPStatus.ACCEPTED] * 2
    assert answers[0].body == answers[1].body
    assert other.status == HTTPStatus.UNPROCESSABLE_ENTITY
    scenario_run.run_id = answers[0].body["rotationId"]


async def _twenty_starts(scenario_run: ScenarioRun) -> None:
    answers = await asyncio.gather(*(scenario_run.callers.request_rotation() for _ in range(20)))

    taken = [answer.body["rotationId"] for answer in answers if answer.status == HTTPStatus.ACCEPTED]
    refused = [answer for answer in answers if answer.status == HTTPStatus.CONFLICT]
    assert (len(taken), len(refused)) == (1, 19)
    assert {answer.body["rotationId"] for answer in refused} == set(taken)
    scenario_run.run_id = taken[0]


async def _lost_run(scenario_run: ScenarioRun) -> None:
    """Somebody terminates the workflow of a rotation that waits for approval."""
    scenario_run.kept["lost"] = await scenario_run.app.start()
    await scenario_run.callers.wait_for(scenario_run.kept["lost"], "awaiting_approval")
    system_key = scenario_run.app.azure.endpoints()["systemKey"]
    path = f"/runtime/webhooks/durabletask/instances/rotation-{scenario_run.app.keyring}/terminate"
    answer = await scenario_run.callers.call("POST", path, headers={"x-functions-key": system_key})
    assert answer.status == HTTPStatus.ACCEPTED
    scenario_run.enabled_before = {name for name, enabled in (await scenario_run.app.versions()).items() if enabled}


async def _start_beside_the_lost_run(scenario_run: ScenarioRun) -> None:
    """The start is refused, and finds out that the other run has no workflow."""
    answer = await scenario_run.callers.request_rotation()

    assert (answer.status, answer.body["rotationId"]) == (HTTPStatus.CONFLICT, scenario_run.kept["lost"])
    scenario_run.run_id = scenario_run.kept["lost"]


async def _fire_timer(scenario_run: ScenarioRun) -> None:
    answer = await scenario_run.callers.call(
        "POST",
        "/admin/functions/start_due_rotations",
        data=b'{"input": ""}',
        headers={"x-functions-key": scenario_run.app.master_key},
    )
    assert answer.status == HTTPStatus.ACCEPTED


async def _scheduled(scenario_run: ScenarioRun) -> list[str]:
    listed = await scenario_run.callers.call("GET", f"/api/rotations?keyring={scenario_run.app.keyring}&limit=50")
    return [found["rotationId"] for found in listed.body["rotations"] if found["trigger"] == "schedule"]


async def _occurrences_have_passed(scenario_run: ScenarioRun) -> None:
    """Both have: the host may have been started again before the second one."""
    schedule = scenario_run.app.azure.options.settings["ROTATION_SCHEDULE"]

    async def passed() -> bool:
        return next_occurrence(schedule, datetime.now(UTC)) > datetime.now(UTC) + timedelta(days=1)

    await scenario_run.until(passed)


async def _timer_fires_twice(scenario_run: ScenarioRun) -> None:
    """The timer looks twice at once; one rotation is started."""
    before = set(await _scheduled(scenario_run))
    await asyncio.gather(_fire_timer(scenario_run), _fire_timer(scenario_run))

    async def begun() -> bool:
        scenario_run.kept["begun"] = set(await _scheduled(scenario_run)) - before
        return bool(scenario_run.kept["begun"])

    await scenario_run.until(begun)
    (scenario_run.run_id,) = scenario_run.kept["begun"]
    scenario_run.kept["scheduled"] = before | {scenario_run.run_id}


async def _timer_fires_in_vain(scenario_run: ScenarioRun) -> None:
    """While the rotation runs, and after it, the timer finds nothing to do."""
    await _fire_timer(scenario_run)
    await approve(scenario_run)
    await scenario_run.reaches("completed")
    looks = scenario_run.app.log_lines(NOT_DUE)
    await _fire_timer(scenario_run)

    async def looked() -> bool:
        return scenario_run.app.log_lines(NOT_DUE) > looks

    await scenario_run.until(looked)
    assert set(await _scheduled(scenario_run)) == scenario_run.kept["scheduled"]


async def _by_the_schedule(scenario_run: ScenarioRun) -> None:
    status = await scenario_run.status()

    assert (status["trigger"], status["requestedBy"]) == ("schedule", "keyturn-schedule")
    assert status["reason"].startswith("scheduled for ")


async def _second_keyring(scenario_run: ScenarioRun) -> None:
    """There is another MEK with rows of its own, and a rotation of the first keyring is under way."""
    app = scenario_run.app
    await asyncio.to_thread(app.grant, "keyturn", assigned("Keyturn dek store", container(DATABASE, ARCHIVE_DEKS)))
    await app.keys.create_rsa_key(ARCHIVE_MEK, size=2048)
    await app.use(ARCHIVE_MEK, ARCHIVE_DEKS)
    version = await app.newest_version()
    scenario_run.kept["rows"] = [await app.add_row(version) for _ in range(5)]
    scenario_run.enabled_before = {name for name, enabled in (await app.versions()).items() if enabled}


async def _unnamed_then_both(scenario_run: ScenarioRun) -> None:
    """A request must name one of several keyrings; both are rotated side by side."""
    unnamed = await scenario_run.callers.request_rotation()
    assert (unnamed.status, unnamed.body["known"]) == (HTTPStatus.NOT_FOUND, [ARCHIVE, scenario_run.app.keyring])
    await started(scenario_run, keyring=ARCHIVE)
    scenario_run.kept["other"] = await scenario_run.app.start(keyring=scenario_run.app.keyring)
    for run_id in (scenario_run.run_id, scenario_run.kept["other"]):
        await scenario_run.callers.wait_for(run_id, "awaiting_approval")


async def _both_keyrings_stand(scenario_run: ScenarioRun) -> None:
    """Each keyring shows its own last rotation; one that was rotated long ago is overdue, and health says so."""
    assert await _overdue(scenario_run) == {ARCHIVE: False, scenario_run.app.keyring: False}

    document = await scenario_run.app.runs.read_item(scenario_run.run_id, partition_key=ARCHIVE)
    document["requestedAt"] = document["endedAt"] = "2026-01-01T03:00:00Z"
    await scenario_run.app.runs.replace_item(document["id"], document)

    assert await _overdue(scenario_run) == {ARCHIVE: True, scenario_run.app.keyring: False}
    health = await scenario_run.callers.call("GET", "/api/health")
    assert {"status": "ok", "overdue": True}.items() <= health.body.items()


async def _overdue(scenario_run: ScenarioRun) -> dict[str, Any]:
    listed = (await scenario_run.callers.call("GET", "/api/keyrings")).body["keyrings"]
    last = {found["keyring"]: found["lastRotation"]["rotationId"] for found in listed}
    assert {ARCHIVE: scenario_run.run_id, scenario_run.app.keyring: scenario_run.kept["other"]} == last
    return {found["keyring"]: found["overdue"] for found in listed}


async def _abort_other(scenario_run: ScenarioRun) -> None:
    assert (await scenario_run.callers.command(scenario_run.kept["other"], "abort")).status == HTTPStatus.ACCEPTED
    await scenario_run.callers.wait_for(scenario_run.kept["other"], "aborted")


SCENARIOS = {
    "nothing is in the way: through all states, every row moved, the old version disabled": Scenario(
        facts=(everything_moved,)
    ),
    "a second start while one runs: refused with the link to the first; an abort then ends it": Scenario(
        callers=after("awaiting_approval", then(_second_start, abort)), path=ABORTED
    ),
    "a start with an Idempotency-Key comes twice: the first answer again; with another body: refused": Scenario(
        start=_start_with_key, callers=after("awaiting_approval", abort), path=ABORTED
    ),
    "twenty starts at once: one runs": Scenario(
        start=_twenty_starts, callers=after("awaiting_approval", abort), path=ABORTED
    ),
    "a rotation has lost its workflow: the next start is refused, and the rotation goes on": Scenario(
        prepared=_lost_run,
        start=_start_beside_the_lost_run,
        path=f"{WAITS} needs_attention {ONWARDS}",
        facts=(everything_moved,),
    ),
    "occurrences passed while the app was down: the tick starts one rotation, and no tick a second": Scenario(
        settings="due while down",
        prepared=_occurrences_have_passed,
        start=_timer_fires_twice,
        callers=_timer_fires_in_vain,
        facts=(_by_the_schedule, everything_moved),
    ),
    "several keyrings: rotated side by side, each its own rows, each with its own schedule": Scenario(
        settings="two keyrings",
        prepared=_second_keyring,
        start=_unnamed_then_both,
        callers=then(_abort_other, approve),
        facts=(everything_moved, _both_keyrings_stand),
    ),
}

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
from tests.end_to_end.play import Play, Scenario, abort, after, approve, started, then

NOT_DUE = "no rotation of keyring notelett is to be started"
ABORTED = "requested preflight creating_version sweeping soaking awaiting_approval aborted"


async def _second_start(play: Play) -> None:
    """Another request is refused with the link to the rotation that runs."""
    answer = await play.people.request_rotation()

    assert answer.status == HTTPStatus.CONFLICT
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.body["type"] == "urn:keyturn:problem:rotation-running"
    assert answer.body["rotationId"] == play.run_id
    followed = await play.people.call("GET", answer.body["statusUrl"])
    assert followed.body["rotationId"] == play.run_id


async def _start_with_key(play: Play) -> None:
    headers = {"idempotency-key": "monthly-2026-11"}
    answers = [await play.people.request_rotation(headers) for _ in range(2)]
    other = await play.people.request_rotation(headers, reason="another")

    assert [answer.status for answer in answers] == [HTTPStatus.ACCEPTED] * 2
    assert answers[0].body == answers[1].body
    assert other.status == HTTPStatus.UNPROCESSABLE_ENTITY
    play.run_id = answers[0].body["rotationId"]


async def _twenty_starts(play: Play) -> None:
    answers = await asyncio.gather(*(play.people.request_rotation() for _ in range(20)))

    taken = [answer.body["rotationId"] for answer in answers if answer.status == HTTPStatus.ACCEPTED]
    refused = [answer for answer in answers if answer.status == HTTPStatus.CONFLICT]
    assert (len(taken), len(refused)) == (1, 19)
    assert {answer.body["rotationId"] for answer in refused} == set(taken)
    play.run_id = taken[0]


async def _lost_run(play: Play) -> None:
    """Somebody terminates the workflow of a rotation that waits for approval."""
    play.kept["lost"] = await play.stage.start()
    await play.people.wait_for(play.kept["lost"], "awaiting_approval")
    system_key = play.stage.azure.endpoints()["systemKey"]
    path = f"/runtime/webhooks/durabletask/instances/rotation-{play.stage.keyring}/terminate"
    answer = await play.people.call("POST", path, headers={"x-functions-key": system_key})
    assert answer.status == HTTPStatus.ACCEPTED
    play.enabled_before = {name for name, enabled in (await play.stage.versions()).items() if enabled}


async def _lost_run_has_failed(play: Play) -> None:
    status = await play.people.status(play.kept["lost"])

    assert (status["state"], status["error"]["type"]) == ("failed", "WorkflowLostError")


async def _fire_timer(play: Play) -> None:
    answer = await play.people.call(
        "POST",
        "/admin/functions/start_due_rotations",
        data=b'{"input": ""}',
        headers={"x-functions-key": play.stage.master_key},
    )
    assert answer.status == HTTPStatus.ACCEPTED


async def _scheduled(play: Play) -> list[str]:
    listed = await play.people.call("GET", f"/api/rotations?keyring={play.stage.keyring}&limit=50")
    return [found["rotationId"] for found in listed.body["rotations"] if found["trigger"] == "schedule"]


async def _occurrences_have_passed(play: Play) -> None:
    """Both have: the host may have been started again before the second one."""
    schedule = play.stage.azure.options.settings["ROTATION_SCHEDULE"]

    async def passed() -> bool:
        return next_occurrence(schedule, datetime.now(UTC)) > datetime.now(UTC) + timedelta(days=1)

    await play.until(passed)


async def _timer_fires_twice(play: Play) -> None:
    """The timer looks twice at once; one rotation is started."""
    before = set(await _scheduled(play))
    await asyncio.gather(_fire_timer(play), _fire_timer(play))

    async def begun() -> bool:
        play.kept["begun"] = set(await _scheduled(play)) - before
        return bool(play.kept["begun"])

    await play.until(begun)
    (play.run_id,) = play.kept["begun"]
    play.kept["scheduled"] = before | {play.run_id}


async def _timer_fires_in_vain(play: Play) -> None:
    """While the rotation runs, and after it, the timer finds nothing to do."""
    await _fire_timer(play)
    await approve(play)
    await play.reaches("completed")
    looks = play.stage.log_lines(NOT_DUE)
    await _fire_timer(play)

    async def looked() -> bool:
        return play.stage.log_lines(NOT_DUE) > looks

    await play.until(looked)
    assert set(await _scheduled(play)) == play.kept["scheduled"]


async def _by_the_schedule(play: Play) -> None:
    status = await play.status()

    assert (status["trigger"], status["requestedBy"]) == ("schedule", "keyturn-schedule")
    assert status["reason"].startswith("scheduled for ")


async def _second_keyring(play: Play) -> None:
    """There is another MEK with rows of its own, and a rotation of the first keyring is under way."""
    stage = play.stage
    await asyncio.to_thread(stage.grant, "keyturn", assigned("Keyturn dek store", container(DATABASE, ARCHIVE_DEKS)))
    await stage.keys.create_rsa_key(ARCHIVE_MEK, size=2048)
    await stage.use(ARCHIVE_MEK, ARCHIVE_DEKS)
    version = await stage.newest_version()
    play.kept["rows"] = [await stage.add_row(version) for _ in range(5)]
    play.enabled_before = {name for name, enabled in (await stage.versions()).items() if enabled}


async def _unnamed_then_both(play: Play) -> None:
    """A request must name one of several keyrings; both are rotated side by side."""
    unnamed = await play.people.request_rotation()
    assert (unnamed.status, unnamed.body["known"]) == (HTTPStatus.NOT_FOUND, [ARCHIVE, play.stage.keyring])
    await started(play, keyring=ARCHIVE)
    play.kept["other"] = await play.stage.start(keyring=play.stage.keyring)
    for run_id in (play.run_id, play.kept["other"]):
        await play.people.wait_for(run_id, "awaiting_approval")


async def _both_keyrings_stand(play: Play) -> None:
    """Each keyring shows its own last rotation; one that was rotated long ago is overdue, and health says so."""
    assert await _overdue(play) == {ARCHIVE: False, play.stage.keyring: False}

    document = await play.stage.runs.read_item(play.run_id, partition_key=ARCHIVE)
    document["requestedAt"] = document["endedAt"] = "2026-01-01T03:00:00Z"
    await play.stage.runs.replace_item(document["id"], document)

    assert await _overdue(play) == {ARCHIVE: True, play.stage.keyring: False}
    health = await play.people.call("GET", "/api/health")
    assert health.body == {"status": "ok", "overdue": True}


async def _overdue(play: Play) -> dict[str, Any]:
    listed = (await play.people.call("GET", "/api/keyrings")).body["keyrings"]
    last = {found["keyring"]: found["lastRotation"]["rotationId"] for found in listed}
    assert last == {ARCHIVE: play.run_id, play.stage.keyring: play.kept["other"]}
    return {found["keyring"]: found["overdue"] for found in listed}


async def _abort_other(play: Play) -> None:
    assert (await play.people.command(play.kept["other"], "abort")).status == HTTPStatus.ACCEPTED
    await play.people.wait_for(play.kept["other"], "aborted")


SCENARIOS = {
    "nothing is in the way: through all states, every row moved, the old version disabled": Scenario(
        facts=(everything_moved,)
    ),
    "a second start while one runs: refused with the link to the first; an abort then ends it": Scenario(
        people=after("awaiting_approval", then(_second_start, abort)), path=ABORTED
    ),
    "a start with an Idempotency-Key comes twice: the first answer again; with another body: refused": Scenario(
        start=_start_with_key, people=after("awaiting_approval", abort), path=ABORTED
    ),
    "twenty starts at once: one runs": Scenario(
        start=_twenty_starts, people=after("awaiting_approval", abort), path=ABORTED
    ),
    "a rotation has lost its workflow: the next start ends it as failed, and begins": Scenario(
        prepared=_lost_run, facts=(_lost_run_has_failed, everything_moved)
    ),
    "occurrences passed while the app was down: the tick starts one rotation, and no tick a second": Scenario(
        settings="due while down",
        prepared=_occurrences_have_passed,
        start=_timer_fires_twice,
        people=_timer_fires_in_vain,
        facts=(_by_the_schedule, everything_moved),
    ),
    "several keyrings: rotated side by side, each its own rows, each with its own schedule": Scenario(
        settings="two keyrings",
        prepared=_second_keyring,
        start=_unnamed_then_both,
        people=then(_abort_other, approve),
        facts=(everything_moved, _both_keyrings_stand),
    ),
}

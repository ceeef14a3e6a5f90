"""Messages about a rotation: in order, once, whatever dies and whichever channel fails."""

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.waits import messages, noticed, settled

pytestmark = pytest.mark.end_to_end
SENT = ["started", "approval_wanted", "approved", "retired", "completed"]


def titles(app: AppHarness, run_id: str, channel: str) -> list[str]:
    """Return their titles."""
    return [item["title"] for item in messages(app, run_id, channel)]


async def test_messages_come_in_order_and_once_though_the_host_dies(azure: LocalAzure, app: AppHarness) -> None:
    """A host that dies after messages were sent sends none of them twice, and leaves none out."""
    app.arm("functions_host", operation="notify", kind="kill_after")

    async with app.keep_alive(azure, "functions_host") as restarts:
        run_id = await app.start()
        waiting = await app.callers.wait_for(run_id, "awaiting_approval")
        await settled(app, run_id, "approval_wanted")
        app.arm("functions_host", operation="notify", kind="kill_after")
        await app.callers.decide(run_id, waiting["evidenceDigest"])
        await app.callers.wait_for(run_id, "completed")
        found = await settled(app, run_id)

    assert restarts.count == 2
    assert [notice["event"] for notice in found] == ["on_call", *SENT]
    assert {channel["outcome"] for notice in found for channel in notice["channels"]} == {"sent"}
    assert titles(app, run_id, "everything") == [
        "Keyturn: rotation of notelett has begun",
        "Keyturn: please decide on the rotation of notelett",
        "Keyturn: rotation of notelett is approved",
        "Keyturn: old key versions of notelett are retired",
        "Keyturn: rotation of notelett is complete",
    ]
    assert titles(app, run_id, "sam@example.com") == ["Keyturn: please decide on the rotation of notelett"]
    assert titles(app, run_id, "on-call") == [
        "Keyturn: a rotation of notelett is about to begin",
        "Keyturn: please decide on the rotation of notelett",
    ]


async def test_a_failing_channel_is_visible_and_harmless(app: AppHarness) -> None:
    """A channel that answers nothing but errors keeps nothing from completing, and the record names it."""
    app.arm("inbox", operation="everything", kind="status", status=503, count=None)
    try:
        run_id = (await app.rotate())["rotationId"]
        channels = {notice["event"]: notice["channels"] for notice in await settled(app, run_id)}
    finally:
        app.control("inbox", "DELETE", "faults")

    failed = {"setting": "NOTIFICATION_URLS", "number": 1, "scheme": "json", "outcome": "failed", "error": "HTTP 503"}
    sent = {"setting": "ON_CALL_URLS", "number": 1, "scheme": "json", "outcome": "sent", "error": None}
    assert channels["completed"] == [failed]
    assert channels["approval_wanted"][:2] == [failed, sent]
    assert titles(app, run_id, "everything") == []


async def test_a_rotation_does_not_begin_while_no_one_on_call_is_reached(app: AppHarness) -> None:
    """The on-call check of pre-flight is the one place where a channel that fails has a say."""
    versions = await app.versions()
    app.arm("inbox", operation="on-call", kind="status", status=503, count=None)
    try:
        run_id = await app.start()
        status = await app.callers.wait_for(run_id, "blocked")
    finally:
        app.control("inbox", "DELETE", "faults")

    assert status["failedChecks"] == ["on_call_notified"]
    assert await app.versions() == versions


async def test_a_host_that_dies_while_sending_does_not_send_twice(azure: LocalAzure, app: AppHarness) -> None:
    """A message that was on its way when the host died is marked as interrupted; the rotation goes on."""
    app.arm("inbox", operation="everything", kind="delay", delayMs=3500)  # the sender gives up after 4 s
    run_id = await app.start()
    await noticed(app, run_id, lambda found: found[-1]["event"] == "started")

    azure.processes["functions_host"].kill()
    azure.start("functions_host")
    await app.approve(run_id)
    started = next(notice for notice in await settled(app, run_id) if notice["event"] == "started")

    assert [channel["outcome"] for channel in started["channels"]] == ["interrupted"]
    assert titles(app, run_id, "everything").count("Keyturn: rotation of notelett has begun") <= 1

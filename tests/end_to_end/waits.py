"""What tests of the whole app wait for: messages, a tick of the schedule, the middle of a sweep."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from typing import Any

from azure.cosmos.exceptions import CosmosResourceNotFoundError

from keyturn.audit.chain import Head
from local.callers import POLL_SECONDS
from tests.end_to_end.app_harness import SECONDS, AppHarness
from tests.invariants.traces import messages_of

LOOK_SECONDS = 0.05
WANTED, COMPLETED = "Keyturn: please decide on the rotation of notelett", "Keyturn: rotation of notelett is complete"
LOOKED = "the schedule was looked at for every keyring"


def messages(app: AppHarness, run_id: str, channel: str) -> list[dict[str, str]]:
    """Return the messages about the run that arrived on a channel of the inbox."""
    arrived = app.control("inbox", "GET", "messages")["messages"]
    return [item for item in arrived if item["channel"] == channel and run_id in item["message"]]


async def notices(app: AppHarness, run_id: str) -> list[dict[str, Any]]:
    """Return what the run's record says of the messages."""
    found: list[dict[str, Any]] = (await app.callers.report(run_id))["record"]["notifications"]
    return found


async def settled(app: AppHarness, run_id: str, last: str = "completed") -> list[dict[str, Any]]:
    """Return the notices when the last message, which follows the change of state, was sent."""

    def sent(found: list[dict[str, Any]]) -> bool:
        return found[-1]["event"] == last and all(item["outcome"] != "sending" for item in found[-1]["channels"])

    notices: list[dict[str, Any]] = await noticed(app, run_id, sent)
    return notices


async def noticed(app: AppHarness, run_id: str, condition: Callable[[list[dict[str, Any]]], bool]) -> Any:
    """Return the notices, of which there is one at least, once the condition holds for them."""
    deadline = time.monotonic() + SECONDS
    while not (found := await notices(app, run_id)) or not condition(found):
        assert time.monotonic() < deadline, f"the notices were not as expected in time: {found}"
        await asyncio.sleep(LOOK_SECONDS)
    return found


async def all_heads(app: AppHarness, run_id: str) -> dict[str, Head]:
    """Wait for the last message, which follows the last event and its anchor, and return the heads."""
    deadline = time.monotonic() + SECONDS
    while COMPLETED not in (heads := heads_sent(app, run_id)):
        assert time.monotonic() < deadline, f"the end was not announced, only {sorted(heads)}"
        await asyncio.sleep(POLL_SECONDS)
    return heads


def heads_sent(app: AppHarness, run_id: str) -> dict[str, Head]:
    """Return the head of the chain in each message about the rotation, by the message's title."""
    sent = [item for item in messages_of(app) if item["channel"] == "everything" and run_id in item["message"]]
    found = {item["title"]: re.search(r"^Audit chain: (\S+)$", item["message"], re.MULTILINE) for item in sent}
    return {title: Head.parse(match[1]) for title, match in found.items() if match is not None}


async def tick(app: AppHarness) -> None:
    """Let the schedule's tick look at the keyring anew, and wait until it has."""
    with contextlib.suppress(CosmosResourceNotFoundError):
        await app.runs.delete_item("drift", partition_key=app.keyring)
    looks, deadline = app.log_lines(LOOKED), time.monotonic() + SECONDS
    headers = {"x-functions-key": app.master_key}
    path = "/admin/functions/start_due_rotations"
    assert (await app.callers.call("POST", path, data=b'{"input": ""}', headers=headers)).status == 202
    while app.log_lines(LOOKED) == looks:
        assert time.monotonic() < deadline, "the tick did not end well in time"
        await asyncio.sleep(POLL_SECONDS)


async def until_rows_moved(app: AppHarness, run_id: str) -> None:
    """Wait until the sweep has rewrapped some rows, and not all."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        census = await app.census()
        target = (await app.callers.status(run_id))["targetVersion"]
        if 0 < census.get(str(target), 0) < census.total():
            return
    raise AssertionError("the sweep did not get to its middle")

"""``make demo INTERACTIVE=1``: a person decides, on the approver's page or the console."""

import asyncio
import json
import re
from typing import Any

import aiohttp
from rich.console import Console

from local.callers import POLL_SECONDS, Callers
from local.demo.run import REQUESTER
from local.supervisor import LocalAzure
from local.supervisor.environment import APPROVER

_LINK = re.compile(r"https?://\S+/approval\?token=\S+")
LOOKS = 150  # at the inbox, POLL_SECONDS apart


class Person:
    """The person who runs the demo."""

    def __init__(self, console: Console, azure: LocalAzure) -> None:
        self._console, self._inbox = console, azure.layout.url("inbox")

    async def decide(self, callers: Callers, waiting: dict[str, Any]) -> None:
        """Tell where to decide, and leave it at that."""
        run_id = waiting["rotationId"]
        asked = json.dumps({"requestedBy": REQUESTER, "runId": run_id}).encode()
        console = await callers.call("POST", "/api/console/links", data=asked)
        for title, address in {
            f"To decide, as {APPROVER}:": await self._approvers_link(run_id),
            f"To look, as {REQUESTER}, on the console:": console.body["url"],
        }.items():
            self._console.print(f"[bold]{title}[/]")
            self._console.print(f"  {address}", highlight=False, soft_wrap=True)
        self._console.print("It waits for you; Ctrl-C ends the demo.")

    async def _approvers_link(self, run_id: str) -> str:
        """Return the link that the approver was sent; raises TimeoutError where none arrives."""
        async with aiohttp.ClientSession() as session:
            for _ in range(LOOKS):
                async with session.get(f"{self._inbox}/_control/messages") as answer:
                    messages = (await answer.json())["messages"]
                found = [link for one in messages for link in _LINK.findall(one["message"]) if run_id in link]
                if found:
                    return str(found[-1])
                await asyncio.sleep(POLL_SECONDS)
        raise TimeoutError(f"no link to decide on {run_id} arrived")

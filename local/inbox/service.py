"""``POST /channels/{channel}`` takes what apprise sends by ``json://``, ``GET /_control/messages`` shows it.

The operation of a fault is the channel's name, so that one channel can fail while another works.
"""

import json
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import add_health


class Message(BaseModel):
    """What is kept of a message."""

    title: str
    message: str
    type: str


class InboxService:
    """An inbox whose messages survive a restart."""

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._path = state / "messages.jsonl"
        self._path.touch()

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        faults = Faults()
        app = web.Application(middlewares=[faults.middleware(_channel)])
        add_health(app, "inbox")
        faults.add_routes(app)
        app.router.add_post("/channels/{channel}", self._receive)
        app.router.add_get(f"{CONTROL_PREFIX}messages", self._show)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            message = Message.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": error.errors(include_url=False, include_input=False)}, status=400)
        kept = {"channel": request.match_info["channel"], **message.model_dump()}
        with self._path.open("a") as file:
            file.write(json.dumps(kept) + "\n")
        return web.Response(status=204)

    async def _show(self, _request: web.Request) -> web.Response:
        messages: list[Any] = [json.loads(line) for line in self._path.read_text().splitlines()]
        return web.json_response({"messages": messages})


def _channel(request: web.Request) -> str:
    return request.match_info.get("channel", "")

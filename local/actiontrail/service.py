"""The HTTP side: ``POST /events`` takes one event, ``GET /_control/events`` shows what was taken."""

import json
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook, WebhookVerificationError

from local.actiontrail.event_log import EventLog
from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import add_health

# What a receiver must accept at least (CloudEvents 1.0, "Size limits"); here it is all that is accepted.
EVENT_BYTES_MAX = 64 * 1024


class ActiontrailService:
    """A receiver that believes nothing without a signature."""

    def __init__(self, state: Path, secrets: Sequence[str]) -> None:
        self._event_log = EventLog(state / "events.jsonl")
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._repeated = 0

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        faults = Faults()
        app = web.Application(
            middlewares=[faults.middleware(lambda _request: "receive")], client_max_size=EVENT_BYTES_MAX
        )
        add_health(app, "actiontrail")
        faults.add_routes(app)
        app.router.add_post("/events", self._receive)
        app.router.add_get(f"{CONTROL_PREFIX}events", self._show)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not any(_signed(webhook, body, headers) for webhook in self._webhooks):
            return web.json_response({"error": "the message is not signed by a secret that is known here"}, status=401)
        if request.content_type != JSONFormat.CONTENT_TYPE:
            return web.json_response({"error": f"content-type: expected {JSONFormat.CONTENT_TYPE}"}, status=415)
        try:
            event = from_structured_event(HTTPMessage(headers=headers, body=body))
        except (ValueError, TypeError, AttributeError, BaseCloudEventException) as error:
            return web.json_response({"error": f"the body is no CloudEvent: {type(error).__name__}"}, status=400)
        if event.get_id() != headers["webhook-id"]:
            return web.json_response({"error": "webhook-id: expected the id of the event"}, status=400)
        if not self._event_log.add(event.get_id(), json.loads(body)):
            self._repeated += 1
        return web.Response(status=204)

    async def _show(self, request: web.Request) -> web.Response:
        events = [json.loads(line) for line in self._event_log.lines]
        subject = request.query.get("subject")
        shown = [event for event in events if subject is None or event.get("subject") == subject]
        return web.json_response({"events": shown, "repeated": self._repeated})


def _signed(webhook: Webhook, body: bytes, headers: dict[str, str]) -> bool:
    try:
        webhook.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: the library trips over malformed headers and bodies
        return False
    return True

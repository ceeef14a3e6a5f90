"""Visits to the console: its routes as a browser sees them, with what the browser keeps."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import azure.functions as func

import triggers
from keyturn.access.identity import HEADER
from keyturn.contracts.states import State
from keyturn.runs.records import RotationRecord
from tests.invariants.engine import registered
from tests.invariants.harness import ActivityHarness
from tests.keyturn.access.principals import header_of
from tests.keyturn.runs.lifecycle import PATHS, start_run, step_to
from tests.local.task_hub.hub_process import HubProcess

SECRET = "whsec_" + "QUJD" * 8


class Console:
    """The app's routes, as a browser sees them."""

    def __init__(self, harness: ActivityHarness, hub: HubProcess) -> None:
        self.harness, self._hub = harness, hub
        self.cookie = ""
        self.principal: str | None = None

    def set(self, **settings: Any) -> None:
        """Change settings."""
        self.harness.resources.settings = self.harness.resources.settings.model_copy(update=settings)

    def sign_in(self, *roles: str) -> None:
        """Let people sign in, and be one of them with these roles."""
        self.set(keyturn_access="entra", website_auth_enabled=True)
        self.principal = header_of(*roles)

    async def send(self, function: str, method: str, path: str, body: bytes = b"", **headers: str) -> func.HttpResponse:
        """Call a route with what the browser has."""
        url = urlsplit(path)
        path = url._replace(scheme="", netloc="").geturl()  # links are absolute where a public URL is set
        named = url.path.removeprefix("/api/console").strip("/").split("/")
        places = {
            "show_console_keyring": ("", "keyring"),
            "confirm_console_order": ("", "order", "subject"),
            "give_console_order": ("", "order", "subject"),
        }.get(function, ("", "run_id"))
        known = {"cookie": self.cookie, HEADER: self.principal or ""}
        request = func.HttpRequest(
            method,
            f"https://app.example{path}",
            headers={**{name: value for name, value in known.items() if value}, **headers},
            params=dict(part.split("=", 1) for part in url.query.split("&") if part),
            route_params=dict(zip(places, named, strict=False)),
            body=body,
        )
        binding = {"client": json.dumps({"taskHubName": "tests", "rpcBaseUrl": self._hub.address})}
        answering: Callable[..., Any] = registered(triggers)[function]
        given = binding if function == "give_console_order" else {}
        answer: func.HttpResponse = await answering(req=request, **given)
        return answer

    async def link(self, **body: str) -> str:
        """Ask for a link with the function key, and return its address."""
        answer = await self.send("make_console_link", "POST", "/api/console/links", json.dumps(body).encode())
        assert answer.status_code == 201, answer.get_body()
        return str(json.loads(answer.get_body())["url"])

    async def enter(self, by: str = "dana@example.com") -> None:
        """Open a link, and keep the cookie."""
        opened = await self.send("show_console", "GET", await self.link(requestedBy=by))
        assert (opened.status_code, opened.headers["Location"]) == (303, "/api/console")
        self.cookie = opened.headers["Set-Cookie"].partition(";")[0]

    async def see(self, path: str, function: str = "show_console_run") -> tuple[int, str]:
        """Return the status of a page, and its text."""
        answer = await self.send(function, "GET", path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        return answer.status_code, unescape(answer.get_body().decode())

    async def order(self, order: str, subject: str, form: str | None = None, **headers: str) -> func.HttpResponse:
        """Confirm an order, as the page's form does, or with another token."""
        path = f"/api/console/orders/{order}/{subject}"
        if form is None:
            status, page = await self.see(path, "confirm_console_order")
            assert status == 200, page
            [form] = re.findall(r'name="form" value="([^"]+)"', page)
        sent = urlencode({"form": form, "reason": "monthly"}).encode()
        return await self.send("give_console_order", "POST", path, sent, **headers)

    async def run(self, state: State, **changed: Any) -> RotationRecord:
        """Return a rotation in the state, with these facts in its record."""
        record = await start_run(self.harness.runs, self.harness.keyring)
        for target in PATHS[state]:
            record = await step_to(self.harness.runs, record, target)
        return await self.harness.runs.update(record.run_id, lambda found: found.changed(**changed))

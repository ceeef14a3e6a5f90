"""The console's door: who comes in, and that every answer is a page, whatever comes of it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urlsplit

import azure.functions as func

from keyturn.access.caller import identify
from keyturn.access.identity import HEADER
from keyturn.console import sessions
from keyturn.console.charts import moment
from keyturn.console.sessions import Visitor
from keyturn.errors import ResourceMissingError
from keyturn.html import HEADERS, render
from keyturn.http import problem_of
from keyturn.ids import CONSOLE, kind_of
from keyturn.resources import Resources, process_resources
from triggers.http import sender_of

type Work = Callable[[Resources, Visitor], Awaitable[func.HttpResponse]]


async def handle_visit(req: func.HttpRequest, route: str, work: Work) -> func.HttpResponse:
    """Answer with a page, whatever comes of it."""
    visitor = None
    try:
        resources = await process_resources()
        if resources.settings.keyturn_access == "keys" and req.method == "GET" and "token" in req.params:
            return await _opened(req, resources)
        visitor = await _visitor(req, resources)
        visitor.caller.require_role(route)
        return await work(resources, visitor)
    except Exception as error:  # noqa: BLE001 - the edge of the app: every failure becomes an answer, and is logged there
        problem = problem_of(error, instance=urlsplit(req.url).path)
    run_id = req.route_params.get("run_id", "")
    if problem.body.get("hint") == sessions.HOW_IN and kind_of(run_id) is not None:
        problem.body["hint"] = f"{sessions.HOW_IN} {run_id}"  # back to this very page
    return page("problem", visitor, status=problem.status, headers=problem.headers, problem=problem.body)


async def _opened(req: func.HttpRequest, resources: Resources) -> func.HttpResponse:
    """Open the session of the link, and lead to the same page without the token."""
    token = await sessions.open_session(
        resources.every_run.documents,
        req.params["token"],
        resources.settings.approval_secrets(),
        sender=sender_of(req),
        now=datetime.now(UTC),
    )
    lasts = int(sessions.SESSION_LASTS.total_seconds())
    # Lax, because links in messages lead here from other sites: what changes anything is a POST, which Lax keeps out.
    cookie = f"{sessions.COOKIE}={token}; Path={CONSOLE}; Max-Age={lasts}; HttpOnly; Secure; SameSite=Lax"
    rest = urlencode({name: value for name, value in req.params.items() if name != "token"})
    path = f"/{urlsplit(req.url).path.lstrip('/')}"  # with two slashes it would be another site's address
    return led_to(f"{path}{f'?{rest}' if rest else ''}", {"Set-Cookie": cookie})


async def _visitor(req: func.HttpRequest, resources: Resources) -> Visitor:
    caller = identify(resources.settings, req.headers.get(HEADER))
    if (principal := caller.principal) is not None:
        return Visitor(caller, principal.name, f"person {principal.object_id}")
    return await sessions.visitor_of(
        resources.every_run.documents,
        _cookie(req),
        resources.settings.approval_secrets(),
        sender=sender_of(req),
        now=datetime.now(UTC),
    )


def _cookie(req: func.HttpRequest) -> str | None:
    try:
        found = SimpleCookie(req.headers.get("cookie", "")).get(sessions.COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def signing_secrets(resources: Resources) -> list[str]:
    """Return what links and forms are signed with; raises ResourceMissingError."""
    if secrets := resources.settings.approval_secrets():
        return secrets
    setting, hint = "APPROVAL_WEBHOOK_SECRETS", "set it: docs/deploy.md says how a secret is made"
    raise ResourceMissingError(f"{setting} is not set: there is nothing to sign with", resource=setting, hint=hint)


def led_to(path: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Lead to another page, so that nothing is sent again when that one is loaded again."""
    there = {**HEADERS, "Location": path, **(headers or {})}
    return func.HttpResponse("", status_code=HTTPStatus.SEE_OTHER, headers=there)


def page(
    name: str,
    visitor: Visitor | None,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> func.HttpResponse:
    """Answer with a page of the console."""
    text = render(f"console/{name}.html", visitor=visitor, now=moment(datetime.now(UTC)), **values)
    return func.HttpResponse(
        text, status_code=status, headers={**HEADERS, **(headers or {})}, mimetype="text/html", charset="utf-8"
    )

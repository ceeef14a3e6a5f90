"""The approver's page: a link with a token opens it, and its form sends one decision.

Open to callers without a function key, because the link is for a person's browser: the token stands in for the key.
Where Entra ID signs people in, the token's approver must be who is signed in.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.approval.page import HEADERS, approval_page, decided_page, problem_page
from keyturn.approval.submission import LinkRequest, decide_by_link, open_link
from keyturn.errors import InvalidRequestError
from keyturn.http import problem_of
from keyturn.resources import Resources
from orchestrators.waiting import DECISION_EVENT
from triggers.access import Work, admitted
from triggers.http import read_body, sender_of
from triggers.workflow import wake

bp = df.Blueprint()

_FIELDS_MAX = 10


@bp.route(route="rotations/{rotation_id}/approval", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_approval(req: func.HttpRequest) -> func.HttpResponse:
    """Show a rotation's evidence to whom the link was made for."""
    return await _show(req, "show_approval")


@bp.route(route="rotations/{rotation_id}/approval", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def decide_approval(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Take the decision on a rotation that the form holds."""
    return await _decide(req, client, "decide_approval")


@bp.route(route="migrations/{rotation_id}/approval", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_restore_approval(req: func.HttpRequest) -> func.HttpResponse:
    """Show a restore's evidence to whom the link was made for."""
    return await _show(req, "show_restore_approval")


@bp.route(route="migrations/{rotation_id}/approval", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def decide_restore_approval(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Take the decision on a restore that the form holds."""
    return await _decide(req, client, "decide_restore_approval")


async def _show(req: func.HttpRequest, route: str) -> func.HttpResponse:
    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        token = req.params.get("token", "")
        secrets = resources.settings.link_secrets()
        link, record = await open_link(
            resources.every_run, _link_request(req, token, caller), secrets=secrets, now=datetime.now(UTC)
        )
        reader = caller.principal.name if caller.principal is not None else link.approver
        return _html(approval_page(record, link, token, reader))

    return await _handle(req, route, work)


async def _decide(req: func.HttpRequest, client: df.DurableFunctionsClient, route: str) -> func.HttpResponse:
    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        form = _form(req)
        record = await decide_by_link(
            resources.every_run,
            _link_request(req, form.get("token", ""), caller),
            form.get("decision"),
            form.get("comment", ""),
            secrets=resources.settings.link_secrets(),
            wake=lambda decided: wake(client, decided, DECISION_EVENT),
            now=datetime.now(UTC),
        )
        return _html(decided_page(record, form["decision"]))

    return await _handle(req, route, work)


def _link_request(req: func.HttpRequest, token: str, caller: Caller) -> LinkRequest:
    return LinkRequest(req.route_params["rotation_id"], token, caller, sender_of(req))


def _form(req: func.HttpRequest) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            read_body(req).decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError:
        expected = "a form, as a browser sends it"
        raise InvalidRequestError(f"the body is not {expected}", field="body", expected=expected) from None
    return dict(pairs)


async def _handle(req: func.HttpRequest, route: str, work: Work) -> func.HttpResponse:
    """Answer with a page, whatever comes of it."""
    try:
        return await admitted(req, route, work)()
    except Exception as error:  # noqa: BLE001 - the edge of the app: every failure becomes an answer, and is logged there
        problem = problem_of(error, instance=urlsplit(req.url).path)
    return _html(problem_page(problem), status=problem.status, headers=problem.headers)


def _html(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        text, status_code=status, headers={**HEADERS, **(headers or {})}, mimetype="text/html", charset="utf-8"
    )

"""The approver's page: a link with a token opens it, and its form sends one decision.

Open to callers without a function key, because the link is for a person's browser: the token stands in for the key.
Where Entra ID signs people in, the token's approver must be who is signed in.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.approval.links import Link, read_token
from keyturn.approval.page import Created, approval_page, outcome_page, problem_page
from keyturn.approval.questions import outcome_of
from keyturn.approval.submission import LinkRequest, decide_by_link, open_link
from keyturn.errors import AlreadyDecidedError, KeyturnError
from keyturn.html import HEADERS
from keyturn.http import problem_of
from keyturn.resources import Resources
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import ACKNOWLEDGED_MAX
from orchestrators.waiting import DECISION_EVENT
from triggers.access import Work, admitted
from triggers.http import read_form, sender_of
from triggers.workflow import wake

bp = df.Blueprint()

_FIELDS_MAX = ACKNOWLEDGED_MAX + 10
DATES_SECONDS = 3.0  # for which an approver waits for a vault; a list of versions takes a tenth of one

_log = logging.getLogger(__name__)


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
        link, record = await _open(resources, _link_request(req, token, caller))
        if _settled(link, record):
            return _html(outcome_page(record, link))
        reader = caller.principal.name if caller.principal is not None else link.approver
        return _html(approval_page(record, link, token, reader, await _created(resources, record)))

    return await _handle(req, route, work)


async def _decide(req: func.HttpRequest, client: df.DurableFunctionsClient, route: str) -> func.HttpResponse:
    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        form = read_form(req, _FIELDS_MAX)
        link_request = _link_request(req, _one(form, "token"), caller)
        secrets = resources.settings.link_secrets()
        try:
            record = await decide_by_link(
                resources.every_run,
                link_request,
                _one(form, "decision"),
                _one(form, "comment"),
                form.get("acknowledged", []),
                secrets=secrets,
                wake=lambda decided: wake(client, decided, DECISION_EVENT),
                now=datetime.now(UTC),
            )
        except AlreadyDecidedError:
            # A form that was sent twice, or that came too late: its sender reads what came of the question.
            link, found = await _open(resources, link_request)
            if not _settled(link, found):
                raise
            return _html(outcome_page(found, link), status=HTTPStatus.CONFLICT)
        return _html(outcome_page(record, read_token(link_request.token, secrets, run_id=link_request.run_id)))

    return await _handle(req, route, work)


async def _open(resources: Resources, link_request: LinkRequest) -> tuple[Link, RunRecord]:
    secrets = resources.settings.link_secrets()
    return await open_link(resources.every_run, link_request, secrets=secrets, now=datetime.now(UTC))


def _settled(link: Link, record: RunRecord) -> bool:
    return outcome_of(record, link.evidence_digest, link.message_id) is not None


async def _created(resources: Resources, record: RunRecord) -> Created:
    """Return when each version was made. It is no part of the evidence: a vault that is away hides no question."""
    try:
        async with asyncio.timeout(DATES_SECONDS):
            states = await resources.keyring(record.keyring).versions.states()
    except (KeyturnError, TimeoutError) as error:
        _log.warning("the dates of the versions of %s are not known: %s", record.keyring, type(error).__name__)
        return {}
    return {version: found.created_on for version, found in states.items()}


def _link_request(req: func.HttpRequest, token: str, caller: Caller) -> LinkRequest:
    return LinkRequest(req.route_params["rotation_id"], token, caller, sender_of(req))


def _one(form: Mapping[str, list[str]], name: str) -> str:
    """Return the field's value, the last of several; empty where there is none."""
    return form.get(name, [""])[-1]


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

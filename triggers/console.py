"""The console: pages for people, and forms by which they order what the API's routes do too.

Open to callers without a function key, because browsers send none: a sign-in stands in for it, or a session that a link
opens, which takes the key to get (``keyturn.console.sessions``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.audit.events import Attempt
from keyturn.console import sessions
from keyturn.console.charts import moment
from keyturn.console.keyring_pages import LISTED, active_run, cards, timeline, versions_of
from keyturn.console.orders import Order, link_to_decide, order_of, orders_on_keyring, require_taken
from keyturn.console.run_page import run_page
from keyturn.console.sessions import ConsoleLink, ConsoleLinkRequest, Visitor
from keyturn.cosmos.state_container import hashed_id
from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.document import diagnose_document
from keyturn.diagnosis.models import OPENS, require_id
from keyturn.errors import ForbiddenError
from keyturn.http import parse
from keyturn.ids import CONSOLE, RunKind, console_link, kind_of
from keyturn.migrations.requests import RollbackRequest
from keyturn.resources import Resources
from keyturn.rotation.start import StartRequest
from keyturn.runs.audit import audit_refusals
from keyturn.runs.record import digest_found
from triggers.access import admitted
from triggers.console_door import handle_visit, led_to, page, signing_secrets
from triggers.http import handle, json_response, read_form, read_json
from triggers.orders import begin_rotation, command, reinstate, roll_back

bp = df.Blueprint()

REFRESH_SECONDS = 5
_FIELDS_MAX = 10
_AUDITED: Mapping[str, Attempt] = {"retry": "retry", "abort": "abort", "reinstate": "reinstate"}


@bp.route(route="console", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_console(req: func.HttpRequest) -> func.HttpResponse:
    """Show how every keyring stands."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        found = await cards(resources, visitor, datetime.now(UTC))
        return _refreshed(req, "home", visitor, active=any(card.active is not None for card in found), cards=found)

    return await handle_visit(req, "show_console", work)


@bp.route(route="console/keyrings/{keyring}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_console_keyring(req: func.HttpRequest) -> func.HttpResponse:
    """Show the history of a keyring, and its versions."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        clients, now = resources.keyring(req.route_params["keyring"]), datetime.now(UTC)
        name = clients.keyring.name
        versions, problem = await versions_of(clients)
        free = await active_run(resources, name) is None
        return page(
            "keyring",
            visitor,
            keyring=name,
            runs=await timeline(resources, name, now),
            versions=versions,
            problem=problem,
            listed=LISTED,
            orders=orders_on_keyring(visitor) if free else [],
        )

    return await handle_visit(req, "show_console_keyring", work)


@bp.route(route="console/runs/{run_id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_console_run(req: func.HttpRequest) -> func.HttpResponse:
    """Show a run: its phases, rows, checks, evidence, decisions and audit chain."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        record = await resources.every_run.read(req.route_params["run_id"])
        chain = (await resources.every_run.audit.export(record.run_id)).splitlines()
        now = datetime.now(UTC)
        shown, own = run_page(record, chain, visitor, now), link_to_decide(record, visitor, resources.settings, now)
        return _refreshed(req, "run", visitor, active=shown.active, page=shown, own_link=own)

    return await handle_visit(req, "show_console_run", work)


@bp.route(route="console/runs/{run_id}/evidence", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def show_console_evidence(req: func.HttpRequest) -> func.HttpResponse:
    """Show the evidence of a run in whole, with its digest recomputed."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        record = await resources.every_run.read(req.route_params["run_id"])
        digests = [
            ("Digest, as it is bound", record.evidence_digest or "none"),
            ("Digest, computed now", digest_found(record.evidence) or "none"),
            ("Frozen at", moment(record.evidence_frozen_at)),
            ("To be decided by", moment(record.approval_expires_at)),
        ]
        return page("evidence", visitor, record=record, digests=digests)

    return await handle_visit(req, "show_console_evidence", work)


@bp.route(route="console/diagnosis", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def diagnose_in_console(req: func.HttpRequest) -> func.HttpResponse:
    """Diagnose a DEK or a document by its id."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        asked = {name: req.params.get(name, "") for name in ("keyring", "dek", "container", "document", "partition")}
        found = None
        if asked["dek"] or asked["document"]:
            clients = resources.keyring(asked["keyring"] or None)
            found = (
                await diagnose_dek(clients, require_id("dek", asked["dek"]))
                if asked["dek"]
                else await diagnose_document(clients, asked["container"], asked["document"], asked["partition"] or None)
            )
        names = [keyring.name for keyring in resources.settings.keyrings]
        told = found.to_payload() if found is not None else None
        opens = found is not None and found.verdict in OPENS
        return page("diagnosis", visitor, asked=asked, found=told, opens=opens, keyrings=names)

    return await handle_visit(req, "diagnose_in_console", work)


@bp.route(route="console/orders/{order}/{subject}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def confirm_console_order(req: func.HttpRequest) -> func.HttpResponse:
    """Say what follows from an order, and ask whether it is meant."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        order, subject = await _ordered(req, resources)
        visitor.caller.require_role(_route(order, subject))
        now = datetime.now(UTC)
        at_work = await active_run(resources, subject) if order.of_keyring else await resources.every_run.read(subject)
        require_taken(order, at_work, visitor, now)
        form = sessions.form_token(visitor, _bound(order, subject), signing_secrets(resources), now)
        back = console_link(subject) if kind_of(subject) else f"{CONSOLE}/keyrings/{subject}"
        more: dict[str, Any] = {"question": order.question.format(subject=subject), "form": form, "back": back}
        return page("order", visitor, order=order, subject=subject, **more)

    return await handle_visit(req, "confirm_console_order", work)


@bp.route(route="console/orders/{order}/{subject}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def give_console_order(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Give the order that the form holds, and lead to the run that it is about."""

    async def work(resources: Resources, visitor: Visitor) -> func.HttpResponse:
        order, subject = await _ordered(req, resources)
        fields = {name: values[0] for name, values in read_form(req, _FIELDS_MAX).items()}
        form, now = fields.get("form", ""), datetime.now(UTC)
        if req.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise ForbiddenError("the form was sent from another site", hint="open the page again")
        sessions.check_form(form, visitor, _bound(order, subject), signing_secrets(resources), now)
        await _require_role(resources, visitor, order, subject, now)
        run_id = await _give(client, resources, visitor, order, subject, reason=fields.get("reason", ""), form=form)
        return led_to(console_link(run_id))

    return await handle_visit(req, "give_console_order", work)


@bp.route(route="console/links", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def make_console_link(req: func.HttpRequest) -> func.HttpResponse:
    """Make a link to the console: where nobody signs in, one that opens a session for whoever has it."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(ConsoleLinkRequest, read_json(req, default={}))
        wanted = await resources.every_run.read(request.run_id) if request.run_id is not None else None
        path = CONSOLE if wanted is None else console_link(wanted.run_id)
        address = f"{(resources.settings.keyturn_public_url or '').rstrip('/')}{path}"
        by = caller.identity(request.requested_by).name
        if caller.principal is not None:
            return json_response(ConsoleLink(url=address, expires_at=None), status=HTTPStatus.CREATED)
        documents, [secret, *_] = resources.every_run.documents, signing_secrets(resources)
        token, until = await sessions.grant_link(documents, by, secret, datetime.now(UTC))
        link = ConsoleLink(url=f"{address}?token={quote(token)}", expires_at=until)
        return json_response(link, status=HTTPStatus.CREATED, headers={"Cache-Control": "no-store"})

    return await handle(req, admitted(req, "make_console_link", work))


async def _ordered(req: func.HttpRequest, resources: Resources) -> tuple[Order, str]:
    """Return the order and the run or keyring that it is about; raises the error of an unknown one of each."""
    order, subject = order_of(req.route_params["order"]), req.route_params["subject"]
    if order.of_keyring:
        return order, resources.settings.keyring(subject).name
    return order, (await resources.every_run.read(subject)).run_id


def _bound(order: Order, subject: str) -> str:
    return f"{order.name} {subject}"


def _route(order: Order, subject: str) -> str:
    return order.route(kind_of(subject) or RunKind.ROTATION)


async def _require_role(resources: Resources, visitor: Visitor, order: Order, subject: str, now: datetime) -> None:
    """Raise ForbiddenError where the visitor may not give the order; the audit of the run keeps that."""
    if (attempt := _AUDITED.get(order.name)) is None:
        visitor.caller.require_role(_route(order, subject))
        return
    async with audit_refusals(resources.every_run, subject, attempt, by=visitor.by, now=now):
        visitor.caller.require_role(_route(order, subject))


async def _give(
    client: df.DurableFunctionsClient,
    resources: Resources,
    visitor: Visitor,
    order: Order,
    subject: str,
    *,
    reason: str,
    form: str,
) -> str:
    """Do what is ordered, and return the run that it is about; the same form sent twice is one order."""
    asked: dict[str, Any] = {"requestedBy": visitor.stated, "reason": reason}
    match order.name:
        case "start" | "dry-run":
            asked |= {"keyring": subject, "dryRun": order.name == "dry-run"}
            request = parse(StartRequest, asked)
            return (await begin_rotation(client, resources, visitor.caller, request, hashed_id(form))).run_id
        case "rollback":
            wanted = parse(RollbackRequest, asked)
            return (await roll_back(client, resources, visitor.caller, subject, wanted, hashed_id(form))).run_id
        case "reinstate":
            return (await reinstate(client, resources, subject, visitor.by)).run_id
        case "retry" | "abort" as name:
            return (await command(client, resources, resources.every_run, subject, name, visitor.by)).run_id


def _refreshed(req: func.HttpRequest, name: str, visitor: Visitor, *, active: bool, **more: Any) -> func.HttpResponse:
    """Answer with a page that is loaded again while something goes on, unless the reader has stopped it."""
    refreshed = active and req.params.get("refresh") != "off"
    more |= {"refreshes": active, "refreshed": refreshed, "seconds": REFRESH_SECONDS}
    return page(name, visitor, headers={"Refresh": str(REFRESH_SECONDS)} if refreshed else {}, **more)

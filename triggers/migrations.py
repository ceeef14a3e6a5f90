"""The HTTP API of migrations: start, list, look, retry, abort."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.contracts.migrations import Work
from keyturn.http import parse
from keyturn.ids import MIGRATIONS, run_link
from keyturn.migrations.requests import MigrationRequest, ReencryptionRequest, RewrapDeksRequest, StartMigration
from keyturn.migrations.start import start_migration
from keyturn.migrations.status import migration_report, migration_status, migration_summary
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import RETRY_AFTER_SECONDS, handle, json_response, read_json
from triggers.lost_runs import workflows_of
from triggers.run_routes import RunRoutes
from triggers.workflow import ensure_started

bp = df.Blueprint()

ROUTES = RunRoutes(
    store=lambda resources: resources.migrations,
    collection=MIGRATIONS,
    plural="migrations",
    parameter="migration_id",
    summary=migration_summary,
    status=migration_status,
    report=migration_report,
)


@bp.route(route="migrations", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def start_any_migration(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start a migration."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(StartMigration, read_json(req)).root
        if isinstance(request, RewrapDeksRequest):
            wanted: Work = await request.work(resources.keyring(request.keyring).versions)
        else:
            wanted = await request.work(resources)
        return await begin(req, client, resources, caller, request, wanted)

    return await handle(req, admitted(req, "start_any_migration", work))


@bp.route(route="reencryptions", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def start_reencryption(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start the recovery from a lost MEK: re-encrypt from a key that can still be read onto another."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(ReencryptionRequest, read_json(req))
        return await begin(req, client, resources, caller, request, await request.work(resources))

    return await handle(req, admitted(req, "start_reencryption", work))


async def begin(
    req: func.HttpRequest,
    client: df.DurableFunctionsClient,
    resources: Resources,
    caller: Caller,
    request: MigrationRequest,
    wanted: Work,
) -> func.HttpResponse:
    """Start this migration, and answer the request that asked for it."""
    requester = caller.identity(request.requested_by)
    record = await start_migration(
        resources.migrations,
        wanted,
        keyring=resources.settings.keyring(request.keyring).name,
        requested_by=requester.name,
        requested_by_id=requester.object_id,
        reason=request.reason,
        dry_run=request.dry_run,
        policy=resources.settings.policy,
        workflows=workflows_of(client, resources),
        now=datetime.now(UTC),
        idempotency_key=req.headers.get("idempotency-key"),
        plan=await request.plan(resources),
    )
    await ensure_started(client, resources.every_run, record)
    headers = {"Location": run_link(record.run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
    return json_response(migration_summary(record), status=202, headers=headers)


@bp.route(route="migrations", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_migrations(req: func.HttpRequest) -> func.HttpResponse:
    """List a keyring's migrations, newest first."""
    return await handle(req, admitted(req, "list_migrations", ROUTES.list(req)))


@bp.route(route="migrations/{migration_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_migration(req: func.HttpRequest) -> func.HttpResponse:
    """Tell where a migration stands."""
    return await handle(req, admitted(req, "get_migration", ROUTES.get(req)))


@bp.route(route="migrations/{migration_id}/report", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_migration_report(req: func.HttpRequest) -> func.HttpResponse:
    """Return everything that is known about a migration."""
    return await handle(req, admitted(req, "get_migration_report", ROUTES.whole(req)))


@bp.route(route="migrations/{migration_id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def retry_migration(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a migration that needs attention to try again."""
    return await handle(req, admitted(req, "retry_migration", ROUTES.command(req, client, "retry")))


@bp.route(route="migrations/{migration_id}/abort", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def abort_migration(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a migration to end."""
    return await handle(req, admitted(req, "abort_migration", ROUTES.command(req, client, "abort")))

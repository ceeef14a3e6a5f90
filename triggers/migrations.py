"""The HTTP API of migrations: start, list, look, retry, abort."""

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.contracts.migrations import Work
from keyturn.http import parse
from keyturn.ids import MIGRATIONS, run_link
from keyturn.migrations.requests import MigrationRequest, ReencryptionRequest, RewrapDeksRequest, StartMigration
from keyturn.migrations.status import migration_report, migration_status, migration_summary
from keyturn.resources import Resources
from keyturn.runs.records import MigrationRecord
from triggers.access import admitted
from triggers.http import RETRY_AFTER_SECONDS, handle, json_response, read_json
from triggers.orders import begin_migration
from triggers.run_routes import RunRoutes

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
    record = await begin_migration(client, resources, caller, request, wanted, req.headers.get("idempotency-key"))
    return accepted(record)


def accepted(record: MigrationRecord) -> func.HttpResponse:
    """Return the answer to the request that started the migration."""
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

"""The audit chain of a rotation over HTTP, as JSON Lines: what ``python -m keyturn.cli audit verify`` reads."""

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle

bp = df.Blueprint()

CONTENT_TYPE = "application/jsonl"


@bp.route(route="migrations/{migration_id}/audit", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_migration_audit(req: func.HttpRequest) -> func.HttpResponse:
    """Export a migration's audit chain."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        record = await resources.migrations.read(req.route_params["migration_id"])
        return func.HttpResponse(await resources.migrations.audit.export(record.run_id), mimetype=CONTENT_TYPE)

    return await handle(req, admitted(req, "get_migration_audit", work))


@bp.route(route="rotations/{rotation_id}/audit", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_audit(req: func.HttpRequest) -> func.HttpResponse:
    """Export a rotation's audit chain."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        runs = resources.run_store
        record = await runs.read(req.route_params["rotation_id"])
        return func.HttpResponse(await runs.audit.export(record.run_id), mimetype=CONTENT_TYPE)

    return await handle(req, admitted(req, "get_audit", work))

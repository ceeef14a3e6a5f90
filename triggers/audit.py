"""The audit chain of a run over HTTP, as JSON Lines: what ``keyturn audit verify`` reads."""

import azure.durable_functions as df
import azure.functions as func

from triggers import migrations, rotations
from triggers.access import admitted
from triggers.http import handle

bp = df.Blueprint()


@bp.route(route="migrations/{migration_id}/audit", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_migration_audit(req: func.HttpRequest) -> func.HttpResponse:
    """Export a migration's audit chain."""
    return await handle(req, admitted(req, "get_migration_audit", migrations.ROUTES.audit(req)))


@bp.route(route="rotations/{rotation_id}/audit", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_audit(req: func.HttpRequest) -> func.HttpResponse:
    """Export a rotation's audit chain."""
    return await handle(req, admitted(req, "get_audit", rotations.ROUTES.audit(req)))

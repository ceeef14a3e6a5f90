"""Liveness check; unauthenticated, so it reveals nothing."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import require_sign_in
from keyturn.errors import SettingsError
from keyturn.resources import process_resources
from keyturn.rotation.due import StatusMemory, any_overdue, drifted
from triggers.http import json_response

bp = df.Blueprint()

_log = logging.getLogger(__name__)
_keyrings = StatusMemory()


@bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's parameter
    """Tell whether the app runs on settings that it can work with, and whether a rotation is overdue or has drifted."""
    try:
        resources = await process_resources()
        require_sign_in(resources.settings)
    except SettingsError as error:
        _log.error("the app cannot work: %s", error.message)
        return json_response({"status": "misconfigured"}, status=503)
    known = await _keyrings.recall(lambda: resources.keyring_statuses(datetime.now(UTC)))
    overdue, drift = (None, None) if known is None else (any_overdue(known), drifted(known))
    return json_response({"status": "ok", "overdue": overdue, "drift": drift})

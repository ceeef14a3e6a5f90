"""The doctor over HTTP: the app examines its own deployment, from inside its network and as its own identity."""

import asyncio
import os

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import identify
from keyturn.access.identity import HEADER
from keyturn.api.operations import DoctorReport
from keyturn.doctor.run import examine
from keyturn.errors import TooManyAttemptsError
from keyturn.settings import load_settings
from triggers.http import handle, json_response

bp = df.Blueprint()

# The platform's front end gives an answer up after 230 s. Source: "Azure Functions HTTP triggers", limits.
SECONDS = 200.0
RETRY_AFTER_SECONDS = 30

_running = asyncio.Lock()


@bp.route(route="doctor", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def examine_deployment(req: func.HttpRequest) -> func.HttpResponse:
    """Return the doctor's results; nothing is changed.

    Each examination asks the vault for some twenty operations, so an instance makes one at a time. The process's own
    resources are not used: what keeps them from being opened is what the doctor is asked about.
    """

    async def work() -> func.HttpResponse:
        settings = load_settings(dict(os.environ))
        identify(settings, req.headers.get(HEADER)).require_role("examine_deployment")
        if _running.locked():
            raise TooManyAttemptsError("an examination is running", retryAfterSeconds=RETRY_AFTER_SECONDS)
        async with _running:
            results = await examine(os.environ, seconds=SECONDS)
        return json_response(DoctorReport(results=results))

    return await handle(req, work)

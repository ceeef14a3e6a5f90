"""The transport of the Cosmos DB client, which tells what every answer was charged."""

from typing import Any, override

from azure.core.pipeline.transport import AioHttpTransport

from keyturn.telemetry import names
from keyturn.telemetry.metrics import record
from keyturn.telemetry.spans import current_work

CHARGE_HEADER = "x-ms-request-charge"


class MeteredTransport(AioHttpTransport):  # type: ignore[misc]  # the SDK imports it lazily, so it has no type
    """Adds the request units up, those of answers that are errors included."""

    @override
    async def send(self, request: Any, **config: Any) -> Any:
        """Send the request and return the answer."""
        response = await super().send(request, **config)
        if (charge := response.headers.get(CHARGE_HEADER)) is not None:
            work = current_work.get()
            record(names.REQUEST_CHARGE, float(charge), {} if work is None else {names.KEYRING: work.keyring})
        return response

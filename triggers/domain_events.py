"""The outbox's timer: delivers what the endpoint has not taken yet."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.resources import process_resources

bp = df.Blueprint()

_log = logging.getLogger(__name__)


@bp.timer_trigger(arg_name="timer", schedule="%OUTBOX_TICK%")
async def deliver_domain_events(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's parameter
    """Deliver the events that are due, of every keyring; without an endpoint there is nothing to do."""
    resources = await process_resources()
    if resources.outbox is None:
        return
    deliveries = await resources.outbox.deliver_due(
        [keyring.name for keyring in resources.settings.keyrings], datetime.now(UTC)
    )
    if deliveries.delivered or deliveries.failed:
        _log.info(
            "events delivered: %d; rotations failed: %d, waiting: %d",
            *(deliveries.delivered, deliveries.failed, deliveries.waiting),
        )

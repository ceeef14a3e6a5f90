"""The schedule: a timer that looks often and starts what is due, so that a missed occurrence is caught up."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.key_drills.drill import drill_when_due
from keyturn.resources import Resources, process_resources
from keyturn.rotation.drift import tell_drift
from keyturn.rotation.due import start_due
from keyturn.rotation.retirement import finish_orders
from keyturn.rotation.watchdog import tell_unreported
from triggers.lost_runs import workflows_of
from triggers.workflow import ensure_started

bp = df.Blueprint()

_log = logging.getLogger(__name__)


@bp.timer_trigger(arg_name="timer", schedule="%SCHEDULE_TICK%")
@bp.durable_client_input(client_name="client")
async def start_due_rotations(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Start every keyring's rotation that is due, tell what is overdue, look for drift, and try its key backup.

    No failure keeps the others back, neither those of the same keyring.
    """
    resources = await process_resources()
    failures: list[Exception] = []
    if timer.past_due:
        _log.warning("the schedule is looked at late")
    for keyring in resources.settings.keyrings:
        for step in (_finish_orders, _start, _tell_unreported, _tell_drift, _drill):
            try:
                await step(client, resources, keyring.name)
            except Exception as error:  # noqa: BLE001 - raised below, when every step of every keyring has had its turn
                failures.append(error)
    if failures:
        raise ExceptionGroup("the schedule was not looked at for every keyring", failures)
    # The alert about a silent schedule waits for this line (infra/modules/monitoring/telemetry.json).
    _log.info("the schedule was looked at for every keyring")


async def _finish_orders(_client: df.DurableFunctionsClient, resources: Resources, keyring: str) -> None:
    await finish_orders(resources.run_store, resources.keyring(keyring).versions, keyring, datetime.now(UTC))


async def _start(client: df.DurableFunctionsClient, resources: Resources, keyring: str) -> None:
    workflows, now = workflows_of(client, resources), datetime.now(UTC)
    record = await start_due(resources.run_store, resources.keyring(keyring), resources.settings, workflows, now)
    if record is None:
        _log.info("no rotation of keyring %s is to be started", keyring)
    else:
        await ensure_started(client, resources.every_run, record)
        _log.info("rotation %s was due and is started", record.run_id)


async def _tell_unreported(_client: df.DurableFunctionsClient, resources: Resources, keyring: str) -> None:
    found, now = resources.keyring(keyring), datetime.now(UTC)
    await tell_unreported(resources.notifier, resources.run_store, found, resources.settings, now)


async def _tell_drift(_client: df.DurableFunctionsClient, resources: Resources, keyring: str) -> None:
    found = resources.keyring(keyring)
    await tell_drift(
        resources.notifier, resources.run_store, keyring, found.rows, found.versions, now=datetime.now(UTC)
    )


async def _drill(_client: df.DurableFunctionsClient, resources: Resources, keyring: str) -> None:
    found, now = resources.keyring(keyring), datetime.now(UTC)
    runs, settings = resources.run_store, resources.settings
    await drill_when_due(resources.notifier, runs, found, resources.credential, settings, now)

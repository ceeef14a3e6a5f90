"""Activity that checks whether a rotation may begin."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.base import RunInput
from keyturn.contracts.steps import PreflightResult
from keyturn.notifications.events import ON_CALL
from keyturn.preflight.context import CheckContext, Facts
from keyturn.preflight.run import record_preflight, run_preflight
from keyturn.resources import Resources
from keyturn.runs.records import RotationRecord

bp = df.Blueprint()


@activity(bp, RunInput)
async def preflight(request: RunInput, resources: Resources) -> PreflightResult:
    """Go through the whole checklist and write it, with the plan, into the record."""
    runs, notifier = resources.run_store, resources.notifier

    async def tell_on_call(record: RotationRecord) -> str:
        return await notifier.tell_on_call(record, datetime.now(UTC))

    keyring = resources.keyring(request.run.keyring)
    context = CheckContext(
        record=await runs.read(request.run.run_id),
        keyring=keyring,
        settings=resources.settings,
        documents=runs.documents,
        account=resources.account,
        on_call=tell_on_call if notifier.channels.meant_for(ON_CALL) else None,
        now=datetime.now(UTC),
        facts=Facts(keyring),
    )
    return await record_preflight(runs, request.run, await run_preflight(context))

"""What a start must be able to do about a run that lost its workflow."""

import azure.durable_functions as df

from keyturn.resources import Resources
from keyturn.rotation.start import Workflows
from keyturn.runs.record import RunRecord
from triggers.workflow import ensure_started, is_alive


def workflows_of(client: df.DurableFunctionsClient, resources: Resources) -> Workflows:
    """Return how to ask after another run's workflow, and how to start the one that goes on with it."""

    async def alive(instance_id: str) -> bool:
        return await is_alive(client, instance_id)

    async def go_on(record: RunRecord) -> None:
        await ensure_started(client, resources.every_run, record)

    return Workflows(is_alive=alive, start=go_on)

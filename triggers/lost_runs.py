"""What a start must be able to do about a run that lost its workflow."""

import azure.durable_functions as df

from keyturn.resources import Resources
from keyturn.rotation.retirement import reinstate
from keyturn.rotation.start import Workflows
from keyturn.runs.records import RotationRecord
from triggers.workflow import is_alive


def workflows_of(client: df.DurableFunctionsClient, resources: Resources) -> Workflows:
    """Return how to ask after another run's workflow, and how to enable again what that run disabled."""

    async def alive(instance_id: str) -> bool:
        return await is_alive(client, instance_id)

    async def undo(record: RotationRecord) -> None:
        ref = record.ref
        await reinstate(resources.run_store, resources.keyring(record.keyring).versions, ref)

    return Workflows(is_alive=alive, reinstate=undo)

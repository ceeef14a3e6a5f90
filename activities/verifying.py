"""Activity that verifies what must hold before people are asked and after a version is disabled."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.base import RunInput
from keyturn.contracts.steps import VerifyResult
from keyturn.resources import Resources
from keyturn.rotation import verification

bp = df.Blueprint()


@activity(bp, RunInput)
async def verify(request: RunInput, resources: Resources) -> VerifyResult:
    """Decrypt the canaries, ask the probes, look for missing DEKs."""
    return await verification.verify(resources.run_store, resources.keyring(request.run.keyring), request.run)

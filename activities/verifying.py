"""Activity that verifies what must hold before people are asked and after a version is disabled."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import RotationRef, VerifyResult
from keyturn.resources import Resources
from keyturn.rotation import verification

bp = df.Blueprint()


@activity(bp, RotationRef)
async def verify(request: RotationRef, resources: Resources) -> VerifyResult:
    """Decrypt the canaries, ask the probes, look for missing DEKs."""
    return await verification.verify(resources.run_store, resources.keyring(request.keyring), request)

"""Activities that verify what must hold before people are asked, after a version is disabled, and before a rollback."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.base import RunInput
from keyturn.contracts.migrations import ChangedSince
from keyturn.contracts.steps import VerifyResult
from keyturn.resources import Resources
from keyturn.rotation import verification

bp = df.Blueprint()


@activity(bp, RunInput)
async def count_changed_since(request: RunInput, resources: Resources) -> ChangedSince:
    """Count the rows that later runs than the rotation to roll back have changed."""
    return await steps.count_changed_since(request, resources)


@activity(bp, RunInput)
async def verify(request: RunInput, resources: Resources) -> VerifyResult:
    """Decrypt the canaries, ask the probes, look for missing DEKs."""
    keyring = resources.keyring(request.run.keyring)
    return await verification.verify(resources.run_store, keyring, request.run, resources.credential)

"""Activities that verify what must hold before people are asked, after a version is disabled, and before a rollback."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.base import RunInput
from keyturn.contracts.migrations import ChangedSince
from keyturn.contracts.steps import VerifyResult
from keyturn.migrations.requests import changed_since
from keyturn.resources import Resources
from keyturn.rotation import verification

bp = df.Blueprint()


@activity(bp, RunInput)
async def count_changed_since(request: RunInput, resources: Resources) -> ChangedSince:
    """Count the rows that later runs than the rotation to roll back have changed."""
    migration = await resources.migrations.read(request.run.run_id)
    rotation = await resources.run_store.read(migration.rollback.rotation.run_id)
    return ChangedSince(rows=await changed_since(resources.keyring(request.run.keyring).rows, rotation))


@activity(bp, RunInput)
async def verify(request: RunInput, resources: Resources) -> VerifyResult:
    """Decrypt the canaries, ask the probes, look for missing DEKs."""
    keyring = resources.keyring(request.run.keyring)
    return await verification.verify(resources.run_store, keyring, request.run, resources.credential)

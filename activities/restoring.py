"""Activities that enable versions again: what is to be, enabling it once approved, and disabling it again."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.migrations import (
    DisableAgainInput,
    DisableAgainResult,
    EnableTemporarilyInput,
    EnableTemporarilyResult,
    RestoreFound,
    RestoreInput,
)
from keyturn.migrations import restore
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, RestoreInput)
async def freeze_restore(request: RestoreInput, resources: Resources) -> RestoreFound:
    """Look for rows that name disabled versions, and freeze the evidence."""
    keyring = resources.keyring(request.run.keyring)
    found = await restore.survey(keyring.rows, keyring.versions)
    return await restore.freeze_enablement(resources.migrations, request, found, datetime.now(UTC))


@activity(bp, RestoreInput)
async def freeze_rollback(request: RestoreInput, resources: Resources) -> RestoreFound:
    """Look what the rotation that is rolled back keeps disabled, and freeze the evidence."""
    record = await resources.migrations.read(request.run.run_id)
    found = await restore.survey_rollback(record, resources.run_store)
    return await restore.freeze_enablement(resources.migrations, request, found, datetime.now(UTC))


@activity(bp, EnableTemporarilyInput)
async def enable_temporarily(request: EnableTemporarilyInput, resources: Resources) -> EnableTemporarilyResult:
    """Enable the approved versions for the time of the restore."""
    keyring = resources.keyring(request.run.keyring)
    return await restore.enable_approved(resources.migrations, request, keyring.rows, keyring.versions)


@activity(bp, DisableAgainInput)
async def disable_again(request: DisableAgainInput, resources: Resources) -> DisableAgainResult:
    """Disable again what was enabled and what no row names."""
    keyring = resources.keyring(request.run.keyring)
    return await restore.disable_again(resources.migrations, request, keyring.rows, keyring.versions)

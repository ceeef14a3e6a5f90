"""Activity that makes the rotation's new MEK version."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.steps import CreateVersionInput, VersionResult
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, CreateVersionInput)
async def create_version(request: CreateVersionInput, resources: Resources) -> VersionResult:
    """Create the version, find the one that an earlier run of this activity created, or adopt one that is unfinished.

    It is backed up before it is enabled. One that is there already, too: an earlier attempt may have died before.

    Where the rotation has its version, it is only looked whether a creation that was given up has taken effect since.
    """
    return await steps.create_version(request, resources, datetime.now(UTC))

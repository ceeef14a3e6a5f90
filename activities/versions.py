"""Activity that makes the rotation's new MEK version."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.clock import SystemClock
from keyturn.contracts.steps import CreateVersionInput, VersionResult
from keyturn.deks.census import take_census
from keyturn.key_vault import creation
from keyturn.resources import Resources
from keyturn.rotation.new_version import RecordedIntent, record_new_version
from keyturn.rotation.unexplained import look_back

bp = df.Blueprint()


@activity(bp, CreateVersionInput)
async def create_version(request: CreateVersionInput, resources: Resources) -> VersionResult:
    """Create the version, or find the one that an earlier run of this activity created; look at the rows it is for."""
    keyring = resources.keyring(request.run.keyring)
    intent = RecordedIntent(resources.run_store, request.run)
    version = await creation.create_version(keyring.versions, request, intent, SystemClock())
    states = await keyring.versions.states()
    old = [name for name, state in states.items() if state.enabled and name != version]
    census = await take_census(keyring.rows, version, {})
    provenance = await look_back(resources.run_store, resources.migrations, keyring.rows, request.run.run_id)
    await record_new_version(resources.run_store, request.run, version, old, census, provenance)
    return VersionResult(version=version)

"""Activity that makes the rotation's new MEK version."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.clock import Clock
from keyturn.contracts.steps import CreateVersionInput, VersionResult
from keyturn.deks.census import take_census
from keyturn.key_vault import creation
from keyturn.resources import Resources
from keyturn.rotation.new_version import RecordedIntent, put_into_use, record_new_version, unfinished
from keyturn.rotation.unexplained import look_back
from keyturn.runs.store import PAGE_MAX

bp = df.Blueprint()


@activity(bp, CreateVersionInput)
async def create_version(request: CreateVersionInput, resources: Resources) -> VersionResult:
    """Create the version, find the one that an earlier run of this activity created, or adopt one that is unfinished.

    It is backed up before it is enabled. One that is there already, too: an earlier attempt may have died before.

    Where the rotation has its version, it is only looked whether a creation that was given up has taken effect since.
    """
    runs, keyring, run_id = resources.run_store, resources.keyring(request.run.keyring), request.run.run_id
    record = await runs.read(run_id)
    known, policy = record.target_version, record.policy
    # The input comes by way of the task hub, which others may write to: what was decided on is the record's policy.
    settled = {"key_size": policy.key_size, "creation_settle": policy.creation_settle}
    request = request.model_copy(update=settled)
    earlier = unfinished(
        await runs.newest(request.run.keyring, before=run_id, limit=PAGE_MAX),
        await resources.migrations.newest(request.run.keyring, limit=PAGE_MAX),
        datetime.now(UTC),
    )
    if known is None:
        intent = RecordedIntent(runs, request.run)
        # By its version too: the rotation that made it may be further back than is looked, and this one has adopted it.
        adoptable = {name for record in earlier for name in (record.run_id, record.target_version) if name}
        version = await creation.create_version(keyring.versions, request, intent, Clock(), adoptable)
    else:
        version = await creation.own_version(keyring.versions, run_id) or known
    await put_into_use(runs, keyring, record, version, datetime.now(UTC))
    if version != known:
        await creation.prove(keyring.versions, version, Clock())
        states = await keyring.versions.states()
        maker = next((record for record in earlier if record.target_version == version), None)
        await record_new_version(
            runs,
            request.run,
            version,
            [name for name, state in states.items() if state.enabled and name != version],
            await take_census(keyring.rows, version, {}),
            await look_back(runs, resources.migrations, keyring.rows, run_id) if known is None else None,
            replacing=known,
            adopted=[maker.run_id, *maker.adopted] if maker is not None else [],
        )
    return VersionResult(version=version)

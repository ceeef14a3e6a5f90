"""What the schedule's tick does for one keyring."""

from datetime import datetime

from keyturn.contracts import Policy
from keyturn.errors import MigrationRunningError, RotationRunningError
from keyturn.rotation.keyrings import Versions, began
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_store import PAGE_MAX, RunStore
from keyturn.rotation.schedule import due
from keyturn.rotation.start import Workflows, clear_orphan, start
from keyturn.rotation.start_request import StartRequest

REQUESTER = "keyturn-schedule"


async def start_due(
    runs: RunStore,
    *,
    keyring: str,
    schedule: str,
    policy: Policy,
    workflows: Workflows,
    versions: Versions,
    now: datetime,
) -> RotationRecord | None:
    """Start the keyring's rotation if it is due and none is running, and return its record.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    # First, because a run that lost its workflow counts as failed, and its month is still to be done.
    await clear_orphan(runs.documents, keyring, workflows, now)
    occurrence = due(schedule, await began(await runs.newest(keyring, limit=PAGE_MAX), versions), now)
    if occurrence is None:
        return None
    try:
        started = await start(
            runs,
            StartRequest(reason=f"scheduled for {occurrence.isoformat()}"),
            keyring=keyring,
            requested_by=REQUESTER,
            trigger="schedule",
            policy=policy,
            workflows=workflows,
            now=now,
        )
    except (RotationRunningError, MigrationRunningError):
        return None
    return started.record

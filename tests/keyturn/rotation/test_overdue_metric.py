"""The metric of overdue rotations, which the schedule's tick sets by the same rule that health and keyrings go by."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.errors import UnavailableError
from keyturn.notifications.notifier import Channels, Notifier
from keyturn.rotation.drift import Drift, DriftRecord
from keyturn.rotation.due import Versions, any_overdue, keyring_status, rotation_history
from keyturn.rotation.watchdog import tell_unreported
from keyturn.runs.store import EveryRun, RotationStore
from keyturn.telemetry import names
from tests.keyturn.runs.lifecycle import NOW, monthly, new_keyring, start_run
from tests.keyturn.telemetry.recorded import Recorded


def made(ago: timedelta) -> Versions:
    """Return the versions of a MEK that was made so long ago and never rotated."""
    found = MekVersionProperties(
        mek_name="mek",
        version="v",
        key_id="https://notes.vault.azure.net/keys/mek/v",
        enabled=True,
        created_on=NOW - ago,
        not_before=None,
        expires_on=None,
        tags={},
    )

    async def states() -> Mapping[str, MekVersionProperties]:
        return {"v": found}

    return states


@pytest.mark.parametrize(("days", "since"), [(10, None), (40, datetime(2026, 2, 1, 3, tzinfo=NOW.tzinfo))])
async def test_a_keyring_that_was_never_rotated_is_overdue_by_the_age_of_its_mek(
    runs: RotationStore, recorded: Recorded, days: int, since: datetime | None
) -> None:
    """The gauge and the keyring's standing say the same, also where there is no rotation that a message is about."""
    keyring = new_keyring()
    clients, settings = monthly(keyring, made(timedelta(days=days)))
    notifier = Notifier(EveryRun(runs.documents), Channels(), public_url=None, links=lambda _record, _now: {})

    await tell_unreported(notifier, runs, clients, settings, NOW)
    history = await rotation_history(runs, clients, settings, NOW)

    assert history.overdue_since == since
    assert recorded.metric(names.OVERDUE) == {(keyring,): 0 if since is None else 1}


async def test_a_first_deployment_is_not_overdue_before_the_schedule_has_looked(runs: RotationStore) -> None:
    """A MEK may be older than Keyturn: unknown until the first tick, which may begin a rotation at once."""
    keyring = new_keyring()
    clients, settings = monthly(keyring, made(timedelta(days=400)))

    async def overdue_or_not() -> tuple[bool | None, bool | None]:
        status = await keyring_status(runs, clients, settings, NOW)
        return status.overdue, any_overdue([status])

    before = await overdue_or_not()
    found = Drift(at=NOW, rows={}, missing=[], enabled=[], mend=None)
    await runs.documents.create(DriftRecord(keyring=keyring, drift=found).to_payload())

    assert (before, await overdue_or_not()) == ((None, None), (True, True))


async def test_a_keyring_names_its_version_and_the_run_that_holds_it(runs: RotationStore) -> None:
    """From the vault and the lease; a vault that does not answer leaves the rest to be shown."""
    run = await start_run(runs)
    clients, settings = monthly(run.keyring, made(timedelta(days=40)))

    async def away() -> Mapping[str, MekVersionProperties]:
        raise UnavailableError("away", resource="the vault")

    found = await keyring_status(runs, clients, settings, NOW)
    clients.versions.states = away
    partly = await keyring_status(runs, clients, settings, NOW)

    assert (found.version, found.version_created_on) == ("v", NOW - timedelta(days=40))
    assert (partly.version, partly.active_run, found.active_run) == (None, run.run_id, run.run_id)

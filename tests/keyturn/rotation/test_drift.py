"""Drift: unreadable rows, and retired versions that were enabled by hand, are found by the tick and announced."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.deks.census import LABELS_MAX
from keyturn.errors import PermissionMissingError, UnavailableError
from keyturn.key_vault.versions import MekVersions, TemporaryEnablement
from keyturn.rotation.drift import Drift, find_drift, read_drift, tell_drift
from keyturn.rotation.due import KeyringStatus, drifted
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from keyturn.telemetry import names
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.harness import started, versions_of
from tests.keyturn.migrations.harness import step_to as migrate_to
from tests.keyturn.notifications.inbox import TIMEOUT, Inbox, notifier_of
from tests.keyturn.runs.lifecycle import NOW, bring_to, new_keyring
from tests.keyturn.telemetry.recorded import Recorded

pytestmark = pytest.mark.usefixtures("mixed_types")

MISSING = "d" * 32


class Watched:
    """A keyring that the tick looks at."""

    def __init__(self, local: LocalKeyring, runs: RotationStore, inbox: Inbox) -> None:
        self.local, self.runs, self.inbox = local, runs, inbox
        self.name = new_keyring()
        self.versions: MekVersions = versions_of(local)

    async def find_drift(self) -> Drift:
        """Look, and remember nothing."""
        return await find_drift(self.runs, self.name, self.local.store, self.versions, NOW)

    async def tick(self, now: datetime = NOW, channels: str = "all") -> None:
        """Look as the tick does."""
        notifier = notifier_of(self.runs, self.inbox, everything=channels)
        await tell_drift(notifier, self.runs, self.name, self.local.store, self.versions, now)

    def messages(self) -> list[dict[str, str]]:
        """Return the messages about the keyring."""
        found = requests.get(f"{self.inbox.service.url}/_control/messages", timeout=TIMEOUT).json()["messages"]
        return [item for item in found if item["title"] == f"Keyturn: drift in {self.name}"]

    async def enable(self, version: str, *, enabled: bool) -> None:
        """Enable or disable a version by hand."""
        await self.local.mek.change(version, enabled=enabled)

    async def retired(self, state: State = State.COMPLETED) -> tuple[str, RotationRecord]:
        """Return a version that a rotation of the keyring has retired, and the rotation."""
        old, new = await self.local.mek.create(), await self.local.mek.create()
        record = await bring_to(self.runs, state, keyring=self.name)
        named: dict[str, Any] = {"old_versions": [old], "retired": [old]}
        record = await self.runs.update(record.run_id, lambda run: run.changed(**named))
        await self.versions.retire([old], target_version=new, run_id=record.run_id, retain_until=NOW)
        return old, record

    async def strand(self, count: int = 2) -> str:
        """Return a version that so many rows name, and that somebody has disabled."""
        version = await self.local.mek.create()
        await self.local.add_many(count, version)
        await self.local.mek.create()
        await self.enable(version, enabled=False)
        return version


@pytest.fixture
def watched(local_keyring: LocalKeyring, runs: RotationStore, inbox: Inbox) -> Watched:
    """A keyring without runs, with an empty dek store."""
    return Watched(local_keyring, runs, inbox)


async def test_rows_under_disabled_and_missing_versions_are_counted(watched: Watched) -> None:
    """By version; rows under versions that are enabled, and rows of other keys, are not among them."""
    version = await watched.strand()
    await watched.local.add_many(3, (await watched.versions.current()))
    await watched.local.fill(4, mekVersion=MISSING)
    await watched.local.fill(5, mekVersion=MISSING, mekName="another")

    found = await watched.find_drift()

    assert (found.rows, found.missing, found.enabled) == ({version: 2, MISSING: 4}, [MISSING], [])
    assert found.mend == f"keyturn restore --keyring {watched.name} --reason drift --wait"


async def test_labels_without_number_are_bounded(watched: Watched) -> None:
    """A writer of garbage makes neither the document nor the message grow without end; the worst are named."""
    for number in range(LABELS_MAX + 5):
        await watched.local.fill(1, mekVersion=f"{number:032x}")
    await watched.local.fill(3, mekVersion=f"{0:032x}")

    await watched.tick()

    found = await watched.find_drift()
    [message] = watched.messages()
    assert (len(found.rows), len(found.missing)) == (LABELS_MAX, LABELS_MAX)
    assert next(iter(found.rows.items())) == (f"{0:032x}", 4)
    assert len(message["message"].splitlines()) == 12


async def test_a_keyring_in_order_has_no_drift(watched: Watched) -> None:
    """A retired version that no row names is what it should be; no one is notified."""
    await watched.retired()
    await watched.local.add(await watched.versions.current())

    await watched.tick()

    stored = await read_drift(watched.runs.documents, watched.name)
    assert stored is not None
    assert (stored.drift.rows, stored.drift.enabled, stored.drift.since, stored.drift.mend) == ({}, [], None, None)
    assert watched.messages() == []


async def test_a_retired_version_that_was_enabled_by_hand_is_found(watched: Watched) -> None:
    """However many rotations came after it that retired nothing."""
    old, _ = await watched.retired()
    later = await bring_to(watched.runs, State.ABORTED, keyring=watched.name)
    await watched.runs.update(later.run_id, lambda run: run.changed(old_versions=[old]))
    await watched.enable(old, enabled=True)

    found = await watched.find_drift()

    assert (found.rows, found.enabled, found.mend) == ({}, [old], None)


@pytest.mark.parametrize("state", [State.RETIRING, State.REINSTATED])
async def test_a_version_that_is_not_retired_yet_or_not_any_more_is_no_drift(watched: Watched, state: State) -> None:
    """A retirement under way, and one that was taken back."""
    old, _ = await watched.retired(state)
    await watched.enable(old, enabled=True)

    assert (await watched.find_drift()).enabled == []


async def test_a_version_that_a_restore_has_enabled_is_no_drift_while_it_runs(
    watched: Watched, migrations: MigrationStore
) -> None:
    """Left enabled by a restore that has ended, it is."""
    old, _ = await watched.retired()
    restore = await migrate_to(migrations, await started(migrations, Restore(), keyring=watched.name), State.RUNNING)
    await TemporaryEnablement(watched.versions, restore.run_id).enable([old])

    during = (await watched.find_drift()).enabled
    await migrate_to(migrations, restore, State.ABORTED)

    assert (during, (await watched.find_drift()).enabled) == ([], [old])


async def test_drift_is_announced_once_and_again_after_a_week(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A keyring without any run has its message too; it names the versions and the command that fixes them."""
    version = await watched.strand()
    counts = []

    for days in (0, 1, 2, 6, 7, 8):
        await watched.tick(NOW + timedelta(days=days))
        counts.append(len(watched.messages()))

    message = watched.messages()[0]["message"]
    assert counts == [1, 1, 1, 1, 2, 2]
    logged = [record.getMessage() for record in caplog.records if record.name == "keyturn.events"]
    assert logged == [f"keyring {watched.name}: drift 2 rows unreadable, retired but enabled: 0"] * 2
    assert f"- {version}: 2 rows" in message
    assert f"keyturn restore --keyring {watched.name} --reason drift --wait" in message.splitlines()


async def test_what_is_new_is_announced_at_once_and_what_is_fixed_is_not(watched: Watched) -> None:
    """One more version under which rows are is announced at the next look; one less is no news."""
    first, second = await watched.strand(), await watched.strand()
    await watched.tick()
    await watched.enable(first, enabled=True)
    await watched.tick(NOW + timedelta(days=1))
    fixed = len(watched.messages())
    await watched.enable(first, enabled=False)
    await watched.tick(NOW + timedelta(days=2))

    assert (fixed, len(watched.messages())) == (1, 2)
    stored = await read_drift(watched.runs.documents, watched.name)
    assert stored is not None
    assert set(stored.drift.rows) == {first, second}


async def test_a_store_is_counted_once_in_twenty_hours(watched: Watched) -> None:
    """In between the last look stands; it is measured at every tick."""
    await watched.tick()
    version = await watched.strand()

    await watched.tick(NOW + timedelta(hours=19))
    early = len(watched.messages())
    await watched.tick(NOW + timedelta(hours=20))

    assert (early, len(watched.messages())) == (0, 1)
    stored = await read_drift(watched.runs.documents, watched.name)
    assert stored is not None
    assert (stored.drift.at, stored.drift.rows) == (NOW + timedelta(hours=20), {version: 2})


async def test_drift_is_measured(watched: Watched, recorded: Recorded) -> None:
    """Unreadable rows, and retired versions that were enabled by hand."""
    old, _ = await watched.retired()
    await watched.strand()
    await watched.enable(old, enabled=True)

    await watched.tick()
    rows = recorded.metric(names.DRIFT_ROWS)
    await watched.tick(NOW + timedelta(hours=1))
    versions = recorded.metric(names.DRIFT_VERSIONS)

    assert (rows[(watched.name,)], versions[(watched.name,)]) == (2, 1)


async def test_a_look_that_fails_is_raised_and_made_again(watched: Watched) -> None:
    """Nothing is remembered of it: the next tick looks, whenever it comes."""
    await watched.strand()
    watched.local.mek.fault(operation="list", kind="status", status=403, count=1)

    with pytest.raises(PermissionMissingError):
        await watched.tick()

    assert await read_drift(watched.runs.documents, watched.name) is None
    await watched.tick(NOW + timedelta(minutes=1))
    assert len(watched.messages()) == 1


async def test_what_arrived_nowhere_is_announced_again(watched: Watched) -> None:
    """The tick fails, and the next one tells it; one channel of several is enough."""
    await watched.strand()
    watched.inbox.fail("all", status=503)

    with pytest.raises(UnavailableError):
        await watched.tick()
    await watched.tick(NOW + timedelta(minutes=1), channels="all other")
    await watched.tick(NOW + timedelta(minutes=2), channels="all other")

    assert [item["channel"] for item in watched.messages()] == ["other"]


def test_health_knows_no_drift_before_the_first_look() -> None:
    """Unknown is null, never a guess."""
    fine = Drift(at=NOW, rows={}, missing=[], enabled=[], mend=None)
    bad = fine.model_copy(update={"since": NOW})

    def status(found: Drift | None) -> KeyringStatus:
        return KeyringStatus(
            keyring="k", last_rotation=None, last_began=None, next_occurrence=NOW, overdue=False, drift=found
        )

    answers = [drifted(map(status, looks)) for looks in ([fine], [fine, None], [None, bad], [])]
    assert answers == [False, None, True, False]

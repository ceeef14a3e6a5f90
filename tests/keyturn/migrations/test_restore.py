"""A restore enables what somebody approved and nothing else, and disables it again only where no row names it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts.migrations import (
    DisableAgainInput,
    DisableAgainResult,
    EnableTemporarilyInput,
    EnableTemporarilyResult,
    Restore,
    RestoreFound,
    RestoreInput,
)
from keyturn.contracts.states import State
from keyturn.deks.census import take_census
from keyturn.errors import EvidenceAlteredError, FencedError, InvariantError, UnavailableError
from keyturn.key_vault.versions import RETIRED_BY_TAG, TEMPORARY_FOR_TAG
from keyturn.migrations import restore
from keyturn.runs.record_parts import Decision
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore
from tests.keyturn.local_keyring import ROTATION, LocalKeyring
from tests.keyturn.migrations.harness import NOW, enabled, started, step_to, versions_of

pytestmark = pytest.mark.usefixtures("mixed_types")


@pytest.fixture
async def retired(local_keyring: LocalKeyring) -> tuple[str, str]:
    """A version that a rotation has retired, and the current one."""
    old, new = await local_keyring.mek.create(), await local_keyring.mek.create()
    until = datetime(2026, 12, 24, tzinfo=UTC)
    await versions_of(local_keyring).retire([old], target_version=new, run_id=ROTATION, retain_until=until)
    return old, new


async def add_under(local_keyring: LocalKeyring, version: str, count: int = 1) -> None:
    """Store rows under a retired version, as they come back from a backup."""
    await local_keyring.mek.admin.update_key_properties(local_keyring.mek.name, version, enabled=True)
    await local_keyring.add_many(count, version)
    await local_keyring.mek.admin.update_key_properties(local_keyring.mek.name, version, enabled=False)


async def running(migrations: MigrationStore) -> MigrationRecord:
    """Return a restore that runs."""
    return await step_to(migrations, await started(migrations, Restore()), State.RUNNING)


async def freeze(local_keyring: LocalKeyring, migrations: MigrationStore, record: MigrationRecord) -> RestoreFound:
    """Look, and freeze what was found."""
    request = RestoreInput(run=record.ref, step=record.step, expires_at=NOW + timedelta(days=7))
    found = await restore.survey(local_keyring.store, versions_of(local_keyring))
    return await restore.freeze_enablement(migrations, request, found, NOW)


async def approved(local_keyring: LocalKeyring, migrations: MigrationStore) -> MigrationRecord:
    """Return a restore whose evidence was approved."""
    record = await running(migrations)
    digest = (await freeze(local_keyring, migrations, record)).evidence_digest or ""
    decision = Decision(decision="approved", by="grace@example.com", digest=digest, at=NOW)
    record = await step_to(migrations, record, State.AWAITING_APPROVAL)
    record = await migrations.update(record.run_id, lambda run: run.changed(decision=decision))
    return await step_to(migrations, record, State.RUNNING)


async def enable(
    local_keyring: LocalKeyring, migrations: MigrationStore, record: MigrationRecord
) -> EnableTemporarilyResult:
    """Enable what was approved."""
    request = EnableTemporarilyInput(run=record.ref, evidence_digest=record.evidence_digest or "")
    return await restore.enable_approved(migrations, request, local_keyring.store, versions_of(local_keyring))


async def give_back(
    local_keyring: LocalKeyring, migrations: MigrationStore, record: MigrationRecord
) -> DisableAgainResult:
    """Disable again what no row names."""
    return await restore.disable_again(
        migrations, DisableAgainInput(run=record.ref), local_keyring.store, versions_of(local_keyring)
    )


async def remove_rows(local_keyring: LocalKeyring) -> None:
    """Empty the dek store."""
    async for row in local_keyring.container.read_all_items():
        await local_keyring.container.delete_item(row["id"], partition_key=row["id"])


async def tags_of(local_keyring: LocalKeyring, version: str) -> dict[str, str]:
    """Return the version's tags."""
    return dict((await versions_of(local_keyring).states())[version].tags)


async def test_what_is_found_is_frozen_once(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """The evidence counts the rows by disabled version; the same step freezes no other evidence."""
    old, new = retired
    await add_under(local_keyring, old, 2)
    await local_keyring.add_many(3, new)
    record = await running(migrations)

    first = await freeze(local_keyring, migrations, record)
    await add_under(local_keyring, old)
    again = await freeze(local_keyring, migrations, record)

    stored = await migrations.read(record.run_id)
    assert (first.target_version, first.versions, first.rows) == (new, [old], 2)
    assert first == again
    assert (stored.evidence or {})["versions"] == {old: 2}


async def test_without_such_rows_there_is_no_evidence(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Nobody is asked about nothing."""
    await local_keyring.add(retired[1])

    assert (await freeze(local_keyring, migrations, await running(migrations))).evidence_digest is None


async def test_nothing_is_enabled_without_an_approval(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Neither before the decision, nor on other evidence than was approved, nor by a run that was replaced."""
    await add_under(local_keyring, retired[0])
    undecided = await running(migrations)
    await freeze(local_keyring, migrations, undecided)
    record = await approved(local_keyring, migrations)

    for request in (
        EnableTemporarilyInput(
            run=undecided.ref, evidence_digest=(await migrations.read(undecided.run_id)).evidence_digest or ""
        ),
        EnableTemporarilyInput(run=record.ref, evidence_digest="0" * 64),
    ):
        with pytest.raises(InvariantError):
            await restore.enable_approved(migrations, request, local_keyring.store, versions_of(local_keyring))
    with pytest.raises(FencedError):
        await enable(local_keyring, migrations, record.changed(fencing_token=record.fencing_token - 1))

    assert {retired[1]} == await enabled(local_keyring)


@pytest.mark.parametrize("change", [{"evidence": {}}, {"versions": ["another"]}], ids=lambda change: next(iter(change)))
async def test_nothing_is_enabled_on_evidence_that_was_changed(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str], change: dict[str, Any]
) -> None:
    """It is hashed again at that moment, and it names the very versions that the record wants enabled."""
    await add_under(local_keyring, retired[0])
    record = await approved(local_keyring, migrations)
    record = await migrations.update(record.run_id, lambda found: found.changed(**change))

    with pytest.raises((InvariantError, EvidenceAlteredError)):
        await enable(local_keyring, migrations, record)

    assert {retired[1]} == await enabled(local_keyring)


async def test_a_version_that_was_not_approved_voids_the_approval(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Rows that name yet another disabled version by then have nothing enabled."""
    await add_under(local_keyring, retired[0])
    record = await approved(local_keyring, migrations)
    third, new = await local_keyring.mek.create(), await local_keyring.mek.create()
    await local_keyring.add(third)
    await local_keyring.mek.admin.update_key_properties(local_keyring.mek.name, third, enabled=False)

    result = await enable(local_keyring, migrations, record)

    assert (result.enabled, result.missing) == ([], [third])
    assert {retired[1], new} == await enabled(local_keyring)


async def test_versions_are_lent_and_go_back_as_they_were(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """A version stays enabled while a row names it; then it is retired by the run that had retired it."""
    old, new = retired
    await add_under(local_keyring, old, 2)
    before, record = await tags_of(local_keyring, old), await approved(local_keyring, migrations)

    answers = [await enable(local_keyring, migrations, record) for _ in range(2)]
    kept = await give_back(local_keyring, migrations, record)

    assert [one.enabled for one in answers] == [[old], [old]]
    assert DisableAgainResult(disabled=[], kept={old: 2}) == kept
    assert await enabled(local_keyring) == {old, new}
    assert (await tags_of(local_keyring, old))[TEMPORARY_FOR_TAG] == record.run_id

    await remove_rows(local_keyring)
    returned = [await give_back(local_keyring, migrations, record) for _ in range(2)]

    assert [DisableAgainResult(disabled=[old], kept={})] * 2 == returned
    assert await enabled(local_keyring) == {new}
    assert await tags_of(local_keyring, old) == before
    assert before[RETIRED_BY_TAG] == ROTATION


async def test_a_row_that_appears_while_disabling_keeps_its_version(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written under the version between the counts is readable again at once."""
    old, _ = retired
    await add_under(local_keyring, old)
    record = await approved(local_keyring, migrations)
    await enable(local_keyring, migrations, record)
    await remove_rows(local_keyring)
    await local_keyring.mek.client.get_version(old)  # the writer has its public key, and goes on using it

    async def late_writer(*arguments: Any) -> Any:
        if old not in await enabled(local_keyring):
            await local_keyring.add(old)
        return await take_census(*arguments)

    monkeypatch.setattr(restore, "take_census", late_writer)

    assert (await give_back(local_keyring, migrations, record)).kept == {old: 1}
    assert old in await enabled(local_keyring)


@pytest.mark.parametrize("crash", [False, True])
async def test_a_second_count_that_fails_or_is_never_made_leaves_no_row_unreadable(
    local_keyring: LocalKeyring,
    migrations: MigrationStore,
    retired: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    crash: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """After a failure, or a death between disabling and counting, the version of a row that is there is enabled."""
    old, _ = retired
    await add_under(local_keyring, old)
    record = await approved(local_keyring, migrations)
    await enable(local_keyring, migrations, record)
    await remove_rows(local_keyring)
    await local_keyring.mek.client.get_version(old)

    async def fail_second(*arguments: Any) -> Any:
        if old not in await enabled(local_keyring):
            await local_keyring.add(old)
            raise KeyboardInterrupt if crash else UnavailableError("the dek store did not answer")
        return await take_census(*arguments)

    monkeypatch.setattr(restore, "take_census", fail_second)
    with pytest.raises(KeyboardInterrupt if crash else UnavailableError):
        await give_back(local_keyring, migrations, record)
    monkeypatch.setattr(restore, "take_census", take_census)

    assert crash == (old not in await enabled(local_keyring))
    assert (await give_back(local_keyring, migrations, record)).kept == {old: 1}
    assert old in await enabled(local_keyring)


async def test_a_temporary_enablement_of_a_lost_restore_is_the_next_ones(
    local_keyring: LocalKeyring, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Rows under it are found like those of a disabled version, and it is disabled again at the end."""
    old, new = retired
    await add_under(local_keyring, old)
    await enable(local_keyring, migrations, await approved(local_keyring, migrations))

    record = await approved(local_keyring, migrations)
    answered = (await enable(local_keyring, migrations, record)).enabled
    await remove_rows(local_keyring)
    await give_back(local_keyring, migrations, record)

    assert answered == [old]
    assert await enabled(local_keyring) == {new}

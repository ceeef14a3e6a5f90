"""I9: an activity that dies after any of its requests, and is run again, ends as one that did not die."""

import asyncio

import pytest

from field_encrypt.row_patches import RowPatch
from keyturn.contracts.pages import PageInput
from tests.invariants.checks.versions import not_one_new_version
from tests.invariants.crash import in_two_patches
from tests.invariants.crashing import Crashing
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver

# The activities that change a vault or a store, and how many requests each makes at least.
CHANGING = {"create_version": 12, "rewrap_page": 4, "retire_versions": 12, "reinstate_versions": 2, "advance": 2}


@pytest.mark.parametrize("after", [1, 2, 3, 4, 6, 8, 10, 12])
async def test_death_after_any_request_changes_nothing(harness: ActivityHarness, after: int) -> None:
    """The rotation whose activities died has one version, every row on it with its own DEK, and the old one disabled.

    Reinstated, it has the old one enabled again.
    """
    await harness.local_keyring.add_many(2, harness.old)
    record = await harness.start(ago=2)
    crashing = Crashing(harness, after, CHANGING)
    driver = RotationDriver(harness, record, crashing.act)
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.to_retiring()

    retired = await driver.act("retire_versions", driver.retirement())
    versions = await harness.vault_versions()

    assert not_one_new_version({harness.old}, versions, record.run_id) == []
    assert {row["mekVersion"] for row in await harness.rows()} == {driver.target}
    assert await harness.changed_deks() == []
    assert (retired["retired"], retired["stale"], versions[harness.old].enabled) == ([harness.old], 0, False)

    await driver.to_end()

    assert (await harness.vault_versions())[harness.old].enabled
    assert {name for name, least in CHANGING.items() if after <= least} <= crashing.died


async def test_broken_a_row_written_in_two_steps(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that dies between two writes of one row leaves a row that nobody opens, and no second run repairs it."""
    monkeypatch.setattr(RowPatch, "send", in_two_patches(lambda: asyncio.sleep(0)))
    record = await harness.start()
    driver = RotationDriver(harness, record)
    driver.target = await harness.local_keyring.mek.create()

    for after in range(1, 9):
        row = await harness.local_keyring.add(harness.old)
        page = PageInput(run=driver.ref, target_version=driver.target, refs=[row], operations_per_second=1000)
        await Crashing(harness, after, CHANGING).act("rewrap_page", page)

    assert [wrong.partition(" ")[2].partition(" ")[2] for wrong in await harness.changed_deks()] == ["gives no DEK"]

"""A release that is rolled back meets a record that the newer one has extended: it changes nothing, and harms nothing.

What a newer release adds to a record may be a safeguard. So a record is read whole, or not at all.
"""

from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.errors import InvariantError
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, ready_to_retire

NEWER: dict[str, dict[str, Any]] = {
    "at its top": {"op": "set", "path": "/safeguard", "value": {"by": "release 9"}},
    "in its policy": {"op": "set", "path": "/policy/safeguard", "value": "PT1H"},
}


async def extended(harness: ActivityHarness, driver: RotationDriver, addition: dict[str, Any]) -> None:
    """Let a newer release write into the record what this one does not know."""
    await harness.resources.records.patch_item(driver.run_id, harness.keyring, [addition])


@pytest.mark.parametrize("where", NEWER)
async def test_a_record_of_a_newer_release_is_left_alone(harness: ActivityHarness, where: str) -> None:
    """Nothing is retired, decided, reinstated or started; once the newer release is back, the run goes on."""
    driver = await ready_to_retire(harness)
    await extended(harness, driver, NEWER[where])
    before = (await harness.vault_versions(), await harness.rows(), await harness.documents())

    retired = await harness.act("retire_versions", driver.retirement())
    with pytest.raises(InvariantError, match="unreadable") as read:
        await harness.runs.read(driver.run_id)
    with pytest.raises(InvariantError, match="unreadable"):
        await harness.start()

    assert retired["failure"]["errorType"] == InvariantError.__name__
    assert read.value.facts["document"] == driver.run_id
    assert any("safeguard" in field for field in read.value.facts["fields"])
    assert "deploy that release again" in read.value.hint
    assert (await harness.vault_versions(), await harness.rows(), await harness.documents()) == before

    gone = {"op": "remove", "path": NEWER[where]["path"]}
    await harness.resources.records.patch_item(driver.run_id, harness.keyring, [gone])
    assert (await driver.act("retire_versions", driver.retirement()))["retired"] == [harness.old]
    await driver.advance(State.WATCHING)
    await driver.advance(State.COMPLETED)


async def test_rows_of_such_a_run_open_all_the_time(harness: ActivityHarness) -> None:
    """A page that is under way needs the lease alone: it moves its rows onto a version that is enabled."""
    await harness.local_keyring.add_many(3, harness.old)
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.to_new_version()
    await driver.advance(State.SWEEPING)
    (page, *others) = await driver.pages("rewrap")
    await extended(harness, driver, NEWER["at its top"])

    moved = await harness.act("rewrap_page", page)

    assert "failure" not in moved
    assert moved["result"]["changed"] + sum(len(other.refs) for other in others) == 3
    assert await harness.needed_but_disabled() == []
    assert await harness.changed_deks() == []

"""I9: an activity that dies after any of its requests, and is run again, ends as one that did not die."""

import asyncio

import pytest

from keyturn.contracts import PageInput
from keyturn.deks.store import DekStore
from tests.invariants.checks.versions import not_one_new_version
from tests.invariants.dying import Dying
from tests.invariants.scene import Scene
from tests.invariants.script import Script
from tests.invariants.test_i02_readable_rows import in_two_patches

# The activities that change a vault or a store, and how many requests each makes at least.
CHANGING = {"create_version": 12, "rewrap_page": 4, "retire_versions": 12, "reinstate_versions": 2, "advance": 2}


@pytest.mark.parametrize("after", [1, 2, 3, 4, 6, 8, 10, 12])
async def test_death_after_any_request_changes_nothing(scene: Scene, after: int) -> None:
    """The rotation whose activities died has one version, every row on it with its own DEK, and the old one disabled.

    Reinstated, it has the old one enabled again.
    """
    await scene.world.add_many(2, scene.old)
    record = await scene.start()
    dying = Dying(scene, after, CHANGING)
    script = Script(scene, record, dying.act)
    await script.to_new_version()
    await script.to_frozen()
    await script.to_retiring()

    retired = await script.act("retire_versions", script.retirement())
    versions = await scene.vault_versions()

    assert [] == not_one_new_version({scene.old}, versions, record.run_id)
    assert {script.target} == {row["mekVersion"] for row in await scene.rows()}
    assert [] == await scene.changed_deks()
    assert ([scene.old], 0, False) == (retired["retired"], retired["stale"], versions[scene.old].enabled)

    await script.to_end()

    assert (await scene.vault_versions())[scene.old].enabled
    assert {name for name, least in CHANGING.items() if after <= least} <= dying.died


async def test_broken_a_row_written_in_two_steps(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that dies between two writes of one row leaves a row that nobody opens, and no second run mends it."""
    monkeypatch.setattr(DekStore, "_patch", in_two_patches(lambda: asyncio.sleep(0)))
    record = await scene.start()
    script = Script(scene, record)
    script.target = await scene.world.mek.create()

    for after in range(1, 9):
        row = await scene.world.add(scene.old)
        page = PageInput(run=script.ref, target_version=script.target, refs=[row], operations_per_second=1000)
        await Dying(scene, after, CHANGING).act("rewrap_page", page)

    assert ["gives no DEK"] == [wrong.partition(" ")[2].partition(" ")[2] for wrong in await scene.changed_deks()]

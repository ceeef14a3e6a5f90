"""The checklist as a whole: everything is checked, nothing is changed, what does not answer is asked again."""

import pytest

from keyturn.preflight import CHECKLIST
from keyturn.preflight.run import WAITS
from tests.keyturn.preflight.scene import Scene, check_of, failed


async def test_a_sound_keyring_passes_every_check(scene: Scene) -> None:
    """Every check of the list is there, passes and says what it saw; the plan counts the rows."""
    preflight = await scene.run()

    assert [] == failed(preflight)
    assert ["waivers", *CHECKLIST] == [check.name for check in preflight.checks]
    assert all(check.detail for check in preflight.checks)
    assert preflight.plan is not None
    assert (2, 4) == (preflight.plan.rows, preflight.plan.vault_operations)
    assert scene.clock.slept == []


async def test_nothing_is_changed(scene: Scene) -> None:
    """Neither a version nor a row is other than before, however often the checks run."""
    versions = [await scene.world.mek.admin.get_key(scene.world.mek.name)]
    rows = [row async for row in scene.world.container.read_all_items()]

    await scene.run()
    await scene.run()

    listed = [found async for found in scene.world.mek.admin.list_properties_of_key_versions(scene.world.mek.name)]
    assert 1 == len(listed)
    assert versions[0].properties.updated_on == listed[0].updated_on
    assert rows == [row async for row in scene.world.container.read_all_items()]


async def test_what_answers_late_is_waited_for(scene: Scene) -> None:
    """A vault that throttles twice does not fail the check."""
    scene.world.mek.fault(operation="unwrap", kind="throttle", count=2)

    preflight = await scene.run()

    assert [] == failed(preflight)
    assert [WAITS[0], WAITS[1]] == scene.clock.slept


@pytest.mark.parametrize(("operation", "check"), [("unwrap", "can_wrap_and_unwrap"), ("create", "can_create_version")])
async def test_a_vault_that_never_answers_fails_the_check(scene: Scene, operation: str, check: str) -> None:
    """After a bounded number of attempts the check fails, naming what did not answer."""
    scene.world.mek.fault(operation=operation, kind="throttle", count=None)

    preflight = await scene.run()

    assert check in failed(preflight)
    found = check_of(preflight, check)
    assert f"asked {len(WAITS) + 1} times" in found.detail
    assert scene.world.mek.name in found.detail
    assert found.hint


async def test_a_store_that_never_answers_fails_the_check(scene: Scene) -> None:
    """The dek store is named, and what rests on it is not taken for good."""
    scene.world.cosmos.fault(operation="read_container", kind="status", status=503, count=None)

    preflight = await scene.run()

    assert {"store_reachable", "can_query", "census", "row_versions"} <= set(failed(preflight))
    assert "the dek store" in check_of(preflight, "store_reachable").detail
    assert "not checked, because can_query failed" == check_of(preflight, "census").detail
    assert preflight.plan is None

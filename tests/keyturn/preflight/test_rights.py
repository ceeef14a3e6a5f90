"""Each right that a rotation needs, taken away in turn: the check that finds it out fails, before anything is done."""

import pytest

from local.identity.roles import CONTAINERS, COSMOS, KEYS
from tests.keyturn.preflight.scene import Scene, check_of, failed


@pytest.mark.parametrize(
    ("right", "check"),
    [
        (f"{KEYS}/read", "can_read_key"),
        (f"{KEYS}/unwrap/action", "can_wrap_and_unwrap"),
        (f"{KEYS}/create/action", "can_create_version"),
        (f"{KEYS}/update/action", "can_update_version"),
        (f"{CONTAINERS}/items/read", "can_read_rows"),
        (f"{CONTAINERS}/items/replace", "can_patch_rows"),
        (f"{CONTAINERS}/executeQuery", "can_query"),
        (f"{CONTAINERS}/readChangeFeed", "can_read_change_feed"),
        (f"{COSMOS}/read", "backup"),
        (f"{KEYS}/backup/action", "key_backup"),
    ],
)
async def test_a_missing_right_is_named(scene: Scene, right: str, check: str) -> None:
    """The check fails and says which right to grant; a right is not waited for."""
    scene.vault_rights = [held for held in scene.vault_rights if held != right]
    scene.store_rights = [held for held in scene.store_rights if held != right]
    scene.account_rights = [held for held in scene.account_rights if held != right]

    preflight = await scene.run()

    assert check in failed(preflight)
    granted = "readChangeFeed" if right.endswith("readChangeFeed") else right
    assert granted in check_of(preflight, check).hint
    assert [] == scene.clock.slept


async def test_other_checks_do_not_fail_with_a_right(scene: Scene) -> None:
    """A right that one check needs is not asked for by the others."""
    scene.vault_rights = [right for right in scene.vault_rights if not right.endswith("create/action")]
    scene.store_rights = [right for right in scene.store_rights if not right.endswith("items/replace")]

    preflight = await scene.run()

    assert ["can_create_version", "can_patch_rows"] == failed(preflight)


async def test_no_right_beyond_those_is_needed(scene: Scene) -> None:
    """Neither the right to wrap remotely nor to restore a key, to create rows or to delete anything is used."""
    used = ("read", "create/action", "update/action", "unwrap/action", "backup/action")
    scene.vault_rights = [f"{KEYS}/{right}" for right in used]

    assert [] == failed(await scene.run())


async def test_a_store_that_may_not_be_looked_at_is_named(scene: Scene) -> None:
    """The account itself could be opened, the container not: a role that is assigned at another scope."""
    scene.world.cosmos.fault(operation="read_container", kind="status", status=403, count=None)

    check = check_of(await scene.run(), "store_reachable")

    assert "fail" == check.outcome
    assert f"{COSMOS}/readMetadata" in check.hint

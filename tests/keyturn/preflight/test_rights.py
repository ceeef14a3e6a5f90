"""Each right that a rotation needs, taken away in turn: the check that finds it out fails, before anything is done."""

import pytest

from local.identity.roles import CONTAINERS, COSMOS, KEYS
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed


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
async def test_a_missing_right_is_named(harness: PreflightHarness, right: str, check: str) -> None:
    """The check fails and says which right to grant; a right is not waited for."""
    harness.vault_rights = [held for held in harness.vault_rights if held != right]
    harness.store_rights = [held for held in harness.store_rights if held != right]
    harness.account_rights = [held for held in harness.account_rights if held != right]

    preflight = await harness.run()

    assert check in failed(preflight)
    granted = "readChangeFeed" if right.endswith("readChangeFeed") else right
    assert granted in check_of(preflight, check).hint
    assert harness.clock.slept == []


async def test_other_checks_do_not_fail_with_a_right(harness: PreflightHarness) -> None:
    """A right that one check needs is not asked for by the others."""
    harness.vault_rights = [right for right in harness.vault_rights if not right.endswith("create/action")]
    harness.store_rights = [right for right in harness.store_rights if not right.endswith("items/replace")]

    preflight = await harness.run()

    assert failed(preflight) == ["can_create_version", "can_patch_rows"]


async def test_no_right_beyond_those_is_needed(harness: PreflightHarness) -> None:
    """Neither the right to wrap remotely nor to restore a key, to create rows or to delete anything is used."""
    used = ("read", "create/action", "update/action", "unwrap/action", "backup/action")
    harness.vault_rights = [f"{KEYS}/{right}" for right in used]

    assert failed(await harness.run()) == []


async def test_a_store_that_may_not_be_looked_at_is_named(harness: PreflightHarness) -> None:
    """The account itself could be opened, the container not: a role that is assigned at another scope."""
    harness.local_keyring.cosmos.fault(operation="read_container", kind="status", status=403, count=None)

    check = check_of(await harness.run(), "store_reachable")

    assert check.outcome == "fail"
    assert f"{COSMOS}/readMetadata" in check.hint

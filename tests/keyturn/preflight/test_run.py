"""The checklist as a whole: everything is checked, nothing is changed, what does not answer is asked again."""

import pytest

from keyturn.preflight.checks import CHECKLIST
from keyturn.preflight.run import WAITS
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed


async def test_a_sound_keyring_passes_every_check(harness: PreflightHarness) -> None:
    """Every check of the list is there, passes and says what it saw; the plan counts the rows."""
    preflight = await harness.run()

    assert failed(preflight) == []
    assert [check.name for check in preflight.checks] == ["waivers", *CHECKLIST]
    assert all(check.detail for check in preflight.checks)
    assert preflight.plan is not None
    assert (preflight.plan.rows, preflight.plan.vault_operations) == (2, 4)
    assert harness.clock.slept == []


async def test_nothing_is_changed(harness: PreflightHarness) -> None:
    """Neither a version nor a row is other than before, however often the checks run."""
    versions = [await harness.local_keyring.mek.admin.get_key(harness.local_keyring.mek.name)]
    rows = [row async for row in harness.local_keyring.container.read_all_items()]

    await harness.run()
    await harness.run()

    listed = [
        found
        async for found in harness.local_keyring.mek.admin.list_properties_of_key_versions(
            harness.local_keyring.mek.name
        )
    ]
    assert len(listed) == 1
    assert versions[0].properties.updated_on == listed[0].updated_on
    assert [row async for row in harness.local_keyring.container.read_all_items()] == rows


async def test_what_answers_late_is_waited_for(harness: PreflightHarness) -> None:
    """A vault that throttles twice does not fail the check."""
    harness.local_keyring.mek.fault(operation="unwrap", kind="throttle", count=2)

    preflight = await harness.run()

    assert failed(preflight) == []
    assert [WAITS[0], WAITS[1]] == harness.clock.slept


@pytest.mark.parametrize(("operation", "check"), [("unwrap", "can_wrap_and_unwrap"), ("create", "can_create_version")])
async def test_a_vault_that_never_answers_fails_the_check(
    harness: PreflightHarness, operation: str, check: str
) -> None:
    """After a bounded number of attempts the check fails, naming what did not answer."""
    harness.local_keyring.mek.fault(operation=operation, kind="throttle", count=None)

    preflight = await harness.run()

    assert check in failed(preflight)
    found = check_of(preflight, check)
    assert f"asked {len(WAITS) + 1} times" in found.detail
    assert harness.local_keyring.mek.name in found.detail
    assert found.hint


async def test_a_store_that_never_answers_fails_the_check(harness: PreflightHarness) -> None:
    """The dek store is named, and what rests on it is not taken for good."""
    harness.local_keyring.cosmos.fault(operation="read_container", kind="status", status=503, count=None)

    preflight = await harness.run()

    assert {"store_reachable", "can_query", "census", "row_versions"} <= set(failed(preflight))
    assert "the dek store" in check_of(preflight, "store_reachable").detail
    assert check_of(preflight, "census").detail == "not checked, because can_query failed"
    assert preflight.plan is None

"""The checklist as a whole: everything is checked, nothing is changed, what does not answer is asked again."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.contracts.passes import CensusResult
from keyturn.preflight.checks import ALL_SECONDS, ANSWER_SECONDS, CHECKLIST, COUNT_SECONDS
from keyturn.preflight.context import Facts
from keyturn.preflight.run import WAITS
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed

REPOSITORY = Path(__file__).parents[3]


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


def test_counting_may_take_as_long_as_the_activity() -> None:
    """Only that: the others have time of their own before the host ends the activity, however long counting takes."""
    bounds = {name: item.seconds for name, item in CHECKLIST.items()}
    minutes, seconds = json.loads((REPOSITORY / "host.json").read_text())["functionTimeout"].split(":")[1:]

    assert bounds.pop("census") == COUNT_SECONDS
    assert set(bounds.values()) == {ANSWER_SECONDS}
    assert COUNT_SECONDS + ANSWER_SECONDS < ALL_SECONDS < int(minutes) * 60 + int(seconds)


async def test_a_count_that_hangs_ends_and_can_be_waived(
    harness: PreflightHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is too large to be counted in time is rotated where somebody says so; its versions are asked."""
    monkeypatch.setitem(CHECKLIST, "census", replace(CHECKLIST["census"], seconds=0.1))
    monkeypatch.setattr(Facts, "counted", hang)
    waiver = {"check": "census", "by": "dana@example.com", "why": "two billion rows"}

    stopped = await harness.run()
    waived = await harness.run(harness.record(waivers=[waiver]))

    assert failed(stopped) == ["census", "row_versions"]
    assert check_of(stopped, "census").detail == "no answer within 0 s"
    assert (failed(waived), waived.plan) == ([], None)


async def test_where_the_count_is_waived_a_disabled_version_that_a_row_names_is_found(
    harness: PreflightHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is one that unwraps none of its rows; a version that no row names is nobody's business."""
    monkeypatch.setitem(CHECKLIST, "census", replace(CHECKLIST["census"], seconds=0.1))
    monkeypatch.setattr(Facts, "counted", hang)
    mek = harness.local_keyring.mek
    [named] = [found.version for found in await mek.client.list_versions()]
    unnamed, current = [await mek.create() for _ in range(2)]
    await harness.local_keyring.add_many(1, current)
    for version in (named, unnamed):
        await mek.change(version, enabled=False)
    record = harness.record(waivers=[{"check": "census", "by": "dana@example.com", "why": "large"}])

    disabled = await harness.run(record)
    await mek.change(named, enabled=True)

    assert failed(disabled) == ["row_versions"]
    assert check_of(disabled, "row_versions").detail == f"{named} is disabled"
    assert failed(await harness.run(record)) == []


async def test_all_checks_together_end_before_the_host_ends_them(
    harness: PreflightHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts that each take long share the time of their check, and what is left for none is said to be so."""
    monkeypatch.setattr("keyturn.preflight.run.ALL_SECONDS", 0.0)

    preflight = await harness.run()

    assert {"can_read_key", "store_reachable"} <= set(failed(preflight))
    assert check_of(preflight, "store_reachable").detail == "no answer within 0 s"


async def hang(_: Facts) -> CensusResult:
    """Wait for ever."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")

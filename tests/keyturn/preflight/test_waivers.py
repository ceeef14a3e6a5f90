"""What may be waived, by whom, and that nothing else is."""

from typing import Any

import pytest

from keyturn.errors import InvalidRequestError
from keyturn.preflight.checks import CHECKLIST, WAIVABLE, require_waivable
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed


def waiver(check: str) -> dict[str, Any]:
    """Return a waiver of this check as the record keeps it."""
    return {"check": check, "by": "dana@example.com", "why": "we know"}


async def test_a_waived_check_says_who_answers_for_it(harness: PreflightHarness) -> None:
    """What was seen stays beside who waived it and why, and does not block."""
    harness.manager.set_backup(type="Periodic")

    preflight = await harness.run(harness.record(waivers=[waiver("backup")]))

    check = check_of(preflight, "backup")
    assert check.outcome == "waived"
    assert check.detail == "the account is backed up periodically only; waived by dana@example.com: we know"
    assert failed(preflight) == []


async def test_a_waiver_of_a_check_that_passes_changes_nothing(harness: PreflightHarness) -> None:
    """Evidence must not show a waiver that nobody needed."""
    assert check_of(await harness.run(harness.record(waivers=[waiver("backup")])), "backup").outcome == "pass"


@pytest.mark.parametrize("check", ["row_versions", "can_patch_rows", "waivers", "no_such_check"])
async def test_a_waiver_of_what_must_hold_fails(harness: PreflightHarness, check: str) -> None:
    """A waiver that cannot be given blocks, and says which can."""
    preflight = await harness.run(harness.record(waivers=[waiver(check)]))

    assert failed(preflight) == ["waivers"]
    assert check in check_of(preflight, "waivers").detail
    assert "backup" in check_of(preflight, "waivers").hint


async def test_a_missing_right_is_not_waived(harness: PreflightHarness) -> None:
    """The rotation would only stop half-way."""
    harness.vault_rights = [right for right in harness.vault_rights if not right.endswith("create/action")]

    preflight = await harness.run(harness.record(waivers=[waiver("can_create_version")]))

    assert failed(preflight) == ["waivers", "can_create_version"]


def test_a_start_request_learns_which_of_its_waivers_is_wrong() -> None:
    """The error names the field of the request and what may stand there."""
    require_waivable(["backup", "maintenance_window"])

    with pytest.raises(InvalidRequestError) as refused:
        require_waivable(["backup", "mek_exists"])

    assert refused.value.facts["field"] == "waivers.1.check"
    assert "backup" in refused.value.facts["expected"]


def test_nothing_that_a_rotation_rests_on_can_be_waived() -> None:
    """Rights, the key, the store and its versions must hold; the list of what need not is short and known."""
    assert {
        *("encryption_enabled", "vault_url_set", "mek_size", "mek_enabled", "mek_not_expired", "store_has_rows"),
        *(
            "census",
            "backup",
            "key_backup",
            "key_backup_drill",
            "no_migration",
            "maintenance_window",
            "on_call_notified",
            "somebody_can_decide",
        ),
    } == WAIVABLE
    assert all(need in CHECKLIST for item in CHECKLIST.values() for need in item.needs)


def test_the_check_that_may_be_meant_is_named() -> None:
    """Beside all that can be waived."""
    with pytest.raises(InvalidRequestError, match=r"one of backup, .*did you mean backup\?"):
        require_waivable(["bakup"])

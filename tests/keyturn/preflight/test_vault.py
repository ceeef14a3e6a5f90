"""What is asked of the MEK, its newest version and the settings that name it."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.preflight import vault
from keyturn.preflight.context import CheckContext
from keyturn.preflight.results import Outcome
from tests.keyturn.preflight.harness import NOW, PreflightHarness, check_of, failed


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"encryption_enabled": False}, "encryption_enabled"),
        ({"key_provider": "env"}, "key_provider_is_akv"),
        ({"vault_url": "https://notes.example.com", "verify_challenge_resource": True}, "vault_url_set"),
    ],
)
async def test_settings_that_no_rotation_fits_are_found(
    harness: PreflightHarness, values: dict[str, Any], check: str
) -> None:
    """The runbook's first items fail by name, with what to do."""
    harness.keyring_values = values

    preflight = await harness.run()

    assert check in failed(preflight)
    assert check_of(preflight, check).hint


async def test_a_key_that_does_not_exist_is_not_created(harness: PreflightHarness) -> None:
    """A wrong name fails, and everything that rests on the key is not taken for good."""
    harness.keyring_values = {"mek_name": f"{harness.local_keyring.mek.name}-absent"}

    preflight = await harness.run()

    assert {"mek_exists", "mek_is_rsa", "mek_size", "can_wrap_and_unwrap", "row_versions"} <= set(failed(preflight))
    assert "FIELD_ENCRYPT_MEK_NAME" in check_of(preflight, "mek_exists").hint


async def test_a_smaller_key_is_not_made_unasked(harness: PreflightHarness) -> None:
    """A rotation from 3072 to 2048 bits needs somebody to say so."""
    await harness.local_keyring.mek.admin.create_rsa_key(harness.local_keyring.mek.name, size=3072)

    preflight = await harness.run()

    assert failed(preflight) == ["mek_size"]
    assert "KEYTURN_KEY_SIZE to 3072" in check_of(preflight, "mek_size").hint


async def test_a_disabled_newest_version_is_found(harness: PreflightHarness) -> None:
    """Somebody disabled what the backend wraps under; the versions before it do not hide that."""
    newest = await harness.local_keyring.mek.create()
    await harness.local_keyring.mek.change(newest, enabled=False)

    preflight = await harness.run()

    assert "mek_enabled" in failed(preflight)
    assert newest in check_of(preflight, "mek_enabled").detail


async def test_an_expired_version_can_be_rotated_away_from(harness: PreflightHarness) -> None:
    """Expiry is found; waived, the rotation may go on, because the version still unwraps."""
    newest = await harness.local_keyring.mek.create()
    await harness.local_keyring.add(newest)
    await harness.local_keyring.mek.change(newest, expires_on=NOW - timedelta(days=1))
    waiver = {"check": "mek_not_expired", "by": "dana", "why": "that is why we rotate"}

    found = await harness.run()
    waived = await harness.run(harness.record(waivers=[waiver]))

    assert failed(found) == ["mek_not_expired"]
    assert failed(waived) == []


async def test_a_version_that_is_not_valid_yet_is_found(harness: PreflightHarness) -> None:
    """Nothing can be wrapped under it now."""
    await harness.local_keyring.mek.create(not_before=NOW + timedelta(days=400))

    assert failed(await harness.run()) == ["mek_not_expired"]


async def test_a_key_of_another_kind_is_refused(harness: PreflightHarness) -> None:
    """An elliptic-curve key wraps nothing."""
    version = await harness.local_keyring.mek.client.newest_enabled()
    other = version.model_copy(update={"jwk": version.jwk.model_copy(update={"kty": "EC", "n": None})})

    result = await vault.mek_is_rsa(_context_about(other))

    assert result.outcome is Outcome.PROBLEM
    assert "type EC" in result.detail


def _context_about(newest: Any) -> CheckContext:
    """Return a context in which a check may only ask for the newest version."""

    class Known:
        async def newest(self) -> Any:
            return newest

    absent: Any = None
    known: Any = Known()
    return CheckContext(absent, absent, absent, absent, None, None, NOW, known)

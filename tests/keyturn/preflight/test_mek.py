"""What is asked of the MEK, its newest version and the settings that name it."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.preflight import vault as mek
from keyturn.preflight.context import Inquiry
from tests.keyturn.preflight.scene import NOW, Scene, check_of, failed


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"encryption_enabled": False}, "encryption_enabled"),
        ({"key_provider": "env"}, "key_provider_is_akv"),
        ({"vault_url": "https://notes.example.com", "verify_challenge_resource": True}, "vault_url_set"),
    ],
)
async def test_settings_that_no_rotation_fits_are_found(scene: Scene, values: dict[str, Any], check: str) -> None:
    """The runbook's first items fail by name, with what to do."""
    scene.keyring_values = values

    preflight = await scene.run()

    assert check in failed(preflight)
    assert check_of(preflight, check).hint


async def test_a_key_that_does_not_exist_is_not_created(scene: Scene) -> None:
    """A wrong name fails, and everything that rests on the key is not taken for good."""
    scene.keyring_values = {"mek_name": f"{scene.world.mek.name}-absent"}

    preflight = await scene.run()

    assert {"mek_exists", "mek_is_rsa", "mek_size", "can_wrap_and_unwrap", "row_versions"} <= set(failed(preflight))
    assert "FIELD_ENCRYPT_MEK_NAME" in check_of(preflight, "mek_exists").hint


async def test_a_smaller_key_is_not_made_unasked(scene: Scene) -> None:
    """A rotation from 3072 to 2048 bits needs somebody to say so."""
    await scene.world.mek.admin.create_rsa_key(scene.world.mek.name, size=3072)

    preflight = await scene.run()

    assert ["mek_size"] == failed(preflight)
    assert "KEYTURN_KEY_SIZE to 3072" in check_of(preflight, "mek_size").hint


async def test_a_disabled_newest_version_is_found(scene: Scene) -> None:
    """Somebody disabled what the backend wraps under; the versions before it do not hide that."""
    newest = await scene.world.mek.create()
    await scene.world.mek.change(newest, enabled=False)

    preflight = await scene.run()

    assert "mek_enabled" in failed(preflight)
    assert newest in check_of(preflight, "mek_enabled").detail


async def test_an_expired_version_can_be_rotated_away_from(scene: Scene) -> None:
    """Expiry is found; waived, the rotation may go on, because the version still unwraps."""
    newest = await scene.world.mek.create()
    await scene.world.add(newest)
    await scene.world.mek.change(newest, expires_on=NOW - timedelta(days=1))
    waiver = {"check": "mek_not_expired", "by": "dana", "why": "that is why we rotate"}

    found = await scene.run()
    waived = await scene.run(scene.record(waivers=[waiver]))

    assert ["mek_not_expired"] == failed(found)
    assert [] == failed(waived)


async def test_a_version_that_is_not_valid_yet_is_found(scene: Scene) -> None:
    """Nothing can be wrapped under it now."""
    await scene.world.mek.create(not_before=NOW + timedelta(days=400))

    assert ["mek_not_expired"] == failed(await scene.run())


async def test_a_key_of_another_kind_is_refused(scene: Scene) -> None:
    """An elliptic-curve key wraps nothing."""
    version = await scene.world.mek.client.newest_enabled()
    other = version.model_copy(update={"jwk": version.jwk.model_copy(update={"kty": "EC", "n": None})})

    finding = await mek.mek_is_rsa(_inquiry_about(other))

    assert not finding.ok
    assert "type EC" in finding.detail


def _inquiry_about(newest: Any) -> Inquiry:
    """Return an inquiry of which a check may only ask the newest version."""

    class Known:
        async def newest(self) -> Any:
            return newest

    absent: Any = None
    known: Any = Known()
    return Inquiry(absent, absent, absent, absent, None, None, NOW, known)

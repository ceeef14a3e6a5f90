"""The version that a rotation goes on with: its own, or an unfinished one's; proven before it is used."""

from datetime import UTC, datetime

import pytest

from keyturn.errors import NotSettledError
from keyturn.key_vault.creation import create_version, prove
from keyturn.key_vault.versions import ROTATION_TAG, UNUSED_TAG, MekVersions
from tests.keyturn.clocks import ManualClock
from tests.keyturn.key_vault.creations import EARLIER, REQUEST, Intent, tagged
from tests.keyturn.local_keyring import ROTATION, LocalKeyring


async def test_of_several_versions_the_current_one_is_taken(local_keyring: LocalKeyring, versions: MekVersions) -> None:
    """Writers wrap under it; creation times tell only seconds apart. Where it is another's, the newest one is taken."""
    made: list[str] = []
    while len(made) < 2 or (await tagged(versions))[-1] == made[-1]:  # until the times do not tell the newest
        made.append(await local_keyring.mek.create(tags={ROTATION_TAG: ROTATION}))

    taken = await create_version(versions, REQUEST, Intent(), ManualClock())
    await local_keyring.mek.create(tags={"team": "notes"})
    instead = [await create_version(versions, REQUEST, Intent(), ManualClock()) for _ in range(2)]

    assert taken == made[-1]
    assert [(await tagged(versions))[-1]] * 2 == instead


@pytest.mark.parametrize(
    "stays", ["enabled", "never in use", "disabled", "expired", "smaller", "not current", "finished"]
)
async def test_the_current_version_of_an_unfinished_rotation_is_adopted(
    local_keyring: LocalKeyring, versions: MekVersions, stays: str
) -> None:
    """Its rows need not be moved again; a version that cannot serve, or that is not the current one, is not taken."""
    there = await local_keyring.mek.create(tags={ROTATION_TAG: EARLIER})
    if stays in {"disabled", "never in use"}:
        await local_keyring.mek.change(there, enabled=False)
    if stays == "never in use":
        await local_keyring.mek.change(there, tags={ROTATION_TAG: EARLIER, UNUSED_TAG: EARLIER})
    if stays == "expired":
        await local_keyring.mek.change(there, expires_on=datetime(2026, 1, 1, tzinfo=UTC))
    if stays == "not current":
        await local_keyring.mek.create()
    request = REQUEST.model_copy(update={"key_size": 3072}) if stays == "smaller" else REQUEST
    intent, adoptable = Intent(), () if stays == "finished" else (EARLIER,)

    version = await create_version(versions, request, intent, ManualClock(), adoptable)
    again = await create_version(versions, request, intent, ManualClock(), adoptable)

    assert version == again
    adopted = stays in {"enabled", "never in use"}
    assert ((version == there), await tagged(versions)) == ((True, []) if adopted else (False, [version]))


async def test_its_own_version_comes_before_one_to_adopt(local_keyring: LocalKeyring, versions: MekVersions) -> None:
    """A rotation that has made its version stays with it."""
    own = await local_keyring.mek.create(tags={ROTATION_TAG: ROTATION})
    await local_keyring.mek.create(tags={ROTATION_TAG: EARLIER})

    assert await create_version(versions, REQUEST, Intent(), ManualClock(), {EARLIER}) == own


async def test_a_version_is_used_once_it_can_be(local_keyring: LocalKeyring, versions: MekVersions) -> None:
    """A version that the vault does not give or use yet, or still calls disabled, is waited for, within a bound."""
    created = await local_keyring.mek.create()
    disabled = {"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "KeyDisabled"}}}
    local_keyring.mek.fault(operation="unwrap", kind="status", status=403, body=disabled, count=1)
    for operation in ("get", "unwrap"):
        local_keyring.mek.fault(operation=operation, kind="status", status=404, count=1)
    clock = ManualClock()

    await prove(versions, created, clock)

    assert len(clock.slept) == 3


@pytest.mark.parametrize("harm", ["throttled", "disabled"])
async def test_a_version_that_stays_unusable_is_not_used(
    local_keyring: LocalKeyring, versions: MekVersions, harm: str
) -> None:
    """After a minute the activity fails for a later attempt."""
    created, clock = await local_keyring.mek.create(enabled=harm != "disabled"), ManualClock()
    if harm == "throttled":
        local_keyring.mek.fault(operation="unwrap", kind="throttle", count=None)

    with pytest.raises(NotSettledError):
        await prove(versions, created, clock)

    assert clock.elapsed >= 60

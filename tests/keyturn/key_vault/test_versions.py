"""Versions disabled and enabled again: exactly those, tagged, and never the one in use."""

from datetime import UTC, datetime

import pytest

from keyturn.errors import InvariantError, PermissionMissingError, ResourceMissingError, UnavailableError
from keyturn.key_vault.versions import MekVersions
from tests.keyturn.local_keyring import ROTATION, LocalKeyring

RETAIN_UNTIL = datetime(2026, 12, 24, 12, tzinfo=UTC)


@pytest.fixture
async def three(local_keyring: LocalKeyring) -> list[str]:
    """Three versions, oldest first; the last one is the target."""
    return [await local_keyring.mek.create(tags={"team": "notes"}) for _ in range(3)]


async def retire(versions: MekVersions, chosen: list[str], target: str) -> None:
    """Retire versions for the tests' rotation."""
    await versions.retire(chosen, target_version=target, run_id=ROTATION, retain_until=RETAIN_UNTIL)


async def test_exactly_the_named_versions_are_retired(versions: MekVersions, three: list[str]) -> None:
    """A retired version is disabled and tagged beside its other tags; the others are left alone."""
    oldest, older, target = three

    await retire(versions, [oldest], target)

    states = await versions.states()
    assert [states[version].enabled for version in (oldest, older, target)] == [False, True, True]
    assert states[oldest].tags == {
        "team": "notes",
        "keyturn-retired-by": ROTATION,
        "keyturn-retain-until": "2026-12-24",
    }
    assert states[older].tags == {"team": "notes"}


async def test_retiring_twice_is_retiring_once(
    local_keyring: LocalKeyring, versions: MekVersions, three: list[str]
) -> None:
    """What is disabled already is a success and is not written again."""
    oldest, _, target = three
    await retire(versions, [oldest], target)
    updates = local_keyring.mek.vault.operations("admin").count("update")

    await retire(versions, [oldest], target)

    assert local_keyring.mek.vault.operations("admin").count("update") == updates


async def test_the_version_in_use_is_never_retired(versions: MekVersions, three: list[str]) -> None:
    """Neither the target nor the newest version can be disabled, and then none is."""
    oldest, older, newest = three

    for chosen, target in (([oldest, older], older), ([oldest, newest], older)):
        with pytest.raises(InvariantError):
            await retire(versions, chosen, target)

    assert all(state.enabled for state in (await versions.states()).values())


async def test_an_unknown_version_retires_nothing(versions: MekVersions, three: list[str]) -> None:
    """A version that does not exist is named, and the others stay enabled."""
    oldest, _, target = three

    with pytest.raises(ResourceMissingError) as raised:
        await retire(versions, [oldest, "0" * 32], target)

    assert raised.value.facts["versions"] == ["0" * 32]
    assert all(state.enabled for state in (await versions.states()).values())


async def test_what_the_rotation_disabled_is_reinstated(versions: MekVersions, three: list[str]) -> None:
    """Reinstated versions are enabled and tagged; doing it twice tells the same."""
    oldest, older, target = three
    await retire(versions, [oldest, older], target)

    first, second = [await versions.reinstate(ROTATION) for _ in range(2)]

    states = await versions.states()
    assert sorted(first) == sorted(second) == sorted([oldest, older])
    assert all(state.enabled for state in states.values())
    assert states[oldest].tags == {"team": "notes", "keyturn-reinstated-by": ROTATION}


async def test_what_others_disabled_stays_disabled(
    local_keyring: LocalKeyring, versions: MekVersions, three: list[str]
) -> None:
    """A version that was disabled before the rotation is neither tagged by retiring nor enabled by reinstating."""
    oldest, older, target = three
    await local_keyring.mek.change(oldest, enabled=False)
    await retire(versions, [oldest, older], target)

    reinstated = await versions.reinstate(ROTATION)

    states = await versions.states()
    assert reinstated == [older]
    assert not states[oldest].enabled
    assert states[oldest].tags == {"team": "notes"}


async def test_a_right_that_is_missing_is_for_the_operator(
    local_keyring: LocalKeyring, versions: MekVersions, three: list[str]
) -> None:
    """Without the right to update, retiring says so."""
    oldest, _, target = three
    refusal = {"error": {"code": "Forbidden", "message": "no"}}
    local_keyring.mek.fault(operation="update", kind="status", status=403, body=refusal)

    with pytest.raises(PermissionMissingError):
        await retire(versions, [oldest], target)


async def test_a_vault_that_is_away_is_for_a_later_attempt(
    local_keyring: LocalKeyring, versions: MekVersions, three: list[str]
) -> None:
    """A listing that is not answered is transient."""
    local_keyring.mek.fault(operation="list", kind="status", status=409)

    with pytest.raises(UnavailableError):
        await versions.states()

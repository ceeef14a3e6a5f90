"""Old versions retired between two counts of zero, and never otherwise."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.contracts.base import RunRef
from keyturn.contracts.steps import RetireInput, RetireResult
from keyturn.errors import InvariantError, UnavailableError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation import retirement as retirement_module
from keyturn.rotation.retirement import Retirement, retire_when_zero
from tests.keyturn.local_keyring import ROTATION, LocalKeyring


@pytest.fixture
async def two(local_keyring: LocalKeyring) -> tuple[str, str]:
    """The version to retire and the target, in the order of their creation."""
    return await local_keyring.mek.create(), await local_keyring.mek.create()


def versions_of(local_keyring: LocalKeyring) -> MekVersions:
    """Return the MEK's versions."""
    return MekVersions(local_keyring.mek.admin, local_keyring.mek.client)


async def retire(local_keyring: LocalKeyring, old: str, target: str, quarantined: int = 0) -> RetireResult:
    """Run the step."""
    request = RetireInput(
        run=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1),
        target_version=target,
        evidence_digest="0" * 64,
        session_tokens={},
    )
    plan = Retirement([old], quarantined, datetime(2026, 12, 24, tzinfo=UTC))
    return await retire_when_zero(request, plan, local_keyring.store, versions_of(local_keyring))


async def is_enabled(local_keyring: LocalKeyring, version: str) -> bool:
    """Tell whether the vault has the version enabled."""
    return (await versions_of(local_keyring).states())[version].enabled


async def test_versions_that_no_row_needs_are_retired(local_keyring: LocalKeyring, two: tuple[str, str]) -> None:
    """With every row on the target the old version is disabled, and a second run says the same."""
    old, target = two
    await local_keyring.add_many(3, target)
    await local_keyring.add(old, mekName="other-mek")

    first, second = [await retire(local_keyring, old, target) for _ in range(2)]

    assert first == second == RetireResult(retired=[old], stale=0)
    assert not await is_enabled(local_keyring, old)
    assert await is_enabled(local_keyring, target)


@pytest.mark.parametrize("row", [{}, {"mekVersion": ...}, {"mekVersion": 7}, {"wrappedDek": "!"}])
async def test_one_stale_row_is_enough_to_retire_nothing(
    local_keyring: LocalKeyring, two: tuple[str, str], row: dict[str, Any]
) -> None:
    """A row under the old version, without a label or malformed keeps every version enabled."""
    old, target = two
    await local_keyring.add_many(3, target)
    await local_keyring.add(old, **row)
    before = local_keyring.mek.vault.operations("admin").count("update")

    result = await retire(local_keyring, old, target)

    assert result == RetireResult(retired=[], stale=1)
    assert await is_enabled(local_keyring, old)
    assert local_keyring.mek.vault.operations("admin").count("update") == before


async def test_one_quarantined_row_is_enough_to_retire_nothing(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """Quarantined rows stand in the way even if the census counts them on the target."""
    old, target = two
    await local_keyring.add_many(2, target)

    assert await retire(local_keyring, old, target, quarantined=2) == RetireResult(retired=[], stale=2)
    assert await is_enabled(local_keyring, old)


async def test_a_row_that_appears_while_retiring_undoes_it(
    local_keyring: LocalKeyring, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written under the old version between the counts is readable again at once, and reported."""
    old, target = two
    await local_keyring.add_many(2, target)
    await local_keyring.mek.client.get_version(old)  # the writer has its public key, and goes on using it
    count = retirement_module.take_census
    counted: list[Any] = []

    async def late_writer(*arguments: Any) -> Any:
        if counted:
            assert not await is_enabled(local_keyring, old)
            await local_keyring.add(old)
        counted.append(await count(*arguments))
        return counted[-1]

    monkeypatch.setattr(retirement_module, "take_census", late_writer)

    result = await retire(local_keyring, old, target)

    assert result == RetireResult(retired=[], stale=1, undone=[old])
    assert await is_enabled(local_keyring, old)
    assert len(counted) == 2


async def test_a_second_count_that_fails_undoes_the_retirement(
    local_keyring: LocalKeyring, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays disabled on a count that was not made."""
    old, target = two
    await local_keyring.add_many(2, target)
    count = retirement_module.take_census

    async def fail_second(*arguments: Any) -> Any:
        if not await is_enabled(local_keyring, old):
            raise UnavailableError("the dek store did not answer")
        return await count(*arguments)

    monkeypatch.setattr(retirement_module, "take_census", fail_second)

    with pytest.raises(UnavailableError):
        await retire(local_keyring, old, target)

    assert await is_enabled(local_keyring, old)


async def test_a_run_after_a_crash_takes_back_what_must_not_stay(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """If the run before died with the version disabled, and a stale row is there now, the version is enabled again."""
    old, target = two
    await local_keyring.add(old)
    await versions_of(local_keyring).retire(
        [old], target_version=target, run_id=ROTATION, retain_until=datetime(2026, 12, 24, tzinfo=UTC)
    )

    result = await retire(local_keyring, old, target)

    assert result == RetireResult(retired=[], stale=1, undone=[old])
    assert await is_enabled(local_keyring, old)


async def test_the_target_is_never_retired(local_keyring: LocalKeyring, two: tuple[str, str]) -> None:
    """A plan that names the target is refused, whoever made it."""
    _, target = two

    with pytest.raises(InvariantError):
        await retire(local_keyring, target, target)

    assert await is_enabled(local_keyring, target)

"""No version is made beyond the bound, whatever was waived; what is there already is still found and adopted."""

import pytest

from keyturn.errors import OperatorError, outcome_of
from keyturn.key_vault import creation
from keyturn.key_vault.creation import create_version
from keyturn.key_vault.versions import ROTATION_TAG, VERSIONS_MAX, MekVersions
from tests.keyturn.clocks import ManualClock
from tests.keyturn.key_vault.creations import EARLIER, REQUEST, Intent
from tests.keyturn.local_keyring import ROTATION, LocalKeyring

BACKED_UP_MAX = 500  # Key Vault's backup page: a key with more versions cannot be backed up


@pytest.fixture
async def full(local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch) -> MekVersions:
    """A MEK with as many versions as there may be: two."""
    monkeypatch.setattr(creation, "VERSIONS_MAX", 2)
    for _ in range(2):
        await local_keyring.mek.create()
    return MekVersions(local_keyring.mek.admin, local_keyring.mek.client)


def test_the_bound_leaves_room_below_what_the_vault_backs_up() -> None:
    """A lost answer may make one more, and people make some by hand."""
    assert VERSIONS_MAX == 450 < BACKED_UP_MAX


async def test_no_version_is_made_beyond_the_bound(full: MekVersions) -> None:
    """An operator must act, so the run waits for one; the vault was not asked, and no intent is left behind."""
    intent = Intent()

    with pytest.raises(OperatorError) as raised:
        await create_version(full, REQUEST, intent, ManualClock())

    assert (raised.value.facts, outcome_of(raised.value).problem) == ({"versions": 2}, "misconfigured")
    assert "another key" in raised.value.hint
    assert (intent.written, len(await full.states())) == (0, 2)


@pytest.mark.parametrize(("tag", "adoptable"), [(ROTATION, ()), (EARLIER, (EARLIER,))], ids=["own", "unfinished"])
async def test_what_is_there_is_taken(
    local_keyring: LocalKeyring, full: MekVersions, tag: str, adoptable: tuple[str, ...]
) -> None:
    """A rotation that has its version goes on, and one that can adopt needs no other."""
    there = await local_keyring.mek.create(tags={ROTATION_TAG: tag})

    assert await create_version(full, REQUEST, Intent(), ManualClock(), adoptable) == there

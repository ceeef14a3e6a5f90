"""The MEK that creations, retirements and reinstatements begin with."""

import pytest

from keyturn.key_vault.versions import MekVersions
from tests.keyturn.local_keyring import LocalKeyring


@pytest.fixture
async def versions(local_keyring: LocalKeyring) -> MekVersions:
    """The MEK's versions: one, without the rotation's tag."""
    await local_keyring.mek.create(
        tags={"team": "notes"}, key_operations=["wrapKey", "unwrapKey", "encrypt", "decrypt"]
    )
    return MekVersions(local_keyring.mek.admin, local_keyring.mek.client)

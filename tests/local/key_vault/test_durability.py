"""What outlives a kill, what is readable by whom, and backups."""

import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from local.key_vault.backup import MAX_VERSIONS, backup
from local.key_vault.errors import VaultError
from local.key_vault.model import KeyVersion
from local.key_vault.requests import CreateKey
from local.key_vault.store import KeyStore
from local.key_vault.vault import Call, Vault
from tests.local.key_vault.conftest import LocalVault, start_vault
from tests.local.services import ServiceProcess

DEK = bytes(range(32))


@pytest.fixture
def own(identity: ServiceProcess, folder: Path, name: str) -> Iterator[LocalVault]:
    """A vault of the test's own, which it may kill."""
    started = start_vault(identity, folder, name, "--limits", "off")
    yield started
    started.service.stop()


def test_acknowledged_changes_outlive_a_kill(own: LocalVault) -> None:
    """After SIGKILL every version is there with its attributes, tags and private key, and the newest is the newest."""
    keys = own.keys()
    old = keys.create_rsa_key("mek", size=2048, tags={"rotation": "one"})
    wrapped = CryptographyClient.from_jwk(old.key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key
    newer = [keys.create_rsa_key("mek", size=2048).properties.version for _ in range(3)]
    keys.update_key_properties("mek", newer[0], enabled=False)

    own.service.kill()
    own.service.start()

    listed = {properties.version: properties for properties in keys.list_properties_of_key_versions("mek")}
    assert set(listed) == {old.properties.version, *newer}
    assert listed[old.properties.version].tags == {"rotation": "one"}
    assert listed[newer[0]].enabled is False
    assert newer[-1] == keys.get_key("mek").properties.version
    assert own.cryptography(old).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == DEK


def test_a_throw_away_vault_deletes_and_purges(
    own: LocalVault, identity: ServiceProcess, folder: Path, name: str
) -> None:
    """A deleted key's name is taken, for a creation and a restore and after a kill, until it is purged."""
    key = own.keys().create_rsa_key("mek", size=2048)
    blob = own.keys().backup_key("mek")
    (folder / f"{name}-drill").mkdir()
    shutil.copy(folder / name / "backup_key", folder / f"{name}-drill" / "backup_key")
    drill = start_vault(identity, folder, f"{name}-drill", "--limits", "off", "--throw-away")
    keys = drill.keys()
    keys.restore_key_backup(blob)

    deleted = keys.begin_delete_key("mek").result()
    drill.service.kill()
    drill.service.start()

    assert deleted.properties.version == key.properties.version
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("mek")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: keys.restore_key_backup(blob),
        lambda: keys.create_rsa_key("mek", size=2048),
    )
    for taken in attempts:
        with pytest.raises(ResourceExistsError):
            taken()
    assert keys.get_deleted_key("mek").name == "mek"
    keys.purge_deleted_key("mek")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("mek")
    assert keys.restore_key_backup(blob).properties.version == key.properties.version
    drill.service.stop()


def test_key_files_are_readable_by_their_owner_only(own: LocalVault, folder: Path, name: str) -> None:
    """Private keys, SQLite's own files included, and the backup secret have file mode 0600."""
    own.keys().create_rsa_key("mek", size=2048)

    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / name).iterdir()}

    assert {"keys.sqlite", "keys.sqlite-wal", "backup_key"} <= set(files)
    assert set(files.values()) == {0o600}


def test_a_backup_restores_all_versions_in_another_vault(
    own: LocalVault, identity: ServiceProcess, folder: Path, name: str
) -> None:
    """In a vault with the same secret the key comes back whole; once it exists there, restoring it gives 409."""
    source = own.keys()
    old = source.create_rsa_key("mek", size=2048, tags={"a": "b"}, enabled=False)
    new = source.create_rsa_key("mek", size=2048)
    blob = source.backup_key("mek")
    elsewhere = folder / f"{name}-other"
    elsewhere.mkdir()
    (elsewhere / "backup_key").write_bytes((folder / name / "backup_key").read_bytes())
    other = start_vault(identity, folder, elsewhere.name, "--limits", "off")
    target = other.keys()

    restored = target.restore_key_backup(blob)
    wrapped = CryptographyClient.from_jwk(new.key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key
    unwrapped = other.cryptography(restored).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key
    disabled = target.get_key("mek", old.properties.version).properties
    with pytest.raises(ResourceExistsError):
        target.restore_key_backup(blob)
    other.service.stop()

    assert restored.properties.version == new.properties.version
    assert unwrapped == DEK
    assert (disabled.enabled, disabled.tags) == (False, {"a": "b"})


def test_a_backup_shows_nothing_of_the_key(keys: KeyClient, key: KeyVaultKey) -> None:
    """The blob is opaque, and a vault with another secret refuses it."""
    blob = keys.backup_key(key.name)

    assert b"PRIVATE" not in blob
    assert key.name.encode() not in blob
    with pytest.raises(HttpResponseError, match="value"):
        keys.restore_key_backup(Fernet(Fernet.generate_key()).encrypt(b"[]"))


def test_an_unknown_key_has_no_backup(keys: KeyClient) -> None:
    """The answer is 404 KeyNotFound."""
    with pytest.raises(ResourceNotFoundError):
        keys.backup_key("nobody")


async def test_a_key_with_too_many_versions_has_no_backup(tmp_path: Path) -> None:
    """Above 500 versions Key Vault cannot back a key up."""
    private_key = generate_private_key(public_exponent=65537, key_size=2048)
    first = KeyVersion.new("mek", CreateKey(kty="RSA"), private_key)
    store = KeyStore(tmp_path / "keys.sqlite")
    store.add([replace(first, version=f"{number:032x}") for number in range(MAX_VERSIONS + 1)])
    vault = Vault("https://localhost", store, Fernet(Fernet.generate_key()), threads=None)  # type: ignore[arg-type]  # unused

    with pytest.raises(VaultError, match="500"):
        await backup(vault, Call(name="mek", version=None, query={}, body=b""))
    store.close()

"""The Key Vault provider: which version writers use and when they move; and the provider that waits out throttling."""

from collections.abc import Callable

import pytest

from field_encrypt.dek import Dek
from field_encrypt.key_vault_provider import KeyVaultProvider
from field_encrypt.mek_errors import ForeignMekError, MekNotUsableError, MekThrottledError, MekVersionDisabledError
from field_encrypt.retrying_provider import RetryingProvider
from field_encrypt.rows import WrappedDek
from tests.field_encrypt.local_vault import Mek


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


async def test_dek_survives_wrap_and_unwrap(mek: Mek) -> None:
    """What the provider wraps carries its whole identity and unwraps to the same DEK."""
    version = await mek.create()
    provider, dek = KeyVaultProvider(mek.client), Dek.generate()

    wrapped = await provider.wrap(dek)

    assert (mek.name, version, "RSA-OAEP-256") == (wrapped.mek_name, wrapped.mek_version, wrapped.algorithm)
    assert await provider.unwrap(wrapped) == dek


async def test_writers_move_to_a_new_version_within_the_bounded_age(mek: Mek) -> None:
    """A known version is used until its knowledge is too old; then the newest is asked for, once."""
    clock = Clock()
    provider = KeyVaultProvider(mek.client, current_version_max_age_seconds=60, clock=clock)
    old = await mek.create()
    first = await provider.wrap(Dek.generate())
    new = await mek.create()

    clock.now += 59.9
    before = await provider.wrap(Dek.generate())
    clock.now += 0.1
    after = [await provider.wrap(Dek.generate()) for _ in range(3)]

    assert [first.mek_version, before.mek_version] == [old, old]
    assert [wrapped.mek_version for wrapped in after] == [new] * 3
    assert mek.operations == ["get", "get"]


async def test_writers_leave_a_disabled_version_within_the_bounded_age(mek: Mek) -> None:
    """A current version that was disabled is replaced by one that is enabled, or nothing is written."""
    clock = Clock()
    provider = KeyVaultProvider(mek.client, current_version_max_age_seconds=60, clock=clock)
    old, new = await mek.create(), await mek.create()
    await provider.wrap(Dek.generate())

    await mek.change(new, enabled=False)
    clock.now += 60
    wrapped = await provider.wrap(Dek.generate())
    await mek.change(old, enabled=False)
    clock.now += 60

    assert wrapped.mek_version == old
    with pytest.raises(MekNotUsableError):
        await provider.wrap(Dek.generate())


async def test_label_that_is_a_whole_key_id_is_understood(mek: Mek) -> None:
    """Some writers label rows with the key id and not the bare version."""
    provider, dek = KeyVaultProvider(mek.client), Dek.generate()
    version = await mek.client.fetch_version(await mek.create())
    wrapped = await provider.wrap(dek)

    unwrapped = await provider.unwrap(wrapped.model_copy(update={"mek_version": version.key_id}))

    assert dek == unwrapped


@pytest.mark.parametrize("other", ["https://other.vault.azure.net/keys/{name}/{version}", "{url}/keys/other/{version}"])
async def test_whole_key_id_of_another_key_or_vault_is_foreign(mek: Mek, other: str) -> None:
    """It is not looked for as a version of this key, and so is not taken for one that was lost."""
    version = await mek.create()
    provider = KeyVaultProvider(mek.client)
    wrapped = await provider.wrap(Dek.generate())
    label = other.format(url=mek.client.vault_url, name=mek.name, version=version)

    with pytest.raises(ForeignMekError):
        await provider.unwrap(wrapped.model_copy(update={"mek_version": label}))


@pytest.mark.parametrize("spelled", [str.upper, str.title, str.swapcase])
async def test_names_ignore_case(mek: Mek, spelled: Callable[[str], str]) -> None:
    """Key Vault takes a name in any letters: so do readers and writers, in rows, in labels and in settings."""
    version = await mek.client.fetch_version(await mek.create())
    label = version.key_id.removesuffix(version.version)
    async with mek.new_client(spelled(mek.name)) as other:
        for writer, reader in [(other, mek.client), (mek.client, other)]:
            dek = Dek.generate()
            wrapped = await KeyVaultProvider(writer).wrap(dek)
            for more in ({}, {"mek_name": spelled(mek.name)}, {"mek_version": spelled(label) + version.version}):
                assert await KeyVaultProvider(reader).unwrap(wrapped.model_copy(update=more)) == dek


async def test_dek_of_another_mek_is_named_so(mek: Mek) -> None:
    """A wrap by another key is never tried."""
    foreign = WrappedDek(mek_name="another", mek_version="v1", algorithm="RSA-OAEP-256", wrapped=bytes(256))

    with pytest.raises(ForeignMekError, match="another"):
        await KeyVaultProvider(mek.client).unwrap(foreign)


async def test_patience_waits_out_throttling(mek: Mek) -> None:
    """A throttled unwrap is tried again until the vault answers."""
    await mek.create()
    provider, dek = RetryingProvider(KeyVaultProvider(mek.client)), Dek.generate()
    wrapped = await provider.wrap(dek)
    mek.fault(operation="unwrap", kind="throttle", count=3)

    assert await provider.unwrap(wrapped) == dek
    assert mek.operations.count("unwrap") == 4


async def test_patience_ends(mek: Mek) -> None:
    """When the time is over the last failure is raised."""
    await mek.create()
    provider = RetryingProvider(KeyVaultProvider(mek.client), patience_seconds=0.5)
    wrapped = await provider.wrap(Dek.generate())
    mek.fault(operation="unwrap", kind="throttle", count=None)

    with pytest.raises(MekThrottledError):
        await provider.unwrap(wrapped)


async def test_patience_does_not_wait_for_a_person(mek: Mek) -> None:
    """What waiting does not fix is raised at the first attempt."""
    version = await mek.create()
    provider = RetryingProvider(KeyVaultProvider(mek.client))
    wrapped = await provider.wrap(Dek.generate())
    await mek.change(version, enabled=False)

    with pytest.raises(MekVersionDisabledError):
        await provider.unwrap(wrapped)

    assert mek.operations.count("unwrap") == 1

"""The MEK in Key Vault: local wraps, remote unwraps, and what each failure is called."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from field_encrypt.errors import InvalidSettingError
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import (
    ForeignMekError,
    MekError,
    MekForbiddenError,
    MekNotUsableError,
    MekThrottledError,
    MekUnavailableError,
    MekVersionDisabledError,
    MekVersionNotFoundError,
    UnwrapRefusedError,
)
from local.identity.roles import KEYS
from tests.field_encrypt.local_vault import LocalVault, Mek

DEK = bytes(range(32))
OAEP_256 = "RSA-OAEP-256"
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("algorithm", ["RSA-OAEP", "RSA-OAEP-256"])
async def test_what_is_wrapped_here_is_unwrapped_by_the_vault(mek: Mek, algorithm: str) -> None:
    """Both OAEP variants work against the same vault."""
    version = await mek.client.fetch_version(await mek.create())

    wrapped = mek.client.wrap(DEK, version, algorithm)

    assert await mek.client.unwrap(wrapped, version.version, algorithm) == DEK
    assert len(wrapped) == 256


async def test_wraps_never_call_the_vault_and_unwraps_call_it_once(mek: Mek) -> None:
    """The vault sees one fetch of the version and one operation an unwrap, however many wraps there are."""
    version = await mek.client.get_version(await mek.create())
    wraps = [mek.client.wrap(DEK, await mek.client.get_version(version.version)) for _ in range(20)]

    for wrapped in wraps[:3]:
        await mek.client.unwrap(wrapped, version.version, OAEP_256)

    assert mek.operations == ["get", "unwrap", "unwrap", "unwrap"]


async def test_simultaneous_first_unwraps_fetch_the_version_once(mek: Mek) -> None:
    """A cold client under load asks for the version a single time."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))
    before = len(mek.operations)

    async with mek.new_client() as cold:
        unwrapped = await asyncio.gather(*(cold.unwrap(wrapped, name, OAEP_256) for _ in range(10)))

    assert unwrapped == [DEK] * 10
    assert sorted(mek.operations[before:]) == ["get"] + ["unwrap"] * 10


async def test_version_is_described_as_the_vault_has_it(mek: Mek) -> None:
    """A fetched version carries its attributes, tags, key size and public key."""
    expires = datetime(2100, 1, 1, tzinfo=UTC)
    name = await mek.create(tags={"rotation": "r1"}, expires_on=expires)

    version = await mek.client.fetch_version(name)

    assert (name, mek.name, True, 2048) == (version.version, version.mek_name, version.enabled, version.key_size)
    assert (version.tags, version.expires_on, version.not_before) == ({"rotation": "r1"}, expires, None)
    assert type(version).model_validate_json(version.model_dump_json()) == version


async def test_versions_are_listed_with_their_state(mek: Mek) -> None:
    """The listing names every version, disabled ones included."""
    old, new = await mek.create(), await mek.create(tags={"rotation": "r1"})
    await mek.change(old, enabled=False)

    listed = {version.version: (version.enabled, version.tags) for version in await mek.client.list_versions()}

    assert {old: (False, {}), new: (True, {"rotation": "r1"})} == listed


async def test_nothing_is_wrapped_under_a_disabled_version(mek: Mek) -> None:
    """The library refuses what neither the vault nor the SDK would."""
    name = await mek.create()
    await mek.change(name, enabled=False)
    version = await mek.client.fetch_version(name)

    with pytest.raises(MekNotUsableError, match="disabled"):
        mek.client.wrap(DEK, version)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"expires_on": datetime.now(UTC) - HOUR}, "expired"),
        ({"not_before": datetime.now(UTC) + HOUR}, "not valid before"),
    ],
)
async def test_version_outside_its_validity_unwraps_but_does_not_wrap(
    mek: Mek, attributes: dict[str, datetime], reason: str
) -> None:
    """An enabled version that is expired or not yet valid still opens what was wrapped under it."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.fetch_version(name))
    await mek.change(name, **attributes)
    version = await mek.client.fetch_version(name)

    with pytest.raises(MekNotUsableError, match=reason):
        mek.client.wrap(DEK, version)
    assert await mek.client.unwrap(wrapped, name, OAEP_256) == DEK


async def test_version_that_is_not_for_wrapping_is_refused(mek: Mek) -> None:
    """A version whose permitted operations lack wrapping is refused before the SDK falls back to the vault."""
    version = await mek.client.fetch_version(await mek.create(key_operations=["unwrapKey"]))

    with pytest.raises(MekNotUsableError, match="wrapKey"):
        mek.client.wrap(DEK, version)


async def test_key_that_is_not_rsa_is_refused(mek: Mek) -> None:
    """Only RSA keys wrap DEKs."""
    version = await mek.client.fetch_version(await mek.create())
    curve = version.model_copy(update={"jwk": version.jwk.model_copy(update={"kty": "EC", "n": None, "e": None})})

    with pytest.raises(MekNotUsableError, match="EC"):
        mek.client.wrap(DEK, curve)


async def test_version_of_another_key_is_refused(mek: Mek) -> None:
    """A client wraps under versions of its own MEK only."""
    version = await mek.client.fetch_version(await mek.create())

    with pytest.raises(ForeignMekError):
        mek.client.wrap(DEK, version.model_copy(update={"mek_name": "another"}))


async def test_disabled_version_does_not_unwrap(mek: Mek) -> None:
    """A disabled version is an operator's matter, whether it was known before or not."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.fetch_version(name))
    await mek.change(name, enabled=False)

    with pytest.raises(MekVersionDisabledError) as refusal:
        await mek.client.unwrap(wrapped, name, OAEP_256)

    assert (mek.name, name) == (refusal.value.mek_name, refusal.value.version)


@pytest.mark.parametrize("version", ["0" * 32, "", "../other"])
async def test_unknown_version_is_not_found(mek: Mek, version: str) -> None:
    """A version that does not exist, or none at all, is named so and never replaced by the newest."""
    await mek.create()

    with pytest.raises(MekVersionNotFoundError):
        await mek.client.unwrap(bytes(256), version, OAEP_256)


async def test_unknown_key_is_not_found(mek: Mek) -> None:
    """A MEK that does not exist is named so."""
    with pytest.raises(MekVersionNotFoundError):
        await mek.client.newest_enabled()


async def test_bytes_that_do_not_unwrap_are_refused(mek: Mek) -> None:
    """Changed bytes, another algorithm, another version's wrap and an unknown algorithm are the caller's matter."""
    name, other = await mek.create(), await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))
    changed = bytes([wrapped[0], wrapped[1] ^ 1, *wrapped[2:]])

    for attempt in (
        (changed, name, OAEP_256),
        (wrapped, name, "RSA-OAEP"),
        (wrapped, other, OAEP_256),
        (wrapped[:-1], name, OAEP_256),
        (wrapped, name, "RSA1_5"),
    ):
        with pytest.raises(UnwrapRefusedError):
            await mek.client.unwrap(*attempt)


@pytest.mark.parametrize(
    "rule", [{"kind": "throttle"}, {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}]
)
async def test_throttled_unwrap_is_raised_at_once(mek: Mek, rule: dict[str, object]) -> None:
    """One attempt is made, with or without Retry-After, so that whoever paces the calls learns of it."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))
    mek.fault(operation="unwrap", count=9, **rule)

    with pytest.raises(MekThrottledError):
        await mek.client.unwrap(wrapped, name, OAEP_256)

    assert [rule["fired"] for rule in mek.vault.control("GET", "faults")] == [1]


async def test_short_outage_is_bridged_by_the_sdk(mek: Mek) -> None:
    """A single 503 is repeated by the SDK and goes unnoticed."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))
    mek.fault(operation="unwrap", kind="status", status=503)

    assert await mek.client.unwrap(wrapped, name, OAEP_256) == DEK


@pytest.mark.parametrize("rule", [{"kind": "status", "status": 502}, {"kind": "reset_before"}, {"kind": "reset_after"}])
async def test_vault_that_is_away_is_worth_another_try(mek: Mek, rule: dict[str, object]) -> None:
    """A failure of the vault or of the connection belongs to the errors that may pass."""
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))
    mek.fault(operation="unwrap", **rule)

    with pytest.raises(MekUnavailableError):
        await mek.client.unwrap(wrapped, name, OAEP_256)


async def test_identity_without_the_right_is_forbidden(vault: LocalVault) -> None:
    """A missing permission is told apart from a disabled version."""
    mek = Mek(vault, f"{KEYS}/read")
    name = await mek.create()
    wrapped = mek.client.wrap(DEK, await mek.client.get_version(name))

    with pytest.raises(MekForbiddenError):
        await mek.client.unwrap(wrapped, name, OAEP_256)
    await mek.close()


async def test_no_error_shows_key_material(mek: Mek) -> None:
    """The text of an error names key, version and codes only."""
    name = await mek.create()

    with pytest.raises(MekError) as refusal:
        await mek.client.unwrap(b"wrapped bytes", name, OAEP_256)

    assert str(refusal.value) == f"MEK {mek.name}, version {name}: unwrap: 400 BadParameter"


async def test_newest_version_is_the_current_one(mek: Mek) -> None:
    """Versions made within one second are told apart by the vault itself."""
    for _ in range(3):
        newest = await mek.create()

    assert (await mek.client.newest_enabled()).version == newest


async def test_newest_usable_version_is_the_current_one(mek: Mek) -> None:
    """A newest version that is disabled or not yet valid is passed over; without any there is an error."""
    usable, disabled = await mek.create(), await mek.create()
    await mek.change(disabled, enabled=False)
    await mek.create(not_before=datetime.now(UTC) + HOUR)

    assert (await mek.client.newest_enabled()).version == usable
    await mek.change(usable, enabled=False)
    with pytest.raises(MekNotUsableError):
        await mek.client.newest_enabled()


@pytest.mark.parametrize("url", ["https://v.vault.azure.net", "https://10.0.0.1", "https://localhost.example.com"])
async def test_challenge_is_only_left_unverified_on_loopback(mek: Mek, url: str) -> None:
    """Switching the verification off for a vault elsewhere is refused."""
    with pytest.raises(InvalidSettingError):
        MekClient(url, "mek", mek.credential, verify_challenge_resource=False)

"""The key in the environment: wraps and unwraps under AES key wrap, recognises other keys, and warns."""

import base64
import logging
import os
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import DekCache, DekStore, EnvProvider, FieldEncryption, RowDefaults
from field_encrypt.dek import Dek
from field_encrypt.errors import InvalidDekError, InvalidSettingError
from field_encrypt.mek_errors import ForeignMekError, MekVersionNotFoundError, UnwrapRefusedError
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()
DEK = Dek(bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"))


async def test_wrap_is_the_one_of_rfc_3394() -> None:
    """The wrap of the RFC's example (4.6: 256 bits of key data under a 256-bit key) is the RFC's."""
    expected = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"

    wrapped = await EnvProvider(KEY).wrap(DEK)

    assert bytes.fromhex(expected) == wrapped.wrapped
    assert (wrapped.mek_name, wrapped.algorithm) == ("env", "A256KW")
    assert await EnvProvider(KEY).unwrap(wrapped) == DEK


async def test_label_tells_keys_apart_and_shows_neither() -> None:
    """The version label is the same for one key, differs for another, and is no part of the key."""
    labels = [(await EnvProvider(key).wrap(DEK)).mek_version for key in (KEY, KEY, OTHER)]

    assert labels[0] == labels[1] != labels[2]
    assert labels[0].startswith("env:")
    assert len(labels[0]) == 12


async def test_row_of_another_key_is_recognised() -> None:
    """A DEK under another key is told from a damaged one, and the label of our own key is named."""
    wrapped, ours = await EnvProvider(OTHER).wrap(DEK), await EnvProvider(KEY).wrap(DEK)

    with pytest.raises(MekVersionNotFoundError, match=ours.mek_version) as unknown:
        await EnvProvider(KEY).unwrap(wrapped)

    assert wrapped.mek_version == unknown.value.version


async def test_row_of_a_vault_is_recognised() -> None:
    """A DEK that a vault's MEK wraps is foreign."""
    wrapped = await EnvProvider(KEY).wrap(DEK)

    with pytest.raises(ForeignMekError, match="notes-mek"):
        await EnvProvider(KEY).unwrap(wrapped.model_copy(update={"mek_name": "notes-mek"}))


@given(position=st.integers(0, 39), bit=st.integers(0, 7))
async def test_flipped_bit_is_refused(position: int, bit: int) -> None:
    """No bit of a wrap can change unseen."""
    provider = EnvProvider(KEY)
    wrapped = await provider.wrap(DEK)
    changed = bytearray(wrapped.wrapped)
    changed[position] ^= 1 << bit

    with pytest.raises(UnwrapRefusedError):
        await provider.unwrap(wrapped.model_copy(update={"wrapped": bytes(changed)}))


@pytest.mark.parametrize("raw", [b"", b"short", bytes(17), bytes(39), bytes(48)])
async def test_bytes_that_are_no_wrap_are_refused(raw: bytes) -> None:
    """A wrap of another length is refused as well."""
    wrapped = await EnvProvider(KEY).wrap(DEK)

    with pytest.raises((UnwrapRefusedError, InvalidDekError)):
        await EnvProvider(KEY).unwrap(wrapped.model_copy(update={"wrapped": raw}))


async def test_another_algorithm_is_refused() -> None:
    """Nothing but AES key wrap is tried."""
    wrapped = await EnvProvider(KEY).wrap(DEK)

    with pytest.raises(UnwrapRefusedError, match="A256KW"):
        await EnvProvider(KEY).unwrap(wrapped.model_copy(update={"algorithm": "RSA-OAEP-256"}))


@pytest.mark.parametrize(
    "key", ["", "not base64", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(64)).decode(), KEY + "\n"]
)
def test_malformed_key_is_refused_and_not_shown(key: str) -> None:
    """The error names the variable, never its value."""
    with pytest.raises(InvalidSettingError) as refusal:
        EnvProvider(key)

    assert refusal.value.setting == "FIELD_ENCRYPT_KEY"
    assert not key or key not in str(refusal.value)


def test_provider_warns_and_hides_its_key(caplog: pytest.LogCaptureFixture) -> None:
    """Each start is loud, and neither the log nor a representation holds the key."""
    key = base64.b64encode(os.urandom(32)).decode()

    with caplog.at_level(logging.WARNING):
        provider = EnvProvider(key)

    assert "NOT FOR PRODUCTION" in caplog.text
    assert key not in caplog.text + repr(provider)


async def test_documents_survive_a_round_trip(cosmos_client: CosmosClient) -> None:
    """The library works on it as it does on a vault."""
    rows = await new_container(cosmos_client, "deks")
    store = DekStore(rows, RowDefaults(mek_name="env", algorithm="A256KW"))
    writer = FieldEncryption(EnvProvider(KEY), store, DekCache())

    stored = await writer.encrypt_fields("notes", "note-1", NOTE, FIELDS)

    assert await FieldEncryption(EnvProvider(KEY), store, None).decrypt_fields("notes", "note-1", stored, None) == NOTE


async def test_vault_provider_refuses_rows_of_the_environment(local_keyring: LocalKeyring) -> None:
    """A production reader that meets a row of a desk says whose it is."""
    offline = FieldEncryption(EnvProvider(KEY), local_keyring.store, None)
    stored: dict[str, Any] = await offline.encrypt_fields("notes", "note-1", NOTE, FIELDS)

    with pytest.raises(ForeignMekError, match="wrapped by env") as foreign:
        await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert stored["title"]["dekId"] == foreign.value.dek_id

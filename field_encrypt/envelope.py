"""Encrypt and decrypt fields of documents, with the DEK's whole life in the library's hands.

Writing: a fresh DEK for the document, wrapped by the provider; the fields encrypted; the row created; only then is the
document returned. A document that could be stored therefore always has its row. A crash in between leaves a row that
nothing names, which is harmless.

Reading follows the row: the version that the row names is the one that unwraps. Between the read of a row and the
unwrap, a rotation may move the row and disable the version; the row is then read once more and the new wrap unwrapped.
"""

import copy
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from field_encrypt import paths
from field_encrypt.dek import Dek, key_check, matches_key_check
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.errors import InvalidValueError, KeyCheckMismatchError
from field_encrypt.fields import EncryptedField, FieldPlace, decrypt_value, encrypt_value
from field_encrypt.mek_errors import MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.provider import MekProvider
from field_encrypt.rows import DekRow

STALE_WRAP_ERRORS = (MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError)


def is_encrypted(value: Any) -> bool:
    """Tell whether a value claims to be an encrypted field; parsing it tells whether it is one."""
    return isinstance(value, dict) and "enc" in value and "dekId" in value


class FieldEncryption:
    """Encrypts and decrypts fields; without a cache every read unwraps."""

    def __init__(self, provider: MekProvider, dek_store: DekStore, cache: DekCache | None) -> None:
        self._provider = provider
        self._dek_store = dek_store
        self._cache = cache

    async def encrypt_fields(
        self, container: str, document_id: str, document: Mapping[str, Any], fields: Sequence[str]
    ) -> dict[str, Any]:
        """Return the document with these fields (see :mod:`field_encrypt.paths`) encrypted under a fresh DEK.

        Raises:
            InvalidFieldPathError: a field is not in the document.
            InvalidValueError: a value is encrypted already, or is no JSON value.
            OperatorError, RetryError: the DEK could not be wrapped or its row not be created.
        """
        dek, dek_id = Dek.generate(), str(uuid.uuid4())
        wrapped = await self._provider.wrap(dek)
        encrypted = copy.deepcopy(dict(document))
        for path in paths.expand(document, fields):
            value = paths.get(document, path)
            if is_encrypted(value):
                raise InvalidValueError(path, "a value that is not encrypted already")
            place = FieldPlace(container=container, document_id=document_id, field_path=path)
            paths.put(
                encrypted,
                path,
                encrypt_value(value, dek=dek, dek_id=dek_id, mek_version=wrapped.mek_version, place=place),
            )
        await self._dek_store.create(dek_id, wrapped, key_check(dek))
        if self._cache is not None:
            self._cache.put(dek_id, dek)
        return encrypted

    async def decrypt_fields(
        self, container: str, document_id: str, document: Mapping[str, Any], fields: Sequence[str] | None
    ) -> dict[str, Any]:
        """Return the document with these fields decrypted, or with every encrypted field where ``fields`` is None.

        Name the fields where it matters that they were encrypted: None takes whatever claims to be.

        Raises:
            InvalidFieldPathError, InvalidFieldError: a field is not there, or is not an encrypted one.
            TamperedFieldError, KeyCheckMismatchError, InvalidRowError, UnwrapRefusedError: a field or row was changed.
            OperatorError, RetryError: a row or its version is missing, disabled or forbidden; a service did not answer.
        """
        found = paths.find(document, is_encrypted) if fields is None else paths.expand(document, fields)
        decrypted = copy.deepcopy(dict(document))
        deks: dict[str, Dek] = {}
        for path in found:
            field = EncryptedField.parse(paths.get(document, path), path)
            if field.dek_id not in deks:
                deks[field.dek_id] = await self._dek(field)
            place = FieldPlace(container=container, document_id=document_id, field_path=path)
            paths.put(decrypted, path, decrypt_value(field, dek=deks[field.dek_id], place=place))
        return decrypted

    async def _dek(self, field: EncryptedField) -> Dek:
        if self._cache is None:
            return await self._load(field)
        return await self._cache.get(field.dek_id, lambda: self._load(field))

    async def _load(self, field: EncryptedField) -> Dek:
        row = await self._dek_store.read(field.dek_id)
        try:
            return await self._unwrap(row, field)
        except STALE_WRAP_ERRORS:
            current = await self._dek_store.read(field.dek_id)
            if current.same_wrap(row):
                raise
            return await self._unwrap(current, field)

    async def _unwrap(self, row: DekRow, field: EncryptedField) -> Dek:
        # Rows of older writers name no version; the version that their writer saw is then the one in the document.
        dek = await self._provider.unwrap(row.wrapped_under(row.mek_version or field.mek_version))
        if row.key_check is not None and not matches_key_check(dek, row.key_check):
            raise KeyCheckMismatchError(row.dek_id)
        return dek

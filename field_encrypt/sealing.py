"""From plaintexts to what is stored in a document, and back: the DEK is found, and the fields are sealed or opened."""

from collections.abc import Mapping, Sequence
from typing import Any

from field_encrypt import paths
from field_encrypt.current_deks import CurrentDeks
from field_encrypt.dek import Dek
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.deks import Deks
from field_encrypt.documents import Document
from field_encrypt.fields import EncryptedField, is_encrypted, open_field, seal_field
from field_encrypt.key_policy import KeyPolicy, Scope
from field_encrypt.places import DocumentPlace
from field_encrypt.provider import MekProvider


class Sealer:
    """Seals and opens the fields of one document at a time."""

    def __init__(self, provider: MekProvider, dek_store: DekStore, cache: DekCache | None, policy: KeyPolicy) -> None:
        self._policy = policy
        self._deks = Deks(provider, dek_store, cache)
        self._current = CurrentDeks(provider, dek_store, self._deks, policy)

    async def unseal(self, place: DocumentPlace, document: Document, found: Sequence[str]) -> dict[str, bytes]:
        """Return the plaintext of each of these fields, one fetch a DEK.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`field_encrypt.FieldEncryption.decrypt_fields` does.
        """
        deks: dict[str, Dek] = {}
        plain = {}
        for path in found:
            field = EncryptedField.parse(paths.get(document, path), path)
            if field.dek_id not in deks:
                deks[field.dek_id] = await self._deks.get(field.dek_id, field.mek_version)
            plain[path] = open_field(field, dek=deks[field.dek_id], place=place.of(path))
        return plain

    async def seal(
        self,
        place: DocumentPlace,
        plain: Mapping[str, bytes],
        *,
        previous: Document | None = None,
        dek_id: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Return what is stored for the plaintext of each path.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`field_encrypt.FieldEncryption.encrypt_fields` does.
        """
        place.check()  # before a row is made
        if dek_id is not None:
            kept = await self._deks.keep(await self._deks.make(dek_id), or_take_existing=True)
            dek, mek_version = kept.dek, kept.wrapped.mek_version
        else:
            named = None if previous is None else _dek_id_of(previous)
            lease = await self._current.take(Scope.of(self._policy, place), len(plain), named=named)
            dek_id, dek, mek_version = lease.dek_id, lease.dek, lease.mek_version
        return {
            path: seal_field(plaintext, dek, dek_id=dek_id, mek_version=mek_version, place=place.of(path))
            for path, plaintext in plain.items()
        }


def _dek_id_of(document: Document) -> str | None:
    """Return the DEK that a stored document names, if it names one at all."""
    for path in paths.find(document, is_encrypted):
        dek_id = paths.get(document, path)["dekId"]
        if isinstance(dek_id, str) and dek_id:
            return dek_id
    return None

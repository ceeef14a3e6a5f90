"""From plaintexts to what is stored in a document, and back: the DEK is found, and the fields are sealed or opened."""

from collections.abc import Collection, Mapping, Sequence

from field_encrypt import paths
from field_encrypt.current_deks import CurrentDeks
from field_encrypt.dek import Dek
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.deks import Deks
from field_encrypt.documents import Document, Item
from field_encrypt.errors import DekNotFoundError, TamperedFieldError
from field_encrypt.field_codecs import FieldForms
from field_encrypt.fields import (
    DETERMINISTIC_ALGORITHM,
    is_encrypted,
    seal_deterministic,
    seal_field,
)
from field_encrypt.key_policy import KeyPolicy, Scope, deterministic_dek_id
from field_encrypt.places import DocumentPlace, FieldPlace
from field_encrypt.provider import MekProvider


class Sealer:
    """Seals and opens the fields of one document at a time."""

    def __init__(
        self, provider: MekProvider, dek_store: DekStore, cache: DekCache | None, policy: KeyPolicy, forms: FieldForms
    ) -> None:
        self.forms = forms
        self._parts = provider, dek_store, cache, policy
        self._policy = policy
        self._deks = Deks(provider, dek_store, cache)
        self._current = CurrentDeks(provider, dek_store, self._deks, policy)

    def cached(self, entries: int) -> "Sealer":
        """Return a sealer that fetches no DEK twice: this one, if it has a cache."""
        provider, dek_store, cache, policy = self._parts
        if cache is not None:
            return self
        return Sealer(provider, dek_store, DekCache(max_entries=entries), policy, self.forms)

    async def unseal(self, place: DocumentPlace, document: Document, found: Sequence[str]) -> dict[str, bytes]:
        """Return the plaintext of each of these fields, one fetch a DEK.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`field_encrypt.FieldEncryption.decrypt_fields` does.
        """
        deks: dict[str, Dek] = {}
        plain = {}
        for path in found:
            field = self.forms.parse(document, path)
            if field.dek_id not in deks:
                deks[field.dek_id] = await self._deks.get(field.dek_id, field.mek_version)
            plain[path] = self.forms.open(field, dek=deks[field.dek_id], place=place.of(path))
        return plain

    async def opens(self, place: DocumentPlace, document: Document, path: str) -> bool:
        """Tell whether a field opens under a DEK of this dek store.

        Raises:
            CallerError, OperatorError, RetryError: its row was changed or cannot be opened; a service did not answer.
        """
        try:
            await self.unseal(place, document, [path])
        except (DekNotFoundError, TamperedFieldError):
            return False
        return True

    async def seal(
        self,
        place: DocumentPlace,
        plain: Mapping[str, bytes],
        *,
        deterministic: Collection[str] = (),
        previous: Document | None = None,
        dek_id: str | None = None,
    ) -> dict[str, Item]:
        """Return what is stored for the plaintext of each path; ``deterministic`` are those of these paths that are.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`field_encrypt.FieldEncryption.encrypt_fields` does.
        """
        place.check()  # before a row is made
        sealed = {path: await self._sealed_for_equality(place.of(path), plain[path]) for path in deterministic}
        randomized = {path: plaintext for path, plaintext in plain.items() if path not in sealed}
        if not randomized:
            return sealed
        if dek_id is not None:
            kept = await self._deks.keep(await self._deks.make(dek_id), or_take_existing=True)
            dek, mek_version = kept.dek, kept.wrapped.mek_version
        else:
            named = None if previous is None else _dek_id_of(previous)
            lease = await self._current.take(Scope.of(self._policy, place), len(randomized), named=named)
            dek_id, dek, mek_version = lease.dek_id, lease.dek, lease.mek_version
        for path, plaintext in randomized.items():
            sealed[path] = seal_field(plaintext, dek, dek_id=dek_id, mek_version=mek_version, place=place.of(path))
        return sealed

    async def give_back_leases(self) -> None:
        """Give back what is left of the leases; raises as :meth:`CurrentDeks.give_back` does."""
        await self._current.give_back()

    async def sealed_for_query(self, place: FieldPlace, plaintext: bytes) -> Item | None:
        """Return what a deterministic field of this plaintext would be; None if no such field was ever stored.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`seal` does.
        """
        dek_id = deterministic_dek_id(place)
        try:
            dek = await self._deks.get(dek_id, "")
        except DekNotFoundError:
            return None  # a query makes no row
        return seal_deterministic(plaintext, dek, dek_id=dek_id, mek_version="", place=place)

    async def _sealed_for_equality(self, place: FieldPlace, plaintext: bytes) -> Item:
        dek_id = deterministic_dek_id(place)
        dek, mek_version = await self._deks.get_or_make(dek_id)
        return seal_deterministic(plaintext, dek, dek_id=dek_id, mek_version=mek_version, place=place)


def _dek_id_of(document: Document) -> str | None:
    """Return the DEK that a stored document names, if it names one; that of a deterministic field is not its own."""
    for path in paths.find(document, is_encrypted):
        field = paths.get(document, path)
        if isinstance(field["dekId"], str) and field.get("alg") != DETERMINISTIC_ALGORITHM:
            return field["dekId"] or None
    return None

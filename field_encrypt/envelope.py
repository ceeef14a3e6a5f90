"""Encrypt and decrypt fields of documents, with the DEK's whole life in the library's hands.

Writing: what is to be encrypted is checked; a DEK is taken or made as the key policy says, its row being there before
the document is returned. A crash in between leaves a row that nothing names, which is harmless; see ``dek_id``.
"""

import copy
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.cosmos.aio import DatabaseProxy

from field_encrypt import paths
from field_encrypt.codecs import STANDARD_CODECS, Codecs
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.documents import Document, Item, for_each_document, with_values
from field_encrypt.encrypted_container import EncryptedContainer
from field_encrypt.errors import InvalidSettingError
from field_encrypt.field_codecs import FieldCodec, FieldForms
from field_encrypt.field_policy import FieldPolicy
from field_encrypt.fields import EncryptedField, is_encrypted
from field_encrypt.key_policy import KeyPolicy
from field_encrypt.places import UNSTATED, DocumentPlace, StatedPartitionKey, stated_partition_key
from field_encrypt.provider import MekProvider
from field_encrypt.resources import open_environment
from field_encrypt.rows import RowCodec
from field_encrypt.sealing import Sealer

__all__ = ["DOCUMENTS_AT_ONCE", "FieldEncryption", "is_encrypted"]

DOCUMENTS_AT_ONCE = 16
DEFAULT_POLICY = KeyPolicy()


class FieldEncryption:
    """Encrypts and decrypts fields; without a cache every read unwraps."""

    def __init__(
        self,
        provider: MekProvider,
        dek_store: DekStore,
        cache: DekCache | None,
        *,
        policy: KeyPolicy = DEFAULT_POLICY,
        codecs: Codecs = STANDARD_CODECS,
        field_codecs: Sequence[FieldCodec] = (),
        database: DatabaseProxy | None = None,
    ) -> None:
        """Take what wraps DEKs and where their rows are; ``database`` is that of :meth:`container`."""
        self.policy, self._database = policy, database
        self.forms = FieldForms(codecs, field_codecs)
        self._sealer = Sealer(provider, dek_store, cache, policy, self.forms)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        env: Mapping[str, str],
        *,
        credential: AsyncTokenCredential | None = None,
        policy: KeyPolicy = DEFAULT_POLICY,
        codecs: Codecs = STANDARD_CODECS,
        field_codecs: Sequence[FieldCodec] = (),
        row_codec: RowCodec | None = None,
    ) -> AsyncIterator[Self]:
        """Open everything that the environment describes (see :mod:`field_encrypt.resources`), for one event loop.

        Raises:
            InvalidSettingError: a variable is missing or malformed; ``setting`` is its name.
            AzureError: the Cosmos DB account does not answer, or knows no such identity.
        """
        async with open_environment(env, credential=credential, codec=row_codec) as found:
            made_of = found.provider, found.dek_store, found.cache
            yield cls(*made_of, policy=policy, codecs=codecs, field_codecs=field_codecs, database=found.database)

    def container(self, policy: FieldPolicy, *, context: Mapping[str, object] | None = None) -> EncryptedContainer:
        """Return a container of the database by its field policy; ``context`` is bound to each of its documents.

        Raises:
            InvalidSettingError: no database was given.
        """
        if self._database is None:
            raise InvalidSettingError("database", "the database of the container, given to FieldEncryption")
        return EncryptedContainer(self._database.get_container_client(policy.container), self, policy, context=context)

    async def encrypt_fields(
        self,
        container: str,
        document_id: str,
        document: Document,
        fields: Sequence[str],
        *,
        partition_key: StatedPartitionKey = UNSTATED,
        context: Mapping[str, object] | None = None,
        deterministic: Collection[str] = (),
        may_look_encrypted: Collection[str] = (),
        previous: Document | None = None,
        dek_id: str | None = None,
    ) -> Item:
        """Return the document with these fields (see :mod:`field_encrypt.paths`) encrypted, as the key policy says.

        ``previous`` is the document as it is stored, where this one replaces it: its DEK is kept while the policy
        allows it. Without it the document is taken as new: under a fresh DEK, or the current one that it shares.
        ``partition_key`` is the value under which the document stands, and ``context`` anything else that belongs to
        its place, such as the tenant: both are bound to the ciphertext and must be the same at reading. A partition key
        that is not stated is not bound: a copy of the document in another partition opens there.

        Queries can compare ``deterministic`` fields (what that gives away: :class:`field_encrypt.FieldPolicy`); those
        of ``may_look_encrypted`` may look like another system's ciphertext.
        ``dek_id`` is for work that may be killed and repeated, and overrides the policy: a row of it that exists is
        taken. It must be unpredictable: else an attacker could put a DEK there that they know.

        Raises:
            InvalidFieldPathError: a field is not in the document.
            InvalidValueError, LooksEncryptedError: a value is no JSON value, or is, or looks, encrypted already.
            InvalidPlaceError, InvalidSettingError: the place is nothing for JSON; ``dek_id`` can be no row's.
            OperatorError, RetryError: the DEK could not be wrapped or its row not be created.
        """
        document = self.forms.snapshot(document)  # what the caller changes meanwhile would be stored in plaintext
        if not (found := paths.expand(document, fields)):
            return document
        place = DocumentPlace(container, document_id, partition_key, context)
        exempt = paths.present(document, may_look_encrypted)
        plain = self.forms.to_plaintexts({path: paths.get(document, path) for path in found}, exempt)
        chosen = paths.among(found, deterministic)
        sealed = await self._sealer.seal(place, plain, deterministic=chosen, previous=previous, dek_id=dek_id)
        return with_values(document, sealed)

    async def encrypt_values(
        self,
        container: str,
        document_id: str,
        values: Mapping[str, object],
        *,
        partition_key: StatedPartitionKey = UNSTATED,
        context: Mapping[str, object] | None = None,
        deterministic: Collection[str] = (),
        may_look_encrypted: Collection[str] = (),
        previous: Document | None = None,
    ) -> dict[str, Item]:
        """Return what is stored for the values of some fields of a document, by their concrete paths: for a patch.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`encrypt_fields` does.
        """
        place = DocumentPlace(container, document_id, partition_key, context)
        plain = self.forms.to_plaintexts(values, may_look_encrypted)
        return await self._sealer.seal(
            place, plain, deterministic=paths.among(values, deterministic), previous=previous
        )

    async def encrypt_for_query(
        self, container: str, field_path: str, value: object, *, context: Mapping[str, object] | None = None
    ) -> Item | None:
        """Return what is stored where a deterministic field has this value; None if there is no such field yet.

        Raises:
            CallerError, OperatorError, RetryError: as :meth:`encrypt_fields` does.
        """
        place = DocumentPlace(container, "", context=context).of(field_path)
        plain = self.forms.to_plaintexts({field_path: value}, [field_path])
        return await self._sealer.sealed_for_query(place, plain[field_path])

    async def decrypt_fields(
        self,
        container: str,
        document_id: str,
        document: Document,
        fields: Sequence[str] | None,
        *,
        partition_key: StatedPartitionKey = UNSTATED,
        context: Mapping[str, object] | None = None,
    ) -> Item:
        """Return the document with these fields decrypted, or with every encrypted field where ``fields`` is None.

        Name the fields where it matters that they were encrypted: None takes what claims to be.

        Raises:
            InvalidFieldPathError, InvalidFieldError: a field is not there, or is not an encrypted one.
            UnknownCodecError: a field was written with a codec that is not given here.
            TamperedFieldError, KeyCheckMismatchError, InvalidRowError, UnwrapRefusedError: a field or row was changed.
            OperatorError, RetryError: a row or its version is missing, disabled or forbidden; a service did not answer.
        """
        document = self.forms.snapshot(document)
        found = paths.find(document, self.forms.claims) if fields is None else paths.expand(document, fields)
        place = DocumentPlace(container, document_id, partition_key, context)
        plain = await self._sealer.unseal(place, document, found)
        return with_values(document, self.forms.from_plaintexts(plain))

    async def reencrypt_fields(
        self,
        container: str,
        document_id: str,
        document: Document,
        fields: Sequence[str] | None,
        *,
        source: "FieldEncryption | None" = None,
        partition_key: StatedPartitionKey = UNSTATED,
        context: Mapping[str, object] | None = None,
        dek_id: str | None = None,
    ) -> Item:
        """Return the document with these fields, or every encrypted one, under another DEK than their own.

        ``source`` decrypts where the DEKs are in another store or under another key. A document whose fields are all
        under ``dek_id`` already (see :meth:`encrypt_fields`) is returned as it is. Deterministic fields stay under the
        one DEK of their path, and move with ``source`` only.

        Raises:
            CallerError, OperatorError, RetryError: as decryption and encryption do.
        """
        reader = (source or self)._sealer  # noqa: SLF001 - of this class too
        document = self.forms.snapshot(document)
        found = paths.find(document, reader.forms.claims) if fields is None else paths.expand(document, fields)
        place = DocumentPlace(container, document_id, partition_key, context)
        parsed = {path: reader.forms.parse(document, path) for path in found}
        for path, field in list(parsed.items()):
            if field.is_deterministic and (source is None or await self._sealer.opens(place, document, path)):
                del parsed[path]
        if all(isinstance(field, EncryptedField) and field.dek_id == dek_id for field in parsed.values()):
            return document
        plain = await reader.unseal(place, document, list(parsed))
        deterministic = [path for path, field in parsed.items() if field.is_deterministic]
        return with_values(document, await self._sealer.seal(place, plain, deterministic=deterministic, dek_id=dek_id))

    async def give_back_leases(self) -> None:
        """Give back the uses and documents that were leased of shared DEKs and not needed, when no more are to come.

        Raises:
            DekStoreForbiddenError, DekStoreUnavailableError: they are lost, and DEKs are left behind the sooner.
        """
        await self._sealer.give_back_leases()

    async def encrypt_documents(
        self,
        container: str,
        documents: Sequence[Document],
        fields: Sequence[str],
        *,
        partition_key_paths: Sequence[str] | None = None,
        context: Mapping[str, object] | None = None,
        deterministic: Collection[str] = (),
        may_look_encrypted: Collection[str] = (),
        at_once: int = DOCUMENTS_AT_ONCE,
    ) -> list[Item]:
        """Encrypt these fields of many new documents, each in the place that its ``id`` names.

        ``partition_key_paths`` are the container's, as ``["/workspaceId"]``; without them none is bound.

        Raises:
            FieldEncryptError: the first failure, which notes its document; rows of the others may exist already.
        """
        fields, deterministic, may_look_encrypted = map(paths.listed, (fields, deterministic, may_look_encrypted))
        return await for_each_document(
            lambda document_id, document: self.encrypt_fields(
                container,
                document_id,
                document,
                fields,
                partition_key=stated_partition_key(document, partition_key_paths),
                context=context,
                deterministic=deterministic,
                may_look_encrypted=may_look_encrypted,
            ),
            list(map(self.forms.snapshot, documents)),
            at_once,
        )

    async def decrypt_documents(
        self,
        container: str,
        documents: Sequence[Document],
        fields: Sequence[str] | None,
        *,
        partition_key_paths: Sequence[str] | None = None,
        context: Mapping[str, object] | None = None,
        at_once: int = DOCUMENTS_AT_ONCE,
    ) -> list[Item]:
        """Decrypt these fields of many documents; a DEK that several share is fetched once, without a cache too.

        Raises:
            FieldEncryptError: the first failure, which notes its document.
        """
        fields = None if fields is None else paths.listed(fields)
        reader = copy.copy(self)
        reader._sealer = self._sealer.cached(len(documents))  # noqa: SLF001 - a copy of this object
        return await for_each_document(
            lambda document_id, document: reader.decrypt_fields(
                container,
                document_id,
                document,
                fields,
                partition_key=stated_partition_key(document, partition_key_paths),
                context=context,
            ),
            documents,
            at_once,
        )

"""A Cosmos DB container whose documents are encrypted on their way in and decrypted on their way out.

Options of the SDK (``etag``, ``session_token`` and the like) are passed on as they are: a ``response_hook`` gets what
is stored. What this class does not have, such as deleting documents, is called on the container itself.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from field_encrypt.conditions import Condition, equality
from field_encrypt.documents import Document, Item, id_of, id_of_item, id_of_replaced, with_system_properties
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError, TamperedFieldError
from field_encrypt.field_policy import FieldPolicy
from field_encrypt.patches import (
    BatchOperation,
    Operation,
    batch_parts,
    checked,
    encrypted_paths,
    may_shift,
    require_no_shift,
)
from field_encrypt.places import PartitionKeyValue, key_segments, partition_key_of, to_sdk

if TYPE_CHECKING:  # it is handed in; importing it here would close a circle
    from field_encrypt.envelope import FieldEncryption


class EncryptedContainer:
    """The documents of one container by their field policy; ``context`` is bound to each of them."""

    def __init__(
        self,
        container: ContainerProxy,
        encryption: "FieldEncryption",
        policy: FieldPolicy,
        *,
        context: Mapping[str, object] | None = None,
    ) -> None:
        """Take a container and what encrypts.

        Raises:
            InvalidSettingError: the policy is another container's.
        """
        if container.id != policy.container:
            raise InvalidSettingError("container", f"the policy's, {policy.container}, not {container.id}")
        self.container, self.policy = container, policy
        self._encryption = encryption
        self._snapshot = encryption.forms.snapshot
        self._context = None if context is None else self._snapshot(context)
        self._partition_key_paths: list[str] | None = None
        self._lock = asyncio.Lock()

    async def create_item(self, body: Document, **options: object) -> Item:
        """Store a new document, and return it as it was given with what Cosmos DB adds.

        Raises:
            FieldEncryptError: it cannot be encrypted.
            AzureError: it cannot be stored.
        """
        taken = self._snapshot(body)
        if options.get("enable_automatic_id_generation") and not taken.get("id"):
            taken["id"] = str(uuid.uuid4())  # as the SDK would, which is too late: the id is bound to the fields
        encrypted = await self._encrypted(taken, None)
        answer = await self.container.create_item(encrypted, **_sdk(options))
        return with_system_properties({**body, "id": taken["id"]}, answer)

    async def read_item(self, item: str | Document, partition_key: PartitionKeyValue, **options: object) -> Item:
        """Read a document and decrypt it.

        Raises:
            FieldEncryptError: it cannot be decrypted.
            AzureError: it cannot be read, or is not there.
        """
        stored = await self.container.read_item(id_of_item(item), to_sdk(partition_key), **_sdk(options))
        return await self._decrypted(stored)

    async def replace_item(self, item: str | Document, body: Document, **options: object) -> Item:
        """Replace a document, which keeps its DEK while the key policy allows it.

        Raises:
            InvalidFieldPathError: the body is not the document of this id.
            FieldEncryptError: it cannot be encrypted.
            AzureError: it cannot be stored, or is not there.
        """
        taken = self._snapshot(body)
        replaced = id_of_replaced(item, taken)
        encrypted = await self._encrypted(taken, await self._stored(taken))
        return with_system_properties(body, await self.container.replace_item(replaced, encrypted, **_sdk(options)))

    async def upsert_item(self, body: Document, **options: object) -> Item:
        """Replace a document as :meth:`replace_item` does, or store a new one.

        Raises:
            FieldEncryptError: it cannot be encrypted.
            AzureError: it cannot be stored.
        """
        taken = self._snapshot(body)
        encrypted = await self._encrypted(taken, await self._stored(taken))
        return with_system_properties(body, await self.container.upsert_item(encrypted, **_sdk(options)))

    async def patch_item(
        self,
        item: str | Document,
        partition_key: PartitionKeyValue,
        patch_operations: Sequence[Operation],
        **options: object,
    ) -> Item:
        """Patch a document: a whole encrypted field may be set, which encrypts it; nothing inside or around it.

        Raises:
            InvalidFieldPathError: an operation would change a part of an encrypted field, move it, or leave it plain.
            FieldEncryptError: a value cannot be encrypted.
            AzureError: the document cannot be patched, or is not there.
        """
        patched, key = id_of_item(item), to_sdk(partition_key)
        operations = await self._encrypted_patch(patched, partition_key, patch_operations, None)
        answer = await self.container.patch_item(patched, key, _sdk(operations), **_sdk(options))
        return await self._decrypted(answer) if answer else {}  # empty where the caller wants no response

    async def query_items(
        self, query: str, parameters: Sequence[Mapping[str, object]] | None = None, **options: object
    ) -> AsyncIterator[Item]:
        """Yield the results of a query, which are documents or parts of them, their encrypted fields decrypted.

        A result with an encrypted field needs the document's ``id`` and partition key beside it, each under its own
        name. Encrypted fields cannot be compared or sorted by the database, but for deterministic ones. Queries cross
        partitions where no ``partition_key`` is given, as with the blocking SDK's ``enable_cross_partition_query``.

        Raises:
            InvalidFieldPathError: a result is no object, or lacks what its fields are bound to.
            FieldEncryptError: a field cannot be decrypted.
            AzureError: the query fails.
        """
        options.pop("enable_cross_partition_query", None)  # the asynchronous client does not take it
        listed = None if parameters is None else [dict(parameter) for parameter in parameters]
        async for result in self.container.query_items(query=query, parameters=listed, **_sdk(options)):
            if not isinstance(cast("object", result), dict) or self._encryption.forms.claims(result):
                raise InvalidFieldPathError("result", "objects with fields under their names; else query the container")
            yield await self._decrypted_result(result)

    async def equals(self, field_path: str, value: object, *, alias: str = "c", number: int = 0) -> Condition:
        """Return the condition that a deterministic field has this value; ``number`` tells several in one query apart.

        Raises:
            InvalidFieldPathError: the policy does not have the field, or not as a deterministic one.
            FieldEncryptError: the value cannot be encrypted.
        """
        if field_path not in self.policy.deterministic:
            raise InvalidFieldPathError(field_path, "a field that the policy names as deterministic")
        stored = await self._encryption.encrypt_for_query(
            self.policy.container, field_path, value, context=self._context
        )
        return equality(field_path, stored and stored["ct"], alias=alias, number=number)

    async def read_all_items(self, **options: object) -> AsyncIterator[Item]:
        """Yield every document, decrypted.

        Raises:
            FieldEncryptError: a document cannot be decrypted.
            AzureError: the documents cannot be read.
        """
        async for stored in self.container.read_all_items(**_sdk(options)):
            yield await self._decrypted(stored)

    async def execute_item_batch(
        self, batch_operations: Sequence[BatchOperation], partition_key: PartitionKeyValue, **options: object
    ) -> list[Item]:
        """Do the operations of one partition together or not at all; bodies are encrypted, results decrypted.

        Raises:
            InvalidSettingError: an operation is none of the SDK's.
            FieldEncryptError: a body cannot be encrypted, or a result not be decrypted.
            AzureError: the batch was not done.
        """
        written: dict[str, Document] = {}  # by its id, what an operation leaves behind for the ones after it
        prepared = [await self._encrypted_operation(one, partition_key, written) for one in batch_operations]
        answers = await self.container.execute_item_batch(_sdk(prepared), to_sdk(partition_key), **_sdk(options))
        results: list[Item] = []
        for answer in answers:
            body = answer.get("resourceBody")
            results.append({**answer, "resourceBody": await self._decrypted(body)} if body else dict(answer))
        return results

    async def partition_key_paths(self) -> list[str]:
        """Return the paths of the container's partition key, which are asked for once.

        Raises:
            InvalidSettingError: an encrypted field is part of the partition key.
            AzureError: the container does not answer.
        """
        async with self._lock:
            if self._partition_key_paths is None:
                found = list((await self.container.read())["partitionKey"]["paths"])
                self.policy.require_apart_from(found)
                self._partition_key_paths = found
            return self._partition_key_paths

    async def _encrypted(self, body: Item, previous: Document | None) -> dict[str, Any]:
        return await self._encryption.encrypt_fields(
            self.policy.container,
            id_of(body),
            body,
            self.policy.in_document(body),
            partition_key=partition_key_of(body, await self.partition_key_paths()),
            context=self._context,
            deterministic=self.policy.deterministic,
            may_look_encrypted=self.policy.may_look_encrypted,
            previous=previous,
        )

    async def _decrypted(self, stored: Document) -> Item:
        return await self._decrypted_fields(stored, self.policy.in_document(stored))

    async def _decrypted_result(self, result: Document) -> Item:
        found = self.policy.in_result(result)
        if not found:
            return dict(result)
        try:
            return await self._decrypted_fields(result, found)
        except TamperedFieldError as error:
            # What is not in the result is taken as absent from the document, in which case its fields open.
            for path in await self.partition_key_paths():
                if key_segments(path)[0] not in result:
                    expected = "the partition key in the result, beside its encrypted fields"
                    raise InvalidFieldPathError(path, expected) from error
            raise

    async def _decrypted_fields(self, stored: Document, found: Sequence[str]) -> Item:
        return await self._encryption.decrypt_fields(
            self.policy.container,
            id_of(stored),
            stored,
            found,
            partition_key=partition_key_of(stored, await self.partition_key_paths()),
            context=self._context,
        )

    async def _stored(self, body: Document) -> Document | None:
        """Return the stored document that this one replaces, where its DEK may be kept."""
        if not self._encryption.policy.looks_at_the_stored:
            return None
        partition_key = partition_key_of(body, await self.partition_key_paths())
        try:
            return await self.container.read_item(id_of(body), to_sdk(partition_key))
        except CosmosResourceNotFoundError:
            return None

    async def _encrypted_patch(
        self, item: str, partition_key: PartitionKeyValue, operations: Sequence[Operation], stored: Document | None
    ) -> list[Item]:
        taken = checked(operations, self._snapshot)
        touched = encrypted_paths(taken, self.policy)
        if not touched and not may_shift(taken, self.policy):
            return taken
        stored = stored or await self.container.read_item(item, to_sdk(partition_key))
        require_no_shift(taken, self.policy, stored)
        values = {path: taken[position]["value"] for position, path in touched.items()}
        encrypted = await self._encryption.encrypt_values(
            self.policy.container,
            # As the document has them, which is how it is read: "note-1/" leads to it too, and None for a missing key.
            id_of(stored),
            values,
            partition_key=partition_key_of(stored, await self.partition_key_paths()),
            context=self._context,
            deterministic=self.policy.deterministic,
            may_look_encrypted=self.policy.may_look_encrypted,
            previous=stored,
        )
        for position, path in touched.items():
            taken[position]["value"] = encrypted[path]
        return taken

    async def _encrypted_operation(
        self, operation: BatchOperation, partition_key: PartitionKeyValue, written: dict[str, Document]
    ) -> tuple[Any, ...]:
        kind, arguments, *options = batch_parts(operation)
        if kind == "patch":
            item, patch = cast("tuple[str | Document, Sequence[Operation]]", arguments)
            patched = id_of_item(item)
            operations = await self._encrypted_patch(patched, partition_key, patch, written.get(patched))
            return (kind, (patched, operations), *options)
        if kind not in ("create", "upsert", "replace"):
            return (kind, arguments, *options)
        *items, given = cast("tuple[Document, ...]", arguments)
        body = self._snapshot(given)  # all that follows is about what is stored
        replaced = [id_of_replaced(item, body) for item in items]
        previous = None if kind == "create" else written.get(id_of(body)) or await self._stored(body)
        written[id_of(body)] = encrypted = await self._encrypted(body, previous)
        return (kind, (*replaced, encrypted), *options)


def _sdk(value: object) -> Any:
    """Return what is handed on to the SDK, whose types are narrower than what it takes."""
    return value

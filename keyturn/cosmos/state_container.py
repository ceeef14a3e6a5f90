"""Keyturn's own documents, in the container ``keyturn``: read, create, replace if unchanged, all or nothing.

Every document has an ``id`` and a ``keyring``, its partition. What several processes change is changed in one way only:
read, change, replace if no other writer has, and again on what is there now (:meth:`StateContainer.update`).
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, Self

from azure.core import MatchConditions
from azure.cosmos import exceptions as cosmos
from azure.cosmos.aio import ContainerProxy
from pydantic import Field, ValidationError
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_attempt, wait_random_exponential

from keyturn.contracts.base import Payload
from keyturn.cosmos.client import cosmos_failures, is_absent_item
from keyturn.cosmos.session_tokens import SESSION_TOKEN, merge_session_tokens
from keyturn.errors import InvariantError, KeyturnError, LostRaceError

ATTEMPTS = 20
DOCUMENT_BYTES_MAX = 1_500_000  # Cosmos DB takes 2 MB; the bounds of a record's parts keep it far below this

NEWER_RELEASE = (
    "a newer release wrote it: deploy that release again (docs/operations.md, A release that is rolled back)"
)

_RESOURCE = "the keyturn container"
_LOST = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND})


class StoredDocument(Payload):
    """Base of the documents' models: what the database adds is left out, but for the ETag."""

    etag: Annotated[str | None, Field(exclude=True)] = None  # of the document that this was read from

    def to_document(self) -> dict[str, Any]:
        """Return the document as it is stored; raises InvariantError for one that its bounds should have kept small."""
        document = self.to_payload()
        size = len(json.dumps(document, ensure_ascii=False).encode())
        if size > DOCUMENT_BYTES_MAX:
            raise InvariantError("a document is too large", document=document["id"], bytes=size)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a stored document; raises InvariantError for one that is none of this kind."""
        own = {name: value for name, value in document.items() if not name.startswith("_")}
        try:
            return cls.model_validate({**own, "etag": document.get("_etag")})
        except ValidationError as error:
            fields = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()})
            # What a newer release added may be a safeguard, so it is not passed over.
            newer = all(item["type"] == "extra_forbidden" for item in error.errors())
            raise InvariantError(
                f"a stored {cls.__name__} is unreadable",
                hint=NEWER_RELEASE if newer else "",
                document=document.get("id"),
                fields=fields,
            ) from error


def hashed_id(text: str) -> str:
    """Return the id of the document for a text that may hold characters which an id may not."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


class Settled[T](NamedTuple):
    """What an attempt has come to; wrapped, because None is an outcome too."""

    outcome: T


async def until_won[T](attempt: Callable[[], Awaitable[T | None]], document: str) -> T:
    """Make an attempt again until it returns something; None says that a conditional write lost its race.

    Writers that lost at the same moment must not meet again at the next: the waits are random, 20 ms at first and at
    most 0.6 s.

    Raises:
        LostRaceError: every attempt was lost.
    """
    retrying = AsyncRetrying(
        retry=retry_if_result(lambda result: result is None),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.02, max=0.6),
    )
    try:
        return await retrying(attempt)  # None is never the last result: that is a RetryError
    except RetryError as error:
        raise LostRaceError("others kept changing a document", document=document, attempts=ATTEMPTS) from error


class StateContainer:
    """The documents of the container.

    What was written here is read here: each read carries the session token of the newest write in its partition. The
    SDK does that by itself, but for batches, whose tokens it does not keep.
    """

    def __init__(self, container: ContainerProxy) -> None:
        self.container = container
        self._tokens: dict[str, str] = {}  # keyring -> session token of our newest write

    async def read(self, keyring: str, document_id: str) -> dict[str, Any] | None:
        """Return the document with its ``_etag``, or None."""
        async with cosmos_failures(_RESOURCE, "read"):
            try:
                token = self._tokens.get(keyring)
                return dict(await self.container.read_item(document_id, keyring, session_token=token))
            except cosmos.CosmosResourceNotFoundError as error:
                if is_absent_item(error):
                    return None
                raise

    async def find[D: StoredDocument](
        self, model: Callable[[Mapping[str, Any]], D], keyring: str, document_id: str
    ) -> D | None:
        """Return the document as the model, or None."""
        document = await self.read(keyring, document_id)
        return None if document is None else model(document)

    async def update[D: StoredDocument](
        self,
        model: Callable[[Mapping[str, Any]], D],
        keyring: str,
        document_id: str,
        change: Callable[[D | None], D | None],
        *,
        confirm: bool = False,
    ) -> D | None:
        """Change the document, or create it where there is none, and return what is stored then.

        ``change`` may run several times, also on a document that already carries its own effect (an answer was lost).
        Returning what it was given, or None, writes nothing, unless the caller wants it confirmed that this was the
        newest. What it raises ends the update, if that was for the newest: a read may come from a replica that lags.

        Raises:
            LostRaceError: others kept changing it.
            KeyturnError: of the kind that the failure means.
        """

        async def attempt() -> Settled[D | None] | None:
            found = await self.find(model, keyring, document_id)
            try:
                changed = change(found)
            except KeyturnError:
                # The read may have come from a replica that lags: only what the newest document is refused for counts.
                if found is None or await self.store(found, found) is not None:
                    raise
                return None
            if changed is None or changed is found:
                if found is None or not confirm:
                    return Settled(found)
                changed = found
            written = await self.store(changed, found)
            return None if written is None else Settled(model(written))

        return (await until_won(attempt, document_id)).outcome

    async def store(self, document: StoredDocument, found: StoredDocument | None) -> dict[str, Any] | None:
        """Create the document, or replace the one that was found; returns it as stored, or None if the race is lost."""
        if found is None:
            return await self.create(document.to_document())
        if found.etag is None:
            raise InvariantError("a document was read without an ETag", document=document.to_document()["id"])
        return await self.replace(document.to_document(), found.etag)

    async def create(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """Create the document and return it as stored, or None where one of this id exists."""
        async with cosmos_failures(_RESOURCE, "create"):
            try:
                created = await self.container.create_item(document)
                self._wrote(document["keyring"], created.get_response_headers())
                return dict(created)
            except cosmos.CosmosResourceExistsError:
                return None

    async def replace(self, document: dict[str, Any], etag: str) -> dict[str, Any] | None:
        """Replace the document if it still has this ETag; returns what is stored now, or None if the race is lost."""
        async with cosmos_failures(_RESOURCE, "replace"):
            try:
                replaced = await self.container.replace_item(
                    document["id"], document, etag=etag, match_condition=MatchConditions.IfNotModified
                )
                self._wrote(document["keyring"], replaced.get_response_headers())
                return dict(replaced)
            except (cosmos.CosmosAccessConditionFailedError, cosmos.CosmosResourceNotFoundError):
                return None

    async def batch(self, keyring: str, operations: Sequence[tuple[Any, ...]]) -> bool:
        """Apply all operations or none; returns False where a condition of one of them does not hold."""
        async with cosmos_failures(_RESOURCE, "batch"):
            try:
                written = await self.container.execute_item_batch(operations, partition_key=keyring)
                self._wrote(keyring, written.get_response_headers())
            except cosmos.CosmosBatchOperationError as error:
                if error.status_code in _LOST:
                    return False
                # A batch's error is not of the family that all other failures belong to.
                raise cosmos.CosmosHttpResponseError(error.status_code, "a batch failed") from error  # type: ignore[no-untyped-call]  # the SDK's constructor has no types
        return True

    def _wrote(self, keyring: str, headers: Mapping[str, str]) -> None:
        if (token := headers.get(SESSION_TOKEN)) is not None:
            known = {keyring: self._tokens[keyring]} if keyring in self._tokens else {}
            self._tokens |= merge_session_tokens(known, {keyring: token})

    async def query(self, keyring: str, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all documents of the partition that the query selects."""
        async with cosmos_failures(_RESOURCE, "query"):
            found = self.container.query_items(
                query,
                parameters=[{"name": name, "value": value} for name, value in parameters.items()],
                partition_key=keyring,
                session_token=self._tokens.get(keyring),
            )
            return [dict(document) async for document in found]

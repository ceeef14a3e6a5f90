"""The same work on many documents, a bounded number of them at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from field_encrypt import paths
from field_encrypt.encoding import exact
from field_encrypt.errors import FieldEncryptError, InvalidFieldPathError, require_number

Document = Mapping[str, object]
Item = dict[str, object]
SYSTEM_PROPERTIES = ("_etag", "_rid", "_self", "_ts", "_attachments")  # what Cosmos DB adds to a document
Work = Callable[[str, Document], Awaitable[Item]]  # of a document's id and the document


async def for_each_document(work: Work, documents: Sequence[Document], at_once: int) -> list[Item]:
    """Return the results in the order of the documents; the first failure ends the others' work.

    Raises:
        InvalidSettingError: none may be under way.
        InvalidFieldPathError: a document has no id.
        FieldEncryptError: what the first work that failed raised, with a note that names the document.
    """
    require_number("at_once", at_once, least=1, whole=True)  # it would wait for ever
    free = asyncio.Semaphore(at_once)

    async def bounded(document: Document) -> Item:
        async with free:
            document_id = id_of(document)
            try:
                return await work(document_id, document)
            except FieldEncryptError as error:
                error.add_note(f"document {document_id}")
                raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(bounded(document)) for document in documents]
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise first  # out here, so that it keeps its own cause


def id_of(document: object) -> str:
    """Return the document's id.

    Raises:
        InvalidFieldPathError: it has none.
    """
    document_id = document.get("id") if isinstance(document, Mapping) else None
    if not isinstance(document_id, str) or not document_id:
        raise InvalidFieldPathError("id", "a text that is not empty in every document")
    return exact(document_id)


def id_of_item(item: str | Document) -> str:
    """Return the id of an item that is given as the SDK takes it: by its id, or as the document.

    Raises:
        InvalidFieldPathError: it is, or has, none.
    """
    return id_of(item if isinstance(item, Mapping) else {"id": item})


def id_of_replaced(item: str | Document, body: Document) -> str:
    """Return the id of the document that the body replaces.

    Raises:
        InvalidFieldPathError: the body is another's.
    """
    replaced = id_of_item(item)
    if id_of(body) != replaced:
        raise InvalidFieldPathError("id", f"{replaced}, the id of the document that is replaced")
    return replaced


def with_system_properties(body: Document, answer: Document) -> Item:
    """Return the body with what Cosmos DB adds to it, but for its own properties that begin with an underscore too."""
    added = [name for name in answer if name.startswith("_") and (name in SYSTEM_PROPERTIES or name not in body)]
    return {**body, **{name: answer[name] for name in added}}


def with_values(document: Item, values: Mapping[str, object]) -> Item:
    """Return the document, which is the caller's own copy, with other values at these concrete paths."""
    for path, value in values.items():
        paths.put(document, path, value)
    return document

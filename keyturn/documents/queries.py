"""Which documents name a DEK: looked up by a query, or read off a document."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt import paths
from field_encrypt.envelope import is_encrypted
from field_encrypt.errors import InvalidFieldPathError
from field_encrypt.paths import EVERY_ELEMENT
from keyturn.deks.queries import Condition, has_id, select_rows
from keyturn.settings import DocumentContainer

NAMESAKES_MAX = 10
_DEK_ID = '["dekId"]'


def encrypted_paths(document: Mapping[str, Any], fields: Iterable[str]) -> list[str]:
    """Return the concrete paths of everything that is encrypted or ought to be, each once.

    A field that the document does not have is no fault: documents may lack a property.
    """
    found = dict.fromkeys(paths.find(document, is_encrypted))
    for pattern in fields:
        try:
            found |= dict.fromkeys(paths.expand(document, [pattern]))
        except InvalidFieldPathError:
            continue
    return [path for path in found if not any(path.startswith(f"{other}/") for other in found)]


def named_deks(document: Mapping[str, Any]) -> set[str]:
    """Return the dekIds that the document names, well-formed or not."""
    fields = (paths.get(document, path) for path in paths.find(document, is_encrypted))
    return {str(field["dekId"]) for field in fields}


def queryable(description: DocumentContainer) -> list[str]:
    """Return the expressions, in Cosmos DB's SQL, of the dekIds of fields outside lists."""
    split = [pattern.split("/") for pattern in description.fields]
    return [_property(names) + _DEK_ID for names in split if not any(_is_element(name) for name in names)]


async def deks_named(container: ContainerProxy, description: DocumentContainer, dek_ids: Sequence[str]) -> set[str]:
    """Return those of the dekIds that a field of the container's documents names, in lists too.

    Raises KeyturnError as the failure means.
    """
    named: set[str] = set()
    values = {f"@dek{place}": dek_id for place, dek_id in enumerate(dek_ids)}
    for source, dek_id in dict.fromkeys(place for pattern in description.fields for place in _places(pattern)):
        naming = Condition(f"{dek_id} IN ({', '.join(values)})", values)
        selected = f"DISTINCT VALUE {dek_id}"  # thousands of documents may share a DEK
        named |= set(await select_rows(container, naming, selected, source=source, resource=description.name))
    return named


async def documents_naming(
    container: ContainerProxy, description: DocumentContainer, dek_ids: Sequence[str], *, limit: int | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the dekId and the document, its id and partition key, of those that name one of these dekIds.

    ``limit`` bounds what is returned of each field, where some will do. Raises KeyturnError as the failure means.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    key = description.partition_key
    values = {f"@dek{place}": dek_id for place, dek_id in enumerate(dek_ids)}
    top = "" if limit is None else f"TOP {limit} "
    for expression in queryable(description):
        naming = Condition(f"{expression} IN ({', '.join(values)})", values)
        selected = f"{top}c.id, {_property([key])} AS part, {expression} AS dek"
        for item in await select_rows(container, naming, selected, resource=description.name):
            document = {"id": str(item["id"]), key: item["part"]} if "part" in item else {"id": str(item["id"])}
            found.append((str(item["dek"]), document))
    return found


async def in_other_partitions(
    container: ContainerProxy, description: DocumentContainer, document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return documents of this one's id in other partitions, some of them; raises KeyturnError as the failure means."""
    key = description.partition_key
    if key == "id":
        return []
    found = await select_rows(
        container, has_id(str(document["id"])), f"TOP {NAMESAKES_MAX} *", resource=description.name
    )
    return [dict(other) for other in found if other.get(key) != document.get(key)]


def may_have_fields(description: DocumentContainer) -> str:
    """Return the condition, in Cosmos DB's SQL, that a document may have an encrypted field, if only an empty list."""
    return " OR ".join(f"IS_DEFINED({_named_by(pattern)})" for pattern in description.fields)


async def sampled_deks(container: ContainerProxy, description: DocumentContainer, limit: int) -> set[tuple[str, str]]:
    """Return (dekId, document id) of about so many documents, of each field the same number; raises AzureError."""
    found: set[tuple[str, str]] = set()
    each = max(1, limit // len(description.fields))
    for pattern in description.fields:
        named = _named_by(pattern)
        query = f"SELECT TOP {each} c.id, {named} AS named FROM c WHERE IS_DEFINED({named})"  # noqa: S608 - names of validated settings, quoted
        async for item in container.query_items(query):
            deks = {str(item["named"])} if named.endswith(_DEK_ID) else named_deks(item)
            found |= {(dek_id, str(item["id"])) for dek_id in deks}
    return found


async def still_named(container: ContainerProxy, named: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of the pairs (dekId, document id) that hold still: documents change; raises AzureError."""
    ids = sorted({document_id for _, document_id in named})
    parameters: list[dict[str, Any]] = [{"name": "@ids", "value": ids}]
    items = container.query_items("SELECT * FROM c WHERE ARRAY_CONTAINS(@ids, c.id)", parameters=parameters)
    return {(dek_id, str(item["id"])) async for item in items for dek_id in named_deks(item)} & set(named)


def _places(pattern: str) -> list[tuple[str, str]]:
    """Return where the field may stand: what a query reads FROM, and the expression of a dekId in that.

    What reads like an element may be a property's name, so it is looked up as both: no use must be missed.
    """
    places = [("c", "c")]
    for segment in pattern.split("/"):
        names = [(source, f"{at}[{_quoted(segment)}]") for source, at in places]
        each = places if _is_element(segment) else []
        joined = [(f"{source} JOIN {(one := f'e{source.count(" JOIN ")}')} IN {at}", one) for source, at in each]
        places = names + joined
    return [(source, at + _DEK_ID) for source, at in places]


def _named_by(pattern: str) -> str:
    """Return the expression of the field's dekId, or of the list that holds it in each of its elements."""
    segments = pattern.split("/")
    before = list(takewhile(lambda segment: not _is_element(segment), segments))
    return _property(before) + (_DEK_ID if len(before) == len(segments) else "")


def _property(segments: Iterable[str]) -> str:
    return f"c[{']['.join(map(_quoted, segments))}]"


def _quoted(segment: str) -> str:
    return json.dumps(segment.replace("~1", "/").replace("~0", "~"))


def _is_element(segment: str) -> bool:
    return segment == EVERY_ELEMENT or segment.isdecimal()

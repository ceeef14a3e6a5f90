"""Canaries: real documents of each encrypted container that must decrypt, with nothing cached.

They are chosen once and stay the same for the whole rotation, so that the watch after the disable asks exactly what was
asked before. A canary that was deleted meanwhile is replaced: a deleted document is no failure.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from field_encrypt import FieldEncryptError, FieldEncryption, paths
from field_encrypt.envelope import is_encrypted
from field_encrypt.errors import RetryError
from keyturn.documents import queries, store
from keyturn.errors import UnavailableError
from keyturn.runs.record_parts import CANARIES_MAX, Canary
from keyturn.settings import DocumentContainer

# Enough to notice a wrong version in every container, few enough to ask at every interval of the watch.
CANARIES_PER_CONTAINER = 5

# Documents among which they are chosen: some may be plaintext still, or have empty lists.
CANDIDATES = 20


def per_container(containers: int) -> int:
    """Return how many canaries each of so many containers has: fewer where the record could not hold them all."""
    return min(CANARIES_PER_CONTAINER, CANARIES_MAX // max(1, containers))


async def choose(container: ContainerProxy, description: DocumentContainer, limit: int) -> list[Canary]:
    """Choose documents whose fields are all encrypted, those with the most fields first; raises UnavailableError."""
    query = f"SELECT TOP {CANDIDATES} * FROM c WHERE {queries.may_have_fields(description)}"  # noqa: S608 - names come from validated settings
    try:
        found = [dict(item) async for item in container.query_items(query)]
    except AzureError as error:
        raise UnavailableError(f"container {description.name} did not answer", resource=description.name) from error
    fields = {item["id"]: queries.encrypted_paths(item, description.fields) for item in found}
    fit = [item for item in found if _all_encrypted(item, fields[item["id"]])]
    name, key = description.name, description.partition_key
    return [
        Canary(container=name, document_id=item["id"], partition=item.get(key), outcome="pass")
        for item in sorted(fit, key=lambda item: -len(fields[item["id"]]))[:limit]
    ]


def _all_encrypted(document: Mapping[str, Any], fields: Collection[str]) -> bool:
    return bool(fields) and all(is_encrypted(paths.get(document, path)) for path in fields)


async def check(
    container: ContainerProxy, description: DocumentContainer, encryption: FieldEncryption, canary: Canary
) -> Canary | None:
    """Decrypt one canary; returns it with its outcome, or None where it is gone, or has nothing to decrypt any more.

    Raises:
        UnavailableError: a service did not answer, which says nothing about the document.
    """
    try:
        document = await container.read_item(canary.document_id, partition_key=canary.partition)
        fields = queries.encrypted_paths(document, description.fields)
        bound = store.binding_of(description, document)
        await encryption.decrypt_fields(description.name, canary.document_id, document, fields, **bound)
    except CosmosResourceNotFoundError:
        return None
    except (AzureError, RetryError) as error:
        text = f"a canary of {description.name} could not be read"
        raise UnavailableError(text, resource=description.name) from error
    except FieldEncryptError as error:
        return canary.model_copy(update={"outcome": "fail", "detail": f"{type(error).__name__}: {error}"})
    return canary.model_copy(update={"outcome": "pass", "detail": ""}) if fields else None


async def check_all(
    container: ContainerProxy,
    description: DocumentContainer,
    encryption: FieldEncryption,
    known: Sequence[Canary],
    wanted: int,
) -> list[Canary]:
    """Check the canaries of one container, choosing new ones where there are too few."""

    async def checked(canaries: Sequence[Canary]) -> list[Canary]:
        found = [await check(container, description, encryption, canary) for canary in canaries]
        return [canary for canary in found if canary is not None]

    kept = await checked(known)
    if len(kept) < wanted:
        ids = {canary.document_id for canary in kept}
        chosen = await choose(container, description, wanted)
        kept += await checked([canary for canary in chosen if canary.document_id not in ids][: wanted - len(kept)])
    return kept

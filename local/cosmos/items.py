"""Single items: create, read, upsert, replace, patch, delete, each with its ETag conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from local.cosmos import charges
from local.cosmos.call import Call
from local.cosmos.catalog import Container
from local.cosmos.definitions import unique_key_policy, unique_values
from local.cosmos.errors import CosmosError, conflict, not_found, precondition_failed, too_large
from local.cosmos.partitions import key_mismatch, key_of_item
from local.cosmos.patch import apply_patch
from local.cosmos.reply import Reply, item_headers
from local.cosmos.sessions import token_of
from local.cosmos.sql.values import MixedTypes
from local.cosmos.store import Commit, ItemStore, Row
from local.cosmos.validation import MAX_ITEM_BYTES, check_id, check_ttl, parse_json

WRITES = ("create", "upsert", "replace", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Write:
    """One write, alone or within a batch; ``body`` is the item, or the patch, whose condition ``mixed_types`` reads."""

    kind: str
    name: str
    body: Any
    if_match: str | None
    if_none_match: str | None
    mixed_types: MixedTypes


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: its status, the new version if there is one, its charge."""

    status: int
    row: Row | None
    charge: float


async def read(call: Call) -> Reply:
    """Answer with one item, 304 if the client has it, 404 if there is none."""
    partition = call.partition
    view = call.view(partition)
    headers = item_headers(call.container, partition, view.token)
    row = call.account.store.as_of(call.container, call.epk, call.item_name, view.horizon)
    if row is None:
        error = not_found(f"Entity with the specified id does not exist in the system: {call.item_name}")
        error.headers = headers
        raise error
    charge = charges.point_read(len(row.body))
    call.account.throughput.consume(partition, charge)
    if call.headers.get("if-none-match") == row.etag:
        return Reply(HTTPStatus.NOT_MODIFIED, None, {**headers, "etag": row.etag}, charge)
    return Reply(HTTPStatus.OK, row.body, {**headers, "etag": row.etag, "x-ms-item-lsn": str(row.lsn)}, charge)


async def write(call: Call) -> Reply:
    """Do one of :data:`WRITES` and answer with the new version."""
    body = parse_json(call.body) if call.operation.name != "delete" else None
    kind = call.operation.name
    name = check_id(body) if kind in ("create", "upsert") else call.item_name
    conditions = call.headers.get("if-match"), call.headers.get("if-none-match")
    wanted = Write(kind, name, body, *conditions, call.account.mixed_types)
    partition = call.partition
    race_etag(call, wanted)
    try:
        with call.account.store.commit(call.container, partition) as commit:
            written = perform(call.account.store, commit, call.container, call.epk, wanted)
    except CosmosError as error:  # it was decided on by the newest state, which the session has seen now
        error.headers = item_headers(call.container, partition, token_of(partition, partition.lsn))
        raise
    call.account.throughput.consume(partition, written.charge)
    headers = item_headers(call.container, partition, token_of(partition, partition.lsn), commit.lsn)
    if written.row is None:
        return Reply(written.status, None, headers, written.charge)
    headers["etag"] = written.row.etag
    return Reply(written.status, None if call.minimal else written.row.body, headers, written.charge)


async def delete_partition_key(call: Call) -> Reply:
    """Delete all items of one partition key value: at once, where the service does it in the background."""
    partition, charge = call.partition, 0.0
    with call.account.store.commit(call.container, partition) as commit:
        for row in list(call.account.store.of_key(call.container, call.epk)):
            commit.delete(row)
            charge += charges.insert(len(row.body))
    call.account.throughput.consume(partition, charge)
    return Reply(
        HTTPStatus.OK, None, item_headers(call.container, partition, token_of(partition, partition.lsn)), charge
    )


def race_etag(call: Call, wanted: Write) -> None:
    """Let another writer get in first, if the fault ``etag_race`` is armed and the write has a condition."""
    if wanted.if_match is None and not (isinstance(wanted.body, Mapping) and "condition" in wanted.body):
        return
    if call.account.faults.take("etag_race", call.operation.name, call.path) is None:
        return
    row = call.account.store.newest(call.container, call.epk, wanted.name)
    if row is not None:
        with call.account.store.commit(call.container, call.partition) as commit:
            commit.put(row.epk, row.item(), row)


def perform(store: ItemStore, commit: Commit, container: Container, epk: str, wanted: Write) -> Written:
    """Do a write within a commit.

    Raises:
        CosmosError: 400, 404, 409, 412 or 413, as the service answers.
    """
    row = store.newest(container, epk, wanted.name)
    if wanted.kind == "create" and row is not None:
        raise conflict("Entity with the specified id already exists in the system.")
    if row is None and wanted.kind not in ("create", "upsert"):
        raise not_found(f"Entity with the specified id does not exist in the system: {wanted.name}")
    _check_conditions(row, wanted)
    if wanted.kind == "delete" and row is not None:
        commit.delete(row)
        return Written(HTTPStatus.NO_CONTENT, None, charges.insert(len(row.body)))
    item = wanted.body
    if wanted.kind == "patch" and row is not None:
        item = apply_patch(row, wanted.body, container.partition_key, wanted.mixed_types)
    name = check_id(item)
    check_ttl(item)
    if key_of_item(container.partition_key, item) != epk:
        raise key_mismatch()
    # A replace may give the item another id within its partition key (azure-cosmos-dotnet-v3, pull request 1375).
    if name != wanted.name and store.newest(container, epk, name) is not None:
        raise conflict("Entity with the specified id already exists in the system.")
    _check_unique_keys(store, container, epk, item, row)
    new = commit.put(epk, item, row)
    if len(new.body.encode()) > MAX_ITEM_BYTES:
        raise too_large(f"Request size is too large: an item may have {MAX_ITEM_BYTES} bytes")
    if row is None:
        return Written(HTTPStatus.CREATED, new, charges.insert(len(new.body)))
    return Written(HTTPStatus.OK, new, charges.replace(len(new.body)))


def _check_conditions(row: Row | None, wanted: Write) -> None:
    # An upsert of an item that is not there has nothing to match, and creates it: so Microsoft's own tests expect
    # (test_backwards_compatibility.py of azure-cosmos 4.17.1).
    if row is None:
        return
    if wanted.if_match is not None and wanted.if_match not in ("*", row.etag):
        raise precondition_failed()
    if wanted.if_none_match is not None and wanted.if_none_match in ("*", row.etag):
        raise precondition_failed()


def _check_unique_keys(store: ItemStore, container: Container, epk: str, item: dict[str, Any], row: Row | None) -> None:
    policy = unique_key_policy(container.properties)
    if not policy["uniqueKeys"]:
        return
    wanted = unique_values(policy, item)
    for other in store.of_key(container, epk):
        if (row is None or other.number != row.number) and any(
            mine == theirs for mine, theirs in zip(wanted, unique_values(policy, other.item()), strict=True)
        ):
            raise conflict("Unique index constraint violation.")

"""The account, databases, containers and partition key ranges."""

from http import HTTPStatus
from typing import Any

from local.cosmos import offers
from local.cosmos.call import Call
from local.cosmos.catalog import Container
from local.cosmos.errors import not_found
from local.cosmos.partitions import Partition
from local.cosmos.reply import Reply, json_reply
from local.cosmos.scopes import require_scope
from local.cosmos.validation import parse_json

_REGION = "Local"
_QUOTA_KB = 50 * 1024 * 1024  # the 50 GB of a physical partition


async def read_account(call: Call) -> Reply:
    """Answer with the account: one region, which is this endpoint by the name that the client used."""
    endpoint = f"{call.scheme}://{call.headers['host']}/"
    location = [{"name": _REGION, "databaseAccountEndpoint": endpoint}]
    return json_reply(
        {
            "_self": "",
            "id": "local",
            "_rid": "local",
            "_dbs": "//dbs/",
            "writableLocations": location,
            "readableLocations": location,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
            "userReplicationPolicy": {"minReplicaSetSize": 3, "maxReplicasetSize": 4},
        }
    )


async def create_database(call: Call) -> Reply:
    """Create a database."""
    wanted = offers.content_of(call.headers)
    database = call.account.catalog.create_database(parse_json(call.body))
    if wanted is not None:
        call.account.offers.put(database["_self"], database["_rid"], wanted)
    return _resource(database, HTTPStatus.CREATED)


async def read_database(call: Call) -> Reply:
    """Answer with one database."""
    return _resource(call.account.catalog.database(call.operation.names[0]))


async def list_databases(call: Call) -> Reply:
    """Answer with all databases in one page."""
    databases = list(call.account.catalog.databases.values())
    return json_reply({"_rid": "", "Databases": databases, "_count": len(databases)})


async def delete_database(call: Call) -> Reply:
    """Delete a database with everything in it."""
    call.account.catalog.delete_database(call.operation.names[0])
    return Reply(HTTPStatus.NO_CONTENT)


async def create_container(call: Call) -> Reply:
    """Create a container with its physical partitions and its offer."""
    name, wanted = call.operation.names[0], offers.content_of(call.headers)
    partitions = offers.first_partitions(wanted)
    container = call.account.catalog.create_container(name, parse_json(call.body), partitions)
    shared = call.account.offers.of(call.account.catalog.database(name)["_self"])
    if wanted is not None or shared is None:
        call.account.offers.put(container.self_link, container.rid, wanted or {"offerThroughput": offers.DEFAULT})
    return _resource(container.properties, HTTPStatus.CREATED)


async def read_container(call: Call) -> Reply:
    """Answer with one container, and with its usage and the statistics of its partitions if the client asks."""
    container, headers = call.container, {}
    if _asks(call, "x-ms-documentdb-populatequotainfo"):
        usage = await call.account.scan(lambda: call.account.store.usage(container))
        headers = {
            "x-ms-resource-quota": f"documentsCount=-1;collectionSize={_QUOTA_KB};",
            "x-ms-resource-usage": f"documentsCount={usage.items};collectionSize={usage.kilobytes};",
            "x-ms-documentdb-collection-index-transformation-progress": "100",
        }
    properties = dict(container.properties)
    if _asks(call, "x-ms-documentdb-populatepartitionstatistics"):
        properties["statistics"] = [{"id": one.id, "partitionKeys": []} for one in container.live()]
    reply = _resource(properties)
    reply.headers |= headers
    return reply


async def replace_container(call: Call) -> Reply:
    """Replace a container's policies and its time to live."""
    call.account.catalog.replace_container(call.container, parse_json(call.body))
    return _resource(call.container.properties)


async def delete_container(call: Call) -> Reply:
    """Delete a container with everything in it."""
    call.account.catalog.delete_container(*call.operation.names[:2])
    return Reply(HTTPStatus.NO_CONTENT)


async def list_containers(call: Call) -> Reply:
    """Answer with all containers of a database in one page."""
    name = call.operation.names[0]
    database = call.account.catalog.database(name)
    found = [one.properties for (owner, _), one in call.account.catalog.containers.items() if owner == name]
    return json_reply({"_rid": database["_rid"], "DocumentCollections": found, "_count": len(found)})


async def read_ranges(call: Call) -> Reply:
    """Answer with the partition key ranges that are new to the client, 304 if there are none.

    The ETag is the generation of the newest range, which each split raises.
    """
    live = call.container.live()
    generation = max(one.generation for one in live)
    etag = f'"{generation}"'
    known = call.headers.get("if-none-match", "").strip('"')
    seen = int(known) if known.isdigit() else 0
    if seen >= generation:
        return Reply(HTTPStatus.NOT_MODIFIED, None, {"etag": etag})
    ranges = [_range(call.container, one) for one in live if one.generation > seen]
    return json_reply(
        {"_rid": call.container.rid, "PartitionKeyRanges": ranges, "_count": len(ranges)}, HTTPStatus.OK, etag=etag
    )


async def read_conflicts(call: Call) -> Reply:
    """Answer with the conflicts of a container, or those that a query finds: none, for one region takes writes."""
    if _asks(call, "x-ms-documentdb-isquery"):
        require_scope(call)
    return json_reply({"_rid": call.container.rid, "Conflicts": [], "_count": 0})


async def read_conflict(call: Call) -> Reply:
    """Answer that there is no such conflict, to be read or to be deleted."""
    raise not_found(f"The conflict {call.item_name!r} does not exist in {call.container.id!r}")


def _asks(call: Call, header: str) -> bool:
    return call.headers.get(header, "").lower() == "true"


def _resource(properties: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return json_reply(properties, status, etag=properties["_etag"])


def _range(container: Container, partition: Partition) -> dict[str, Any]:
    return {
        "_rid": f"{container.rid}-{partition.id}",
        "id": partition.id,
        "_etag": f'"{partition.generation}"',
        "minInclusive": partition.low,
        "maxExclusive": partition.high,
        "ridPrefix": partition.number,
        "_self": f"{container.self_link}pkranges/{partition.id}/",
        "throughputFraction": 1 / len(container.live()),
        "status": "online",
        "parents": list(partition.parents),
        "_ts": container.properties["_ts"],
        "lsn": partition.lsn,
    }

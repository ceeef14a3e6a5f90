"""The account, databases, containers and partition key ranges."""

from http import HTTPStatus
from typing import Any

from local.cosmos.call import Call
from local.cosmos.catalog import Container
from local.cosmos.partitions import Partition
from local.cosmos.reply import Reply, json_reply
from local.cosmos.validation import parse_json

_REGION = "Local"


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
    return _resource(call.account.catalog.create_database(parse_json(call.body)), HTTPStatus.CREATED)


async def read_database(call: Call) -> Reply:
    """Answer with one database."""
    return _resource(call.account.catalog.database(call.operation.names[0]))


async def list_databases(call: Call) -> Reply:
    """Answer with all databases in one page."""
    databases = list(call.account.catalog.databases.values())
    return json_reply({"_rid": "", "Databases": databases, "_count": len(databases)})


async def create_container(call: Call) -> Reply:
    """Create a container with its physical partitions."""
    container = call.account.catalog.create_container(call.operation.names[0], parse_json(call.body))
    return _resource(container.properties, HTTPStatus.CREATED)


async def read_container(call: Call) -> Reply:
    """Answer with one container."""
    return _resource(call.container.properties)


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

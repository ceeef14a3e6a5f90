"""Throughput offers: what a container or database was given, and the physical partitions that follow from it.

No limit of requests follows from an offer here; ``--throughput`` and the control endpoint set one. A partition that an
offer splits is split at once, where the service takes minutes and says so in ``isOfferReplacePending``.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local.cosmos.catalog import Catalog, Container
from local.cosmos.errors import bad_request, not_found
from local.cosmos.partitions import Partition
from local.cosmos.reply import Reply, json_reply
from local.cosmos.validation import parse_json

if TYPE_CHECKING:
    from local.cosmos.call import Call

# RU/s. Sources: "Introduction to provisioned throughput" and "Best practices for scaling provisioned throughput".
DEFAULT = 400  # of a container for which neither it nor its database was given any
LEAST, LEAST_MAXIMUM, MOST = 400, 1_000, 1_000_000  # of a fixed offer, of an autoscale offer's maximum, of both
MOST_OF_PARTITION = 10_000
FIRST_OF_PARTITION = 6_000  # a new container of over 10,000 begins with a partition for each of these
_DIGITS = 32  # of an effective partition key

type Content = dict[str, Any]


def content_of(headers: Mapping[str, str]) -> Content | None:
    """Return the offer that a creation asks for, None if it asks for none.

    Raises:
        CosmosError: 400 if it is no throughput that the service sells.
    """
    fixed, autoscale = headers.get("x-ms-offer-throughput"), headers.get("x-ms-cosmos-offer-autopilot-settings")
    if fixed is None and autoscale is None:
        return None
    if fixed is not None and autoscale is not None:
        raise bad_request("x-ms-offer-throughput and x-ms-cosmos-offer-autopilot-settings exclude each other")
    try:
        given = {"offerThroughput": int(fixed)} if fixed else {"offerAutopilotSettings": json.loads(autoscale or "")}
    except ValueError as error:
        raise bad_request("The offer must be a whole number, or autoscale settings in JSON") from error
    return checked({**given, "offerIsRUPerMinuteThroughputEnabled": False})


def checked(content: Any) -> Content:
    """Return the content of an offer.

    Raises:
        CosmosError: 400 if it is no throughput that the service sells.
    """
    asked = throughput_of(content) if isinstance(content, dict) else None
    if not isinstance(asked, int) or isinstance(asked, bool) or asked % 100:
        raise bad_request("The offer should have a throughput in increments of 100")
    least = LEAST_MAXIMUM if content.get("offerAutopilotSettings") else LEAST
    if asked < least:
        raise bad_request(f"Requested throughput {asked} is less than required minimum throughput {least}")
    if asked > MOST:
        raise bad_request(f"Requested throughput {asked} is more than {MOST}")
    # An autoscale offer shows its least throughput too, a tenth of the maximum.
    return {**content, "offerThroughput": asked // 10} if content.get("offerAutopilotSettings") else dict(content)


def throughput_of(content: Content) -> Any:
    """Return the throughput of an offer, the maximum of one that scales by itself."""
    autoscale = content.get("offerAutopilotSettings")
    return autoscale.get("maxThroughput") if isinstance(autoscale, dict) else content.get("offerThroughput")


def first_partitions(content: Content | None) -> int:
    """Return with how many physical partitions a container of this offer begins."""
    asked = throughput_of(content) if content else DEFAULT
    return 1 if asked <= MOST_OF_PARTITION else -(-asked // FIRST_OF_PARTITION)


def grow(catalog: Catalog, container: Container, content: Content) -> None:
    """Split the widest partitions of a container until there are as many as its offer needs."""
    while len(container.live()) * MOST_OF_PARTITION < throughput_of(content):
        widest = max(container.live(), key=_width)
        catalog.split(container, widest.id)


def _width(partition: Partition) -> int:
    return int(partition.high.ljust(_DIGITS, "0"), 16) - int(partition.low.ljust(_DIGITS, "0"), 16)


class Offers:
    """The offers of the account, by the ``_self`` of what they are for; of what is deleted there is none."""

    def __init__(self, connection: sqlite3.Connection, catalog: Catalog) -> None:
        self._connection = connection
        self._catalog = catalog
        rows = connection.execute("SELECT resource, properties FROM offers")
        self._by_resource: dict[str, dict[str, Any]] = {resource: json.loads(text) for resource, text in rows}

    def all(self) -> list[dict[str, Any]]:
        """Return every offer."""
        there = {one["_self"] for one in self._catalog.databases.values()}
        there |= {one.self_link for one in self._catalog.containers.values()}
        return [one for resource, one in self._by_resource.items() if resource in there]

    def of(self, resource: str) -> dict[str, Any] | None:
        """Return the offer of a resource, None if it has none."""
        return self._by_resource.get(resource)

    def by_id(self, name: str) -> dict[str, Any]:
        """Return an offer, or raise 404."""
        found = next((one for one in self.all() if one["id"] == name), None)
        if found is None:
            raise not_found(f"The offer {name!r} does not exist")
        return found

    def put(self, resource: str, rid: str, content: Content) -> dict[str, Any]:
        """Make the offer of a resource, or give it other content."""
        known = self._by_resource.get(resource)
        name = known["id"] if known else uuid.uuid4().hex[:8]
        properties = {
            "resource": resource,
            "offerType": "Invalid",
            "offerResourceId": rid,
            "offerVersion": "V2",
            "content": content,
            "id": name,
            "_rid": name,
            "_self": f"offers/{name}/",
            "_etag": f'"{uuid.uuid4()}"',
            "_ts": int(time.time()),
        }
        self._connection.execute("REPLACE INTO offers VALUES (?, ?)", (resource, json.dumps(properties)))
        self._by_resource[resource] = properties
        return properties


async def replace_offer(call: "Call") -> Reply:
    """Give a container or database another throughput, and a container the partitions for it."""
    known, body = call.account.offers.by_id(call.operation.names[0]), parse_json(call.body)
    content = checked(body.get("content") if isinstance(body, dict) else None)
    catalog = call.account.catalog
    container = next((one for one in catalog.containers.values() if one.self_link == known["resource"]), None)
    if container is not None:
        grow(catalog, container, content)
    return json_reply(call.account.offers.put(known["resource"], known["offerResourceId"], content))

"""Which part of a container a query or the change feed covers, as the SDK says it in headers."""

from local.cosmos.call import Call
from local.cosmos.errors import bad_request, range_gone
from local.cosmos.store import Scope

_RANGE_ID = "x-ms-documentdb-partitionkeyrangeid"


def scope_of_range(call: Call) -> Scope:
    """Return the scope of a request for one partition key range, part of one, or one partition key.

    Raises:
        CosmosError: 400 if it names none; 410 with substatus 1002 if the range was split.
    """
    range_id = call.headers.get(_RANGE_ID)
    if "x-ms-documentdb-partitionkey" in call.headers:
        partition = call.container.partition(range_id) if range_id else call.container.partition_of(call.epk)
        if not partition.holds(call.epk):
            raise range_gone(partition.id)
        return Scope(partition, epk=call.epk)
    if not range_id:
        raise bad_request(f"{_RANGE_ID}: a partition key range or a partition key is needed")
    partition = call.container.partition(range_id)
    low, high = call.headers.get("x-ms-start-epk"), call.headers.get("x-ms-end-epk")
    if low is None or high is None:
        return Scope(partition)
    return Scope(partition, low, high)


def names_one_partition(call: Call) -> bool:
    """Tell whether the request is for one partition key range or one partition key."""
    return _RANGE_ID in call.headers or "x-ms-documentdb-partitionkey" in call.headers


def require_scope(call: Call) -> None:
    """Refuse a query with 400 that is neither for one partition nor allowed to ask them all."""
    crosses = call.headers.get("x-ms-documentdb-query-enablecrosspartition", "").lower() == "true"
    if not crosses and not names_one_partition(call):
        raise bad_request("Cross partition query is required but disabled. Set enable_cross_partition_query.")

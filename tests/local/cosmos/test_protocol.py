"""The wire, without the SDK in between: what it would hide or mend."""

from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy

from tests.local.cosmos.conftest import INCREMENTAL, LocalCosmos, Wire


@pytest.fixture
def wire(cosmos: LocalCosmos, container: ContainerProxy) -> Wire:
    """The wire to an empty container."""
    return Wire(cosmos, container)


def test_partition_key_ranges_are_a_feed(cosmos: LocalCosmos, container: ContainerProxy, wire: Wire) -> None:
    """Ranges come with an ETag, 304 with it, and after a split only the children, which name their parents."""
    first = wire.ask("GET", "/pkranges", INCREMENTAL)
    known = {**INCREMENTAL, "If-None-Match": first.headers["etag"]}
    unchanged = wire.ask("GET", "/pkranges", known)
    cosmos.split(container, "1")
    changed = wire.ask("GET", "/pkranges", known).json()["PartitionKeyRanges"]

    ranges = first.json()["PartitionKeyRanges"]

    assert unchanged.status_code == 304
    assert [one["id"] for one in ranges] == ["0", "1", "2"]
    assert [(one["id"], one["parents"]) for one in changed] == [("3", ["1"]), ("4", ["1"])]
    assert changed[0]["minInclusive"] == ranges[1]["minInclusive"]
    assert changed[0]["maxExclusive"] == changed[1]["minInclusive"]
    assert changed[1]["maxExclusive"] == ranges[1]["maxExclusive"]


def test_split_range_is_gone(cosmos: LocalCosmos, container: ContainerProxy, wire: Wire) -> None:
    """A request for a range that was split answers 410 with substatus 1002."""
    cosmos.split(container, "1")

    answer = wire.ask("GET", "/docs", {**INCREMENTAL, "x-ms-documentdb-partitionkeyrangeid": "1"})

    assert answer.status_code == 410
    assert answer.headers["x-ms-substatus"] == "1002"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "substatus"),
    [
        ("GET", "/docs/a", {}, None, 400, None),
        ("GET", "/docs/a", {"x-ms-documentdb-partitionkey": "p"}, None, 400, None),
        ("GET", "/docs/a", {"x-ms-documentdb-partitionkey": '["p", "q"]'}, None, 400, "1001"),
        (
            "GET",
            "/docs/a",
            {"x-ms-documentdb-partitionkey": '["p"]', "x-ms-session-token": "0:nonsense,1:x,2:y"},
            None,
            400,
            None,
        ),
        ("GET", "/docs/a", {"x-ms-cosmos-intended-collection-rid": "AAAAAAAAAAA="}, None, 400, "1024"),
        ("POST", "/docs", {"x-ms-documentdb-partitionkey": '["p"]'}, {"id": "a", "pk": "q"}, 400, "1001"),
        ("POST", "/docs", {"x-ms-documentdb-partitionkey": '["p"]'}, {"id": "a/b", "pk": "p"}, 400, None),
        ("POST", "/docs", {"x-ms-documentdb-partitionkey": '["p"]'}, ["a"], 400, None),
        ("POST", "/docs", {"x-ms-documentdb-isquery": "True"}, {"query": "SELECT * FROM c"}, 400, None),
        ("POST", "/docs", {"x-ms-documentdb-partitionkey": '["p"]'}, {"id": "a", "pk": "p", "x": "\ud800"}, 400, None),
        (
            "GET",
            "/docs/a",
            {"x-ms-documentdb-partitionkey": '["p"]', "x-ms-consistency-level": "Strong"},
            None,
            400,
            None,
        ),
        ("POST", "/conflicts", {"x-ms-documentdb-isquery": "True"}, {"query": "SELECT * FROM c"}, 400, None),
        ("GET", "/docs", INCREMENTAL, None, 400, None),
        ("GET", "/sprocs", {}, None, 400, None),
        ("DELETE", "", {}, None, 403, "5300"),
    ],
)
def test_bad_requests(
    wire: Wire,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    status: int,
    substatus: str | None,
) -> None:
    """What the service cannot or may not serve is refused, with the substatus that the SDK acts on."""
    answer = wire.ask(method, path, headers, body)

    assert answer.status_code == status
    assert answer.headers.get("x-ms-substatus") == substatus
    assert answer.json()["message"]


def test_query_over_partitions_asks_for_a_plan_first(wire: Wire) -> None:
    """A count over all partitions answers 400 with substatus 1004, and its plan wraps the count for adding up."""
    query = {"query": "SELECT VALUE COUNT(1) FROM c WHERE c.n > @n", "parameters": [{"name": "@n", "value": 1}]}
    cross = {"x-ms-documentdb-query-enablecrosspartition": "True"}

    refused = wire.ask("POST", "/docs", {**cross, "x-ms-documentdb-isquery": "True"}, query)
    plan = wire.ask("POST", "/docs", {**cross, "x-ms-cosmos-is-query-plan-request": "True"}, query).json()

    assert (refused.status_code, refused.headers["x-ms-substatus"]) == (400, "1004")
    assert plan["queryInfo"]["aggregates"] == ["Count"]
    assert plan["queryInfo"]["rewrittenQuery"] == 'SELECT VALUE [{"item": COUNT(1)}] FROM c WHERE c.n > @n'

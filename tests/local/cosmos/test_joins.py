"""JOIN through the SDK: a query runs over each element of a list, also of a list in a list."""

from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.local.cosmos.conftest import listed, new_container

ITEMS = 6


@pytest.fixture(scope="module")
async def rows(client: CosmosClient) -> ContainerProxy:
    """Six items over three partitions with a list of lists each, one with an object in its place and one without."""
    container = await new_container(client)
    for n in range(ITEMS):
        parts = [{"n": n * 10 + place, "tags": ["all", f"t{n}"]} for place in range(3)]
        await container.create_item({"id": f"i{n}", "pk": f"p{n % 3}", "n": n, "parts": parts})
    await container.create_item({"id": "object", "pk": "p0", "n": 90, "parts": {"a": {"n": 90, "tags": ["never"]}}})
    await container.create_item({"id": "absent", "pk": "p1", "n": 91})
    return container


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT VALUE p.n FROM c JOIN p IN c.parts WHERE p.n IN (1, 42, 90)", [1, 42]),
        ("SELECT VALUE COUNT(1) FROM c JOIN p IN c.parts", [18]),
        ('SELECT VALUE p["n"] FROM c JOIN p IN c["parts"] WHERE c.n = 2', [20, 21, 22]),
        ("SELECT c.id, p.n AS part FROM c JOIN p IN c.parts WHERE p.n = 50", [{"id": "i5", "part": 50}]),
        ("SELECT DISTINCT VALUE t FROM c JOIN p IN c.parts JOIN t IN p.tags WHERE c.n < 2", ["all", "t0", "t1"]),
        ("SELECT VALUE c.id FROM c JOIN p IN c.parts[0].tags WHERE p = 't3'", ["i3"]),
        ("SELECT VALUE p FROM c JOIN p IN c.n", []),
    ],
)
async def test_each_element_is_a_row(rows: ContainerProxy, query: str, expected: list[Any]) -> None:
    """What is no list has no elements, and its item no rows."""
    found = await listed(rows.query_items(query))

    assert sorted(found, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_a_page_ends_between_items(rows: ContainerProxy, size: int) -> None:
    """However small the pages are, no element is lost or comes twice."""
    pages = rows.query_items("SELECT VALUE p.n FROM c JOIN p IN c.parts", max_item_count=size).by_page()

    read: list[list[Any]] = [[value async for value in page] async for page in pages]

    found = [value for page in read for value in page]
    assert sorted(found) == [n * 10 + place for n in range(ITEMS) for place in range(3)]
    assert len(read) > 1


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT * FROM c JOIN p IN c.parts", "JOIN"),
        ("SELECT VALUE p.n FROM c JOIN p IN c.parts ORDER BY p.n", "JOIN"),
        ("SELECT VALUE p.n FROM c JOIN p IN d.parts", "'d'"),
        ("SELECT VALUE p.n FROM c JOIN p IN p.parts", "'p'"),
        ("SELECT VALUE c.n FROM c JOIN c IN c.parts", "alias c"),
        ("SELECT VALUE p FROM c JOIN p IN (1)", "property"),
        ("SELECT VALUE p FROM c JOIN p c.parts", "IN"),
    ],
)
async def test_what_cannot_be_joined_is_refused(rows: ContainerProxy, query: str, named: str) -> None:
    """400, naming it."""
    with pytest.raises(CosmosHttpResponseError, match=named) as refused:
        await listed(rows.query_items(query))

    assert refused.value.status_code == 400

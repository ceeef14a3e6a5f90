"""Where the pages of a query end, what of it they hold, and which queries are refused for their size or their sort."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from local.cosmos.query import MAX_QUERY_BYTES
from local.cosmos.sql.execute import MAX_PAGE_BYTES
from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed, new_container

ITEMS = 30
ONE_KEY: dict[str, Any] = {"partition_key": "p"}


@pytest.fixture(scope="module")
async def rows(client: CosmosClient) -> ContainerProxy:
    """Thirty items under one partition key, n from 0 to 29, of kinds a, b, c by turns."""
    container = await new_container(client)
    for n in range(ITEMS):
        await container.create_item({"id": f"i{n:02}", "pk": "p", "n": n, "kind": "abc"[n % 3]})
    return container


@pytest.fixture
def short(cosmos: LocalCosmos) -> Iterator[None]:
    """Let a query's first page look at one item."""
    cosmos.post("settings", shortPages=1)
    yield
    cosmos.post("settings", shortPages=0)


async def pages_of(container: ContainerProxy, query: str, **options: Any) -> list[list[Any]]:
    """Return the results page by page, as the service answered, empty pages included."""
    pages: list[list[Any]] = []

    def keep(_headers: object, body: dict[str, Any]) -> None:
        pages.append(body["Documents"])

    await listed(container.query_items(query, response_hook=keep, **{**ONE_KEY, **options}))
    return pages


@pytest.mark.usefixtures("short")
async def test_a_count_comes_in_parts(rows: ContainerProxy) -> None:
    """Under one partition key a COUNT may be spread over pages, for the caller to sum; else the SDK (4.17.1) does."""
    within = await listed(rows.query_items("SELECT VALUE COUNT(1) FROM c", **ONE_KEY))
    ranges = [one async for one in rows.read_feed_ranges()]
    each = [await listed(rows.query_items("SELECT VALUE COUNT(1) FROM c", feed_range=one)) for one in ranges]
    across = await listed(rows.query_items("SELECT VALUE COUNT(1) FROM c"))

    assert within == [1, 2, 4, 8, 15]
    assert sorted(each) == [[0], [0], [ITEMS]]
    assert across == [ITEMS]


@pytest.mark.usefixtures("short")
async def test_pages_are_short_and_empty(rows: ContainerProxy) -> None:
    """A page ends before it is full, also without a result; the next one goes on, and looks at twice as many."""
    pages = await pages_of(rows, "SELECT VALUE c.n FROM c WHERE c.n > 1 AND c.n != 4")

    assert pages == [[], [2], [3, 5, 6], list(range(7, 15)), list(range(15, ITEMS))]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT TOP 5 VALUE c.n FROM c WHERE c.n > 9", [10, 11, 12, 13, 14]),
        ("SELECT VALUE c.n FROM c OFFSET 4 LIMIT 5", [4, 5, 6, 7, 8]),
        ("SELECT VALUE c.n FROM c WHERE c.n > 25 ORDER BY c.n DESC", [29, 28, 27, 26]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n DESC OFFSET 3 LIMIT 4", [26, 25, 24, 23]),
        ("SELECT DISTINCT TOP 2 VALUE c.kind FROM c WHERE c.kind = 'a' OR c.n > 20", ["a", "b"]),
        ("SELECT DISTINCT VALUE c.kind FROM c OFFSET 1 LIMIT 2", ["b", "c"]),
    ],
)
@pytest.mark.parametrize("scope", [ONE_KEY, {}])
async def test_limits_hold_over_short_pages(
    rows: ContainerProxy, scope: dict[str, Any], query: str, expected: list[Any]
) -> None:
    """TOP and OFFSET LIMIT count over all pages together, sorted and distinct results too."""
    assert await listed(rows.query_items(query, **scope)) == expected


@pytest.mark.usefixtures("short")
async def test_distinct_values_may_come_again(rows: ContainerProxy) -> None:
    """Within one range DISTINCT holds for each page; across ranges the SDK takes repetitions out."""
    within = await listed(rows.query_items("SELECT DISTINCT VALUE c.kind FROM c", **ONE_KEY))
    across = await listed(rows.query_items("SELECT DISTINCT VALUE c.kind FROM c"))

    assert len(within) > len(set(within)) == 3
    assert sorted(across) == ["a", "b", "c"]


async def test_pages_are_whole_by_default(rows: ContainerProxy) -> None:
    """Without the switch a page ends where it is full."""
    assert len(await pages_of(rows, "SELECT VALUE c.n FROM c WHERE c.n > 1")) == 1


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("selected", ["*", "VALUE c.text", "DISTINCT VALUE c"])
async def test_a_page_has_4_mb_at_most(container: ContainerProxy, selected: str) -> None:
    """A larger answer is split, whatever it selects."""
    for n in range(7):
        await container.create_item({"id": f"i{n}", "pk": "p", "text": f"{n}" + "\u00e9" * 320_000})

    pages = await pages_of(container, f"SELECT {selected} FROM c", max_item_count=100)  # noqa: S608 - the test's own

    assert [len(page) for page in pages] == [6, 1]
    assert max(len(json.dumps(page, ensure_ascii=False).encode()) for page in pages) <= MAX_PAGE_BYTES + 1000


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_long_query_is_refused(rows: ContainerProxy) -> None:
    """The text of a query has 512 KB at most; parameters do not count."""
    text = "SELECT VALUE c.n FROM c WHERE c.n = 3 AND c.x != @long"
    parameters: list[dict[str, object]] = [{"name": "@long", "value": "x" * MAX_QUERY_BYTES}]
    fits = text + " " * (MAX_QUERY_BYTES - len(text))

    assert await listed(rows.query_items(fits, parameters=parameters, **ONE_KEY)) == []
    with pytest.raises(CosmosHttpResponseError, match="maximum limit of 524288") as refused:
        await listed(rows.query_items(fits + " ", parameters=parameters, **ONE_KEY))
    assert refused.value.status_code == 400


async def test_a_query_that_is_nested_too_deep_is_refused(rows: ContainerProxy) -> None:
    """The service goes on."""
    with pytest.raises(CosmosHttpResponseError, match="nested") as refused:
        await listed(rows.query_items("SELECT * FROM c WHERE " + "(" * 10_000, **ONE_KEY))
    assert refused.value.status_code == 400


INCLUDED = {"includedPaths": [{"path": "/kind/?"}, {"path": "/a/b/*"}], "excludedPaths": [{"path": "/*"}]}
EXCLUDED = {"includedPaths": [{"path": "/*"}], "excludedPaths": [{"path": '/"x-y"/?'}, {"path": "/a/*"}]}


@pytest.mark.parametrize(
    ("policy", "path", "sorts"),
    [
        (None, "c.anything", True),
        (None, "c._etag", False),
        (INCLUDED, "c.kind", True),
        (INCLUDED, "c.kind.inner", False),
        (INCLUDED, "c.other", False),
        (INCLUDED, "c.a.b", True),
        (INCLUDED, "c.a.b.c", True),
        (INCLUDED, "c.a.c", False),
        (INCLUDED, "c.id", True),
        (INCLUDED, "c._ts", True),
        (EXCLUDED, "c.kind", True),
        (EXCLUDED, "c['x-y']", False),
        (EXCLUDED, "c['x-y'].z", True),
        (EXCLUDED, "c.a", False),
        (EXCLUDED, "c.a.b", False),
        ({"indexingMode": "none"}, "c.id", False),
    ],
)
async def test_what_is_not_indexed_does_not_sort(
    client: CosmosClient, policy: dict[str, Any] | None, path: str, *, sorts: bool
) -> None:
    """ORDER BY a property that the container's policy leaves out is refused with 400, within a range and across."""
    database = await client.create_database_if_not_exists(DATABASE)
    name = f"sorted-{hash((json.dumps(policy), path)) & 0xFFFFFFFF:x}"
    container = await database.create_container(name, PartitionKey("/pk"), indexing_policy=policy)
    for scope in (ONE_KEY, {}):
        found = container.query_items("SELECT * FROM c ORDER BY " + path, **scope)  # noqa: S608 - the test's own
        if sorts:
            assert await listed(found) == []
        else:
            with pytest.raises(CosmosHttpResponseError, match="order-by item is excluded") as refused:
                await listed(found)
            assert refused.value.status_code == 400

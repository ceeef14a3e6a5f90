"""The limits of items, keys, batches and numbers, and what the service answers where it cannot take a write now."""

import json
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError, CosmosResourceExistsError

from tests.local.cosmos.conftest import LocalCosmos, listed

MEGABYTE = 1024 * 1024


def nested(levels: int) -> Any:
    """Return an array in an array, so many levels deep."""
    return json.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (2**53, 2**53),
        (2**53 + 1, 2**53),
        (-(2**63) - 1, -(2.0**63)),
        (10**30, 1e30),
        (1e3, 1000),
        (-0.0, 0),
        (0.1, 0.1),
        (5e-324, 5e-324),
    ],
)
async def test_number_is_what_a_double_keeps_of_it(container: ContainerProxy, given: float, kept: float) -> None:
    """Numbers are IEEE 754 doubles; a whole one comes back without a fraction."""
    await container.create_item({"id": "a", "pk": "p", "n": given})

    read = await container.read_item("a", "p")

    assert (read["n"], type(read["n"])) == (kept, type(kept))


async def test_number_that_grows_beyond_a_double_is_refused(container: ContainerProxy) -> None:
    """An increment keeps to doubles as well: a whole sum has no fraction, and one out of range is refused."""
    await container.create_item({"id": "a", "pk": "p", "n": 0.5, "large": 1.7e308})
    patched = await container.patch_item("a", "p", [{"op": "incr", "path": "/n", "value": 0.5}])

    with pytest.raises(CosmosHttpResponseError) as refused:
        await container.patch_item("a", "p", [{"op": "incr", "path": "/large", "value": 1.7e308}])

    assert (patched["n"], type(patched["n"])) == (1, int)
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    "item",
    [
        {"n": 10**400},
        {"n": float("nan")},
        {"n": float("inf")},
        {"deep": nested(128)},
        {"ttl": 0},
        {"ttl": -10},
        {"ttl": None},
        {"ttl": 2**31},
        {"ttl": 1.5},
        {"pk": "ä" * 1025},
    ],
    ids=lambda item: f"{next(iter(item))}={str(next(iter(item.values())))[:8]}",
)
async def test_item_that_the_service_refuses(container: ContainerProxy, item: dict[str, Any]) -> None:
    """An item outside of the limits answers 400 and is not there."""
    with pytest.raises(CosmosHttpResponseError) as refused:
        await container.create_item({"id": "a", "pk": "p", **item})

    assert refused.value.status_code == 400
    assert await listed(container.read_all_items()) == []


@pytest.mark.parametrize(
    "item",
    [{"deep": nested(127)}, {"ttl": -1}, {"ttl": 2**31 - 1}, {"pk": "ä" * 1024}],
    ids=lambda item: next(iter(item)),
)
async def test_item_at_the_limit_is_taken(container: ContainerProxy, item: dict[str, Any]) -> None:
    """What is just within the limits is kept as it is."""
    written = {"id": "ä" * 511, "pk": "p", **item}
    await container.create_item(written)

    read = await container.read_item(written["id"], written["pk"])

    assert written.items() <= read.items()


async def test_replace_gives_an_item_another_id(container: ContainerProxy) -> None:
    """A replace may rename an item within its partition key; its _rid stays, and an id that is taken is a conflict."""
    created = await container.create_item({"id": "a", "pk": "p", "n": 1})
    await container.create_item({"id": "taken", "pk": "p"})

    renamed = await container.replace_item("a", {"id": "b", "pk": "p", "n": 2})
    with pytest.raises(CosmosResourceExistsError):
        await container.replace_item("b", {"id": "taken", "pk": "p"})
    with pytest.raises(CosmosBatchOperationError) as moved:
        await container.execute_item_batch([("replace", ("b", {"id": "b", "pk": "q"}))], "p")
    found = await listed(container.query_items("SELECT c.id, c.n FROM c WHERE c.n > 0", partition_key="p"))

    assert renamed["_rid"] == created["_rid"]
    assert found == [{"id": "b", "n": 2}]
    assert moved.value.status_code == 400


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_batch_whose_answer_is_over_four_megabytes_is_undone(container: ContainerProxy) -> None:
    """The operation with which the answer gets too large fails with 413, and the others with it."""
    for name in ("a", "b", "c"):
        await container.create_item({"id": name, "pk": "p", "blob": "x" * (3 * MEGABYTE // 2)})

    with pytest.raises(CosmosBatchOperationError) as refused:
        await container.execute_item_batch(
            [("upsert", ({"id": "d", "pk": "p"},)), ("read", ("a",)), ("read", ("b",)), ("read", ("c",))], "p"
        )

    assert [one["statusCode"] for one in refused.value.operation_responses] == [424, 424, 424, 413]
    assert len(await listed(container.query_items("SELECT c.id FROM c", partition_key="p"))) == 3


@pytest.mark.parametrize(("kind", "answer"), [("retry_with", (449, None)), ("partition_full", (403, 1014))])
async def test_write_that_the_service_cannot_take_now(
    cosmos: LocalCosmos, container: ContainerProxy, kind: str, answer: tuple[int, int | None]
) -> None:
    """Armed, a write meets another inside the service, or a full logical partition; nothing is written."""
    cosmos.arm(kind=kind, operation="create", match=container.id)
    with pytest.raises(CosmosHttpResponseError) as refused:
        await container.create_item({"id": "a", "pk": "p"})

    await container.create_item({"id": "a", "pk": "p"})

    assert (refused.value.status_code, refused.value.sub_status) == answer

"""Partial updates and transactional batches through the SDK."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
)

from tests.local.cosmos.conftest import LocalCosmos

ITEM: dict[str, Any] = {"id": "a", "pk": "p", "n": 1, "text": "x", "list": [1, 2, 3], "nested": {"inner": {"n": 1.5}}}


@pytest.fixture
async def patched(container: ContainerProxy) -> ContainerProxy:
    """A container with one item to patch."""
    await container.create_item(ITEM)
    return container


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([{"op": "add", "path": "/new", "value": {"x": None}}], {"new": {"x": None}}),
        ([{"op": "add", "path": "/text", "value": "y"}], {"text": "y"}),
        ([{"op": "add", "path": "/list/1", "value": 9}], {"list": [1, 9, 2, 3]}),
        ([{"op": "add", "path": "/list/-", "value": 9}], {"list": [1, 2, 3, 9]}),
        ([{"op": "set", "path": "/list/1", "value": 9}], {"list": [1, 9, 3]}),
        ([{"op": "set", "path": "/nested/inner/m", "value": 9}], {"nested": {"inner": {"n": 1.5, "m": 9}}}),
        ([{"op": "replace", "path": "/nested/inner", "value": 9}], {"nested": {"inner": 9}}),
        ([{"op": "remove", "path": "/list/0"}], {"list": [2, 3]}),
        ([{"op": "incr", "path": "/n", "value": -3}], {"n": -2}),
        ([{"op": "incr", "path": "/fresh", "value": 2.5}], {"fresh": 2.5}),
        ([{"op": "move", "from": "/text", "path": "/nested/text"}], {"nested": {"inner": {"n": 1.5}, "text": "x"}}),
        ([{"op": "set", "path": "/t~1b", "value": 1}, {"op": "incr", "path": "/t~1b", "value": 1}], {"t/b": 2}),
    ],
)
async def test_operations(patched: ContainerProxy, operations: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    """Each operation changes what it names and nothing else."""
    expected = {**ITEM, **changed}
    if operations[0]["op"] == "move":
        del expected["text"]

    answer = await patched.patch_item("a", "p", operations)

    read = await patched.read_item("a", "p")
    assert answer == read
    assert {name: value for name, value in read.items() if not name.startswith("_")} == expected


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "path": "/missing", "value": 1}],
        [{"op": "remove", "path": "/missing"}],
        [{"op": "set", "path": "/missing/inner", "value": 1}],
        [{"op": "set", "path": "/list/7", "value": 1}],
        [{"op": "incr", "path": "/text", "value": 1}],
        [{"op": "set", "path": "/id", "value": "b"}],
        [{"op": "set", "path": "/pk", "value": "q"}],
        [{"op": "remove", "path": "/_etag"}],
        [{"op": "test", "path": "/n", "value": 1}],
        [{"op": "set", "path": "n", "value": 1}],
        [{"op": "incr", "path": "/n", "value": 1}] * 10,
    ],
)
async def test_patch_that_cannot_be_applied_changes_nothing(
    patched: ContainerProxy, operations: list[dict[str, Any]]
) -> None:
    """A patch with one operation that cannot be applied, or with more than ten, answers 400 and has no effect."""
    before = await patched.read_item("a", "p")
    with pytest.raises(CosmosHttpResponseError) as refused:
        await patched.patch_item("a", "p", [{"op": "set", "path": "/n", "value": 7}, *operations])

    after = await patched.read_item("a", "p")

    assert refused.value.status_code == 400
    assert before == after


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("from c where c.text = 'x'", True),
        ("FROM c WHERE c.n = 2", False),
        ("from c where c.missing != 'x'", False),
        ("from c where NOT IS_DEFINED(c.missing)", True),
    ],
)
async def test_filter_predicate(patched: ContainerProxy, condition: str, *, holds: bool) -> None:
    """A patch whose predicate is not true answers 412 and has no effect."""
    operations = [{"op": "set", "path": "/n", "value": 7}]
    if holds:
        await patched.patch_item("a", "p", operations, filter_predicate=condition)
    else:
        with pytest.raises(CosmosAccessConditionFailedError):
            await patched.patch_item("a", "p", operations, filter_predicate=condition)

    read = await patched.read_item("a", "p")

    assert read["n"] == (7 if holds else 1)


@pytest.mark.parametrize(("mixed_types", "status"), [("undefined", 412), ("unequal", 200)])
@pytest.mark.parametrize("batched", [False, True])
async def test_filter_predicate_by_either_source(
    cosmos: LocalCosmos, patched: ContainerProxy, mixed_types: str, status: int, *, batched: bool
) -> None:
    """A predicate is of the language of queries: what != makes of different types holds for it too."""
    operations = [{"op": "set", "path": "/n", "value": 7}]
    condition: dict[str, Any] = {"filter_predicate": "FROM c WHERE c.n != 'x'"}
    cosmos.post("settings", mixedTypes=mixed_types)
    try:
        if batched:
            await patched.execute_item_batch([("patch", ("a", operations), condition)], "p")
        else:
            await patched.patch_item("a", "p", operations, **condition)
        found: int | None = 200
    except (CosmosAccessConditionFailedError, CosmosBatchOperationError) as refused:
        found = refused.status_code
    finally:
        cosmos.post("settings", mixedTypes="undefined")

    assert found == status


async def test_patch_with_etag_changes_two_properties_or_none(patched: ContainerProxy) -> None:
    """A conditional patch of two properties takes effect once: the second attempt with the old ETag answers 412."""
    before = await patched.read_item("a", "p")
    operations: list[dict[str, Any]] = [
        {"op": "set", "path": "/n", "value": 7},
        {"op": "set", "path": "/text", "value": "y"},
    ]
    condition: dict[str, Any] = {"etag": before["_etag"], "match_condition": MatchConditions.IfNotModified}
    after = await patched.patch_item("a", "p", operations, **condition)

    with pytest.raises(CosmosAccessConditionFailedError):
        await patched.patch_item("a", "p", operations, **condition)

    assert [after["n"], after["text"]] == [7, "y"]


async def test_batch_does_all_kinds_of_operations(patched: ContainerProxy) -> None:
    """Create, read, upsert, replace, patch and delete take effect together, each with its own result."""
    before = await patched.read_item("a", "p")
    results = await patched.execute_item_batch(
        [
            ("create", ({"id": "b", "pk": "p"},)),
            ("read", ("b",)),
            ("upsert", ({"id": "c", "pk": "p"},)),
            ("replace", ("b", {"id": "b", "pk": "p", "n": 1})),
            ("patch", ("a", [{"op": "incr", "path": "/n", "value": 1}]), {"if_match_etag": before["_etag"]}),
            ("delete", ("c",)),
        ],
        "p",
    )

    left: list[Any] = [item async for item in patched.query_items("SELECT VALUE c.id FROM c", partition_key="p")]

    assert [one["statusCode"] for one in results] == [201, 200, 201, 200, 200, 204]
    assert results[4]["resourceBody"]["n"] == 2
    assert left == ["a", "b"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", ({"id": "a", "pk": "p"},)), 409),
        (("read", ("missing",)), 404),
        (("replace", ("a", {"id": "a", "pk": "p"}), {"if_match_etag": '"stale"'}), 412),
        (
            ("patch", ("a", [{"op": "set", "path": "/n", "value": 2}]), {"filter_predicate": "from c where c.n = 9"}),
            412,
        ),
        (("create", ({"id": "z", "pk": "other"},)), 400),
    ],
)
async def test_failing_operation_undoes_the_batch(patched: ContainerProxy, failing: Any, status: int) -> None:
    """If one operation fails, the others answer 424 and nothing has changed."""
    before = await patched.read_item("a", "p")
    with pytest.raises(CosmosBatchOperationError) as refused:
        await patched.execute_item_batch(
            [("delete", ("a",)), ("upsert", (ITEM,)), failing, ("create", ({"id": "y", "pk": "p"},))], "p"
        )

    after = await patched.read_item("a", "p")

    assert [one["statusCode"] for one in refused.value.operation_responses] == [424, 424, status, 424]
    assert refused.value.error_index == 2
    assert before == after


async def test_batch_of_more_than_a_hundred_operations_is_refused(container: ContainerProxy) -> None:
    """A batch over the service's limit answers 400 and does nothing."""
    operations = [("upsert", ({"id": f"i{index}", "pk": "p"},)) for index in range(101)]

    with pytest.raises(CosmosHttpResponseError) as refused:
        await container.execute_item_batch(operations, "p")

    assert refused.value.status_code == 400

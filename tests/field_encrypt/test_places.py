"""Where a field stands: every kind of partition key value and context has a text of its own."""

import math
from typing import Any

import pytest
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt.errors import InvalidPlaceError
from field_encrypt.places import FieldPlace, partition_components, partition_key_of

COMPONENTS = (
    st.text()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.sampled_from([None, NonePartitionKeyValue])
)
PARTITION_KEYS = COMPONENTS | st.lists(COMPONENTS, min_size=1, max_size=3)


def data_under(partition_key: Any) -> bytes:
    """Return what is authenticated in a place of this partition key value."""
    place = FieldPlace(container="notes", document_id="note-1", field_path="title", partition_key=partition_key)
    return place.additional_data("dek-1")


def as_cosmos_compares(value: Any) -> list[tuple[str, Any]]:
    """Return a partition key value as Cosmos DB tells it from another: by kind and value, all numbers being doubles."""
    values = value if isinstance(value, list) else [value]
    return [
        ("number", float(one))
        if isinstance(one, int | float) and not isinstance(one, bool)
        else (type(one).__name__, one)
        for one in values
    ]


@given(one=PARTITION_KEYS, other=PARTITION_KEYS)
def test_two_partition_keys_share_a_text_only_if_they_are_one_partition(one: Any, other: Any) -> None:
    """What Cosmos DB keeps apart is kept apart, whatever the JSON types and the number of levels."""
    assert (as_cosmos_compares(one) == as_cosmos_compares(other)) == (data_under(one) == data_under(other))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", b'["a"]'),
        (None, b"[null]"),
        (NullPartitionKeyValue, b"[null]"),
        (NonePartitionKeyValue, b"[{}]"),
        (["a", 1], b'["a",1]'),
        (("a", True), b'["a",true]'),
        (1.0, b"[1]"),
        (2**53 + 1, b"[9007199254740992]"),
    ],
)
def test_partition_key_is_written_as_its_components(value: Any, text: bytes) -> None:
    """Each kind has the text that the specification gives it."""
    whole = b'{"container":"notes","dekId":"dek-1","documentId":"note-1","fieldPath":"title","partitionKey":%b}'

    assert data_under(value) == whole % text


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, "\ud800", b"a", {}, [], [["a"]], [{}], object()])
def test_value_that_no_partition_key_can_have_is_refused(value: Any) -> None:
    """The error says which part is wrong."""
    with pytest.raises(InvalidPlaceError) as refused:
        partition_components(value)

    assert refused.value.part == "partition key"


@pytest.mark.parametrize("context", [{"a": math.nan}, {"a": b"x"}, {"\ud800": 1}, {1: "a"}, {"a": 2**53}])
def test_context_that_json_cannot_carry_is_refused(context: Any) -> None:
    """The error says which part is wrong, and never quotes the value."""
    place = FieldPlace(container="notes", document_id="note-1", field_path="title", context=context)

    with pytest.raises(InvalidPlaceError) as refused:
        place.additional_data("dek-1")

    assert refused.value.part == "context"
    assert "9007199254740992" not in str(refused.value)


@pytest.mark.parametrize(
    ("paths", "value"),
    [
        (["/workspaceId"], "w-1"),
        (["/owner/name"], "Dana"),
        (['/"a b"/c'], 5),
        (["/none"], None),
        (["/missing"], NonePartitionKeyValue),
        (["/workspaceId/missing"], NonePartitionKeyValue),
        (["/workspaceId", "/owner/name", "/missing"], ["w-1", "Dana", NonePartitionKeyValue]),
    ],
)
def test_partition_key_is_read_off_the_document(paths: list[str], value: Any) -> None:
    """The value stands where the container's paths say, and may be missing."""
    document = {"workspaceId": "w-1", "owner": {"name": "Dana"}, "a b": {"c": 5}, "none": None}

    assert partition_key_of(document, paths) == value


@pytest.mark.parametrize("path", ["workspaceId", "", "/", "/a//b", "/a/"])
def test_malformed_partition_key_path_is_refused(path: str) -> None:
    """A path is never guessed."""
    with pytest.raises(InvalidPlaceError):
        partition_key_of({"workspaceId": "w-1"}, [path])

"""Where an item lives: effective partition keys, by the SDK's own hash, and the ranges of the physical partitions."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from azure.cosmos.partition_key import PartitionKey

from local.cosmos.errors import bad_request

LOWEST = ""
HIGHEST = "FF"
# The hash of version 2 has 128 bits, of which the two highest are cleared (PartitionKey in the SDK).
_HASH_SPACE = 1 << 126
_HASH_DIGITS = 32


@dataclass(slots=True)
class Partition:
    """One physical partition: a range of effective partition keys, and the number of its newest commit."""

    number: int
    container: int
    id: str
    low: str
    high: str
    parents: tuple[str, ...]
    generation: int
    gone: bool
    lsn: int

    def holds(self, epk: str) -> bool:
        """Tell whether the effective partition key lies in this partition's range."""
        return self.low <= epk < self.high

    def overlaps(self, low: str, high: str) -> bool:
        """Tell whether the range shares keys with this partition's range."""
        return self.low < high and low < self.high


def boundaries(count: int) -> list[tuple[str, str]]:
    """Return ``count`` ranges of equal width that cover all effective partition keys."""
    inner = [_key(index * _HASH_SPACE // count) for index in range(1, count)]
    return list(zip([LOWEST, *inner], [*inner, HIGHEST], strict=True))


def middle(partition: Partition) -> str:
    """Return the effective partition key that halves the partition's range."""
    low = _number(partition.low, 0)
    high = _number(partition.high, _HASH_SPACE) if partition.high != HIGHEST else _HASH_SPACE
    return _key((low + high) // 2)


def _key(number: int) -> str:
    return f"{number:0{_HASH_DIGITS}X}"


def _number(key: str, empty: int) -> int:
    return int(key[:_HASH_DIGITS].ljust(_HASH_DIGITS, "0"), 16) if key else empty


def parse_definition(definition: Any) -> dict[str, Any]:
    """Check a container's partition key definition and return it complete.

    Raises:
        CosmosError: 400 naming the field and what it must be.
    """
    if not isinstance(definition, dict) or not definition.get("paths"):
        raise bad_request("partitionKey.paths: at least one path is needed")
    paths, kind, version = definition["paths"], definition.get("kind", "Hash"), definition.get("version", 1)
    if not all(isinstance(path, str) and path.startswith("/") for path in paths):
        raise bad_request("partitionKey.paths: each must be a string that starts with /")
    if (kind, len(paths)) != ("Hash", 1) and kind != "MultiHash":
        raise bad_request("partitionKey.kind: Hash with one path or MultiHash is needed")
    if version != 2:  # noqa: PLR2004 - the version of the hash, not a quantity
        raise bad_request("partitionKey.version: only 2 is supported by the local Cosmos DB")
    return {"paths": paths, "kind": kind, "version": version}


def key_of_header(definition: dict[str, Any], header: str | None) -> str:
    """Return the effective partition key for the header x-ms-documentdb-partitionkey.

    Raises:
        CosmosError: 400 if the header is missing, malformed or not a complete key.
    """
    if header is None:
        raise bad_request("PartitionKey value must be supplied for this operation.")
    return _key_of(definition["kind"], len(definition["paths"]), header)


@lru_cache(maxsize=50_000)
def _key_of(kind: str, components: int, header: str) -> str:
    try:
        values = json.loads(header)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, list) or len(values) != components:
        raise bad_request(f"Partition key {header} is invalid: an array of {components} components is needed")
    if not all(value is None or value == {} or isinstance(value, str | int | float | bool) for value in values):
        raise bad_request(
            f"Partition key {header} is invalid: a component must be a string, a number, true, false or null"
        )
    return str(PartitionKey._get_hashed_partition_key_string(values, kind, 2))  # noqa: SLF001 - routing must agree with the SDK's


def key_of_item(definition: dict[str, Any], item: dict[str, Any]) -> str:
    """Return the effective partition key that the item's own properties give."""
    # The SDK writes an absent component of a hierarchical key as null, and an absent simple key as {}.
    absent: Any = {} if definition["kind"] == "Hash" else None
    values = [_component(item, path, absent) for path in definition["paths"]]
    return _key_of(definition["kind"], len(values), json.dumps(values))


def _component(item: dict[str, Any], path: str, absent: Any) -> Any:
    value: Any = item
    for name in path.strip("/").split("/"):
        name = name.strip('"')  # noqa: PLW2901 - a path may quote its names
        if not isinstance(value, dict) or name not in value:
            return absent
        value = value[name]
    return absent if isinstance(value, dict | list) else value

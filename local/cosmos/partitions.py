"""Where an item lives: effective partition keys, by the SDK's own hash, and the ranges of the physical partitions."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from azure.cosmos._base import ParsePaths
from azure.cosmos.partition_key import PartitionKey, _to_hex_encoded_binary_string_v1

from local.cosmos.errors import CosmosError, bad_request

LOWEST = ""
HIGHEST = "FF"
# The hash of version 2 has 128 bits, of which the two highest are cleared (PartitionKey in the SDK).
_HASH_SPACE = 1 << 126
_HASH_DIGITS = 32
# The hash of version 1 has 32 bits and is written as a number, so that keys begin with its code, 05.
_FIRST_HASH_SPACE = 1 << 32
_MAX_PATHS = 3
# concepts-limits. Of a text, version 1 looks at the first 100 characters only: what is alike in them is one key.
_MAX_KEY_BYTES = 2048
_MISMATCH = 1001  # azure.cosmos SubStatusCodes.PARTITION_KEY_MISMATCH
_VERSIONS = {"Hash": (1, 2), "MultiHash": (2,)}
_UNDEFINED: dict[str, Any] = {}  # a component that the item lacks, as headers write it


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


def boundaries(count: int, version: int = 2) -> list[tuple[str, str]]:
    """Return ``count`` ranges of equal width that cover all effective partition keys."""
    if version == 1:
        hashes = [float(index * _FIRST_HASH_SPACE // count) for index in range(1, count)]
        inner = [str(_to_hex_encoded_binary_string_v1([one])).upper() for one in hashes]
    else:
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
    for path in paths:
        path_steps(path)
    if len(paths) > (1 if kind == "Hash" else _MAX_PATHS):
        raise bad_request(f"partitionKey.paths: Too many partition key paths for {kind}: {len(paths)}")
    if kind not in ("Hash", "MultiHash"):
        raise bad_request("partitionKey.kind: Hash with one path or MultiHash is needed")
    if version not in _VERSIONS[kind]:
        raise bad_request(f"partitionKey.version: one of {_VERSIONS[kind]} is needed for {kind}")
    return {"paths": paths, "kind": kind, "version": version}


@lru_cache(maxsize=1000)
def path_steps(path: str) -> tuple[str, ...]:
    """Return the property names of a path, which may quote them; raises CosmosError (400) for an unfinished quote."""
    try:
        steps = tuple(ParsePaths([path]))
    except ValueError as error:
        raise bad_request(f"{path}: this is no path: {error}") from error
    if not steps:
        raise bad_request(f"{path}: a path names a property")
    return steps


def key_of_header(definition: dict[str, Any], header: str | None) -> str:
    """Return the effective partition key for the header x-ms-documentdb-partitionkey.

    Raises:
        CosmosError: 400 if the header is missing, malformed or not a complete key.
    """
    if header is None:
        raise bad_request("PartitionKey value must be supplied for this operation.")
    return _key_of(definition["kind"], definition["version"], len(definition["paths"]), header)


@lru_cache(maxsize=50_000)
def _key_of(kind: str, version: int, components: int, header: str) -> str:
    try:
        values = json.loads(header)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, list):
        raise bad_request(f"Partition key {header} is invalid: an array is needed")
    if len(values) != components:
        raise key_mismatch()
    if not all(value is None or value == _UNDEFINED or isinstance(value, str | int | float | bool) for value in values):
        raise bad_request(
            f"Partition key {header} is invalid: a component must be a string, a number, true, false or null"
        )
    if sum(len(value.encode()) for value in values if isinstance(value, str)) > _MAX_KEY_BYTES:
        raise bad_request(f"The partition key is too large: at most {_MAX_KEY_BYTES} bytes are allowed")
    # Ranges come in upper case, in which the SDK writes the hash of version 2 only.
    return str(PartitionKey._get_hashed_partition_key_string(values, kind, version)).upper()  # noqa: SLF001 - routing must agree with the SDK's


def key_mismatch() -> CosmosError:
    """Return the error for a partition key that is not the item's, or not a whole one."""
    return bad_request(
        "Partition key provided either doesn't correspond to definition in the collection or doesn't match partition"
        " key field values specified in the document.",
        substatus=_MISMATCH,
    )


def key_of_item(definition: dict[str, Any], item: dict[str, Any]) -> str:
    """Return the effective partition key that the item's own properties give.

    A component that the item lacks is undefined, not null. The SDK writes it into the header of a hierarchical key as
    null, so the service refuses to create such an item unless the caller names its key.
    """
    values = [_component(item, path) for path in definition["paths"]]
    return _key_of(definition["kind"], definition["version"], len(values), json.dumps(values))


def _component(item: dict[str, Any], path: str) -> Any:
    value: Any = item
    for name in path_steps(path):
        if not isinstance(value, dict) or name not in value:
            return _UNDEFINED
        value = value[name]
    return _UNDEFINED if isinstance(value, dict | list) else value

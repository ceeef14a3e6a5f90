"""Partial updates: add, set, replace, remove, incr, move, after the service's rules."""

import json
from collections.abc import Callable
from typing import Any

from local.cosmos.errors import bad_request, precondition_failed
from local.cosmos.sql.evaluate import Terms, compile_expression
from local.cosmos.sql.parser import parse_condition
from local.cosmos.sql.values import MixedTypes, number
from local.cosmos.store import Row

MAX_OPERATIONS = 10
_SYSTEM_PATHS = ("/id", "/_rid", "/_self", "/_etag", "/_ts", "/_attachments", "/_lsn")


def apply_patch(row: Row, patch: Any, partition_key: dict[str, Any], mixed_types: MixedTypes) -> dict[str, Any]:
    """Return the item with the patch applied; its condition is of the query language.

    Raises:
        CosmosError: 412 if the patch's condition does not hold; 400 naming the operation that cannot be applied.
    """
    if not isinstance(patch, dict) or not isinstance(patch.get("operations"), list) or not patch["operations"]:
        raise bad_request("operations: a patch needs at least one operation")
    operations = patch["operations"]
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(f"operations: at most {MAX_OPERATIONS} are allowed in one patch, not {len(operations)}")
    if "condition" in patch and not _holds(patch["condition"], row, mixed_types):
        raise precondition_failed()
    item = row.item()
    for position, operation in enumerate(operations):
        _apply(item, operation, partition_key["paths"], f"operations[{position}]")
    return item


def _holds(condition: Any, row: Row, mixed_types: MixedTypes) -> bool:
    if not isinstance(condition, str):
        raise bad_request("condition: a filter predicate such as 'from c where ...' is needed")
    holds = compile_expression(parse_condition(condition), Terms(mixed_types=mixed_types))
    return holds(json.loads(row.body)) is True


def _apply(item: dict[str, Any], operation: Any, key_paths: list[str], where: str) -> None:
    if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
        raise bad_request(f"{where}.op: one of {', '.join(_OPERATIONS)} is needed")
    paths = [operation.get("path"), *([operation.get("from")] if operation["op"] == "move" else [])]
    for path in paths:
        if not isinstance(path, str) or not path.startswith("/") or path == "/":
            raise bad_request(f"{where}.path: a path that starts with / is needed")
        if any(path == key or path.startswith(f"{key}/") for key in (*_SYSTEM_PATHS, *key_paths)):
            raise bad_request(f"{where}.path: {path} cannot be changed by a patch")
    if operation["op"] in ("add", "set", "replace", "incr") and "value" not in operation:
        raise bad_request(f"{where}.value: a value is needed")
    _OPERATIONS[operation["op"]](item, operation, where)


def _parent(item: dict[str, Any], path: str, where: str) -> tuple[dict[str, Any] | list[Any], str]:
    """Return the object or array that holds the last step of the path, which must exist, and that step."""
    *steps, last = (step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    target: Any = item
    for step in steps:
        if isinstance(target, dict) and step in target:
            target = target[step]
        elif isinstance(target, list) and step.isdigit() and int(step) < len(target):
            target = target[int(step)]
        else:
            raise bad_request(f"{where}.path: {path} has no parent in the item")
    if not isinstance(target, dict | list):
        raise bad_request(f"{where}.path: the parent of {path} is neither an object nor an array")
    return target, last


def _index(target: list[Any], step: str, path: str, where: str, *, end: int) -> int:
    if not step.isdigit() or int(step) >= end:
        raise bad_request(f"{where}.path: {path} is outside of its array of {len(target)}")
    return int(step)


def _add(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    target, step = _parent(item, operation["path"], where)
    if isinstance(target, dict):
        target[step] = operation["value"]
    elif step == "-":
        target.append(operation["value"])
    else:
        target.insert(_index(target, step, operation["path"], where, end=len(target) + 1), operation["value"])


def _set(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    target, step = _parent(item, operation["path"], where)
    if isinstance(target, dict):
        target[step] = operation["value"]
    elif step == "-" or (step.isdigit() and int(step) == len(target)):
        target.append(operation["value"])
    else:
        target[_index(target, step, operation["path"], where, end=len(target))] = operation["value"]


def _existing(item: dict[str, Any], path: str, where: str) -> tuple[dict[str, Any] | list[Any], str | int]:
    target, step = _parent(item, path, where)
    if isinstance(target, list):
        return target, _index(target, step, path, where, end=len(target))
    if step not in target:
        raise bad_request(f"{where}.path: {path} does not exist in the item")
    return target, step


def _replace(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    target, step = _existing(item, operation["path"], where)
    target[step] = operation["value"]  # type: ignore[index]  # _existing pairs an object with a name, an array with an index


def _remove(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    target, step = _existing(item, operation["path"], where)
    del target[step]  # type: ignore[arg-type]  # _existing pairs an object with a name, an array with an index


def _increment(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    target, step = _parent(item, operation["path"], where)
    if not _is_number(operation["value"]):
        raise bad_request(f"{where}.value: a number is needed")
    if isinstance(target, dict) and step not in target:
        target[step] = operation["value"]
        return
    holder, place = _existing(item, operation["path"], where)
    current = holder[place]  # type: ignore[index]  # _existing pairs an object with a name, an array with an index
    if not _is_number(current):
        raise bad_request(f"{where}.path: {operation['path']} is not a number")
    holder[place] = number(current + operation["value"])  # type: ignore[index]  # see above


def _move(item: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    if operation["path"].startswith(f"{operation['from']}/"):
        raise bad_request(f"{where}.path: a value cannot be moved into itself")
    source, step = _existing(item, operation["from"], where)
    value = source[step]  # type: ignore[index]  # _existing pairs an object with a name, an array with an index
    _remove(item, {"path": operation["from"]}, where)
    _add(item, {"path": operation["path"], "value": value}, where)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_OPERATIONS: dict[str, Callable[[dict[str, Any], dict[str, Any], str], None]] = {
    "add": _add,
    "set": _set,
    "replace": _replace,
    "remove": _remove,
    "incr": _increment,
    "move": _move,
}

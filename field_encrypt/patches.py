"""Operations of patches and batches: which set an encrypted field, or would leave one broken or in plaintext."""

from collections.abc import Mapping, Sequence

from field_encrypt import paths
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError
from field_encrypt.field_policy import FieldPolicy

_SETTING = ("add", "set", "replace")
_SHIFTING = ("add", "remove", "move")  # elements of a list, from the one that is named
# The operations of a batch: how many arguments each has, and what the last one is.
_BATCH: Mapping[str, tuple[int, type | tuple[type, ...]]] = {
    "create": (1, Mapping),
    "upsert": (1, Mapping),
    "replace": (2, Mapping),
    "patch": (2, (list, tuple)),
    "read": (1, str),
    "delete": (1, str),
}

Operation = Mapping[str, object]
BatchOperation = tuple[str, tuple[object, ...]] | tuple[str, tuple[object, ...], Mapping[str, object]]


def batch_parts(operation: Sequence[object]) -> tuple[str, tuple[object, ...], *tuple[object, ...]]:
    """Return an operation of a batch, its kind in lower case: the SDK takes any, and what is not known is not sent.

    Raises:
        InvalidSettingError: it is none of the SDK's.
    """
    kind, arguments, *options = operation if len(operation) > 1 else ("", ())
    count, last = _BATCH.get(str(kind).lower(), (0, ()))
    given = tuple(arguments) if isinstance(arguments, list | tuple) else ()
    if given and len(given) == count and isinstance(given[-1], last):
        return (str(kind).lower(), given, *options)
    expected = '("create", (body,)), ("patch", (id, operations)) or another of the SDK, then its options'
    raise InvalidSettingError("batch_operations", expected)


def encrypted_paths(operations: Sequence[Mapping[str, object]], policy: FieldPolicy) -> dict[int, str]:
    """Return the field paths that operations set as a whole, by the operations' positions.

    Raises:
        InvalidFieldPathError: an operation reaches into or around an encrypted field, moves or removes one.
    """
    found: dict[int, str] = {}
    for position, operation in enumerate(operations):
        for name in ("path", "from"):
            path = str(operation.get(name, "")).removeprefix("/")
            touched = [pattern for pattern in policy.patterns if path and _touch(path, pattern)]
            if not touched:
                continue
            kind = operation.get("op")
            if kind == "remove" and path in policy.optional:
                continue
            if kind not in _SETTING or path not in policy.patterns:
                expected = f"add, set or replace of a whole encrypted field, not {kind} of a part, a parent or a list"
                raise InvalidFieldPathError(path, expected)
            if "value" not in operation:
                raise InvalidFieldPathError(path, f"a value in the operation {kind}")
            found[position] = path
    return found


def may_shift(operations: Sequence[Mapping[str, object]], policy: FieldPolicy) -> bool:
    """Tell whether operations may move an element of a list in which a field is encrypted, by its index."""
    indexed = any(segment.isdecimal() for pattern in policy.patterns for segment in pattern.split("/"))
    return indexed and any(operation.get("op") in _SHIFTING for operation in operations)


def require_no_shift(
    operations: Sequence[Mapping[str, object]], policy: FieldPolicy, stored: Mapping[str, object]
) -> None:
    """Check that each field stays in the element that it is bound to.

    Raises:
        InvalidFieldPathError: an operation inserts or removes an element at or before such a field's.
    """
    for operation in operations:
        names = ("path", "from") if operation.get("op") in _SHIFTING else ()
        for path in [str(operation.get(name, "")).removeprefix("/") for name in names]:
            parent, _, last = path.rpartition("/")
            values = [paths.get(stored, found) for found in paths.present(stored, [parent])]
            for length in [len(value) for value in values if isinstance(value, list)]:
                index = int(last) if last.isdecimal() else length
                if any(index <= at for at in _indices(parent, policy)):
                    raise InvalidFieldPathError(path, f"an element behind those of encrypted fields, not {index}")


def _indices(parent: str, policy: FieldPolicy) -> list[int]:
    """Return the indices in a list by which the policy names fields in its elements."""
    depth = parent.count("/") + 1
    split = [pattern.split("/") for pattern in policy.patterns if _touch(parent, pattern)]
    return [int(segments[depth]) for segments in split if len(segments) > depth and segments[depth].isdecimal()]


def _touch(path: str, pattern: str) -> bool:
    """Tell whether one lies within the other; ``*`` stands for every element, as any index does for its own."""
    pairs = zip(path.split("/"), pattern.split("/"), strict=False)
    return all(one == other or (other == "*" and (one.isdecimal() or one == "-")) for one, other in pairs)

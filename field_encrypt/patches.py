"""Operations of patches and batches: which set an encrypted field, or would leave one broken or in plaintext."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from field_encrypt import paths
from field_encrypt.documents import Item
from field_encrypt.encoding import exact
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError, InvalidValueError
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

_OPERATION = 'objects of texts, as {"op": "set", "path": "/title", "value": "t"}, none of the whole document'

Operation = Mapping[str, object]
BatchOperation = tuple[str, tuple[object, ...]] | tuple[str, tuple[object, ...], Mapping[str, object]]


def batch_parts(operation: Sequence[object]) -> tuple[str, tuple[object, ...], *tuple[object, ...]]:
    """Return an operation of a batch, its kind in lower case: the SDK takes any, and what is not known is not sent.

    Raises:
        InvalidSettingError: it is none of the SDK's.
    """
    kind, arguments, *options = operation if len(operation) > 1 else ("", ())
    kind = exact(kind).lower() if isinstance(kind, str) else ""
    count, last = _BATCH.get(kind, (0, ()))
    given = tuple(arguments) if isinstance(arguments, list | tuple) else ()
    if given and len(given) == count and isinstance(given[-1], last):
        return (kind, given, *options)
    expected = '("create", (body,)), ("patch", (id, operations)) or another of the SDK, then its options'
    raise InvalidSettingError("batch_operations", expected)


def checked(operations: Iterable[object], snapshot: Callable[[object], Item]) -> list[Item]:
    """Return the operations of a patch as JSON has them, for good.

    Raises:
        InvalidSettingError: one is no object, or what it does or where is no text.
    """
    taken = []
    for operation in operations:
        try:
            taken.append(snapshot(operation))
        except InvalidValueError:
            raise InvalidSettingError("patch_operations", _OPERATION) from None
        for name in ("op", "path", "from"):
            text = taken[-1].get(name, "/")
            if not isinstance(text, str) or (name != "op" and text == "") or (name == "path" and text == "/"):
                raise InvalidSettingError("patch_operations", _OPERATION)
    return taken


def encrypted_paths(operations: Sequence[Mapping[str, object]], policy: FieldPolicy) -> dict[int, str]:
    """Return the field paths that operations set as a whole, by the operations' positions.

    Raises:
        InvalidFieldPathError: an operation reaches into or around an encrypted field, moves or removes one.
    """
    found: dict[int, str] = {}
    for position, operation in enumerate(operations):
        for name in ("path", "from"):
            path = _path(operation, name)
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
    return indexed and any(_kind(operation) in _SHIFTING for operation in operations)


def require_no_shift(
    operations: Sequence[Mapping[str, object]], policy: FieldPolicy, stored: Mapping[str, object]
) -> None:
    """Check that each field stays in the element that it is bound to.

    Raises:
        InvalidFieldPathError: an operation inserts or removes an element at or before such a field's.
    """
    for operation in operations:
        names = ("path", "from") if _kind(operation) in _SHIFTING else ()
        for path in [_path(operation, name) for name in names]:
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
    names = [name for name in paths.segments_of(path) if name]  # of "//title" too, whatever the database takes it for
    pairs = zip(names, paths.segments_of(pattern), strict=False)
    return all(one == other or _is_same_element(one, other) for one, other in pairs)


def _kind(operation: Mapping[str, object]) -> str:
    return str(operation.get("op")).lower()  # whatever case the database takes


def _is_same_element(one: str, other: str) -> bool:
    if other == paths.EVERY_ELEMENT:
        return one.isdecimal() or one == "-"
    return one.isdecimal() and other.isdecimal() and int(one) == int(other)


def _path(operation: Mapping[str, object], name: str) -> str:
    return str(operation.get(name, "")).removeprefix("/")

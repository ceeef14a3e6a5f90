"""Which operations of a patch set an encrypted field, and which would leave one broken or in plaintext."""

from collections.abc import Mapping, Sequence

from field_encrypt.errors import InvalidFieldPathError
from field_encrypt.field_policy import FieldPolicy

_SETTING = ("add", "set", "replace")


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


def _touch(path: str, pattern: str) -> bool:
    """Tell whether one lies within the other; ``*`` stands for every element, as any index does for its own."""
    pairs = zip(path.split("/"), pattern.split("/"), strict=False)
    return all(one == other or (other == "*" and (one.isdecimal() or one == "-")) for one, other in pairs)

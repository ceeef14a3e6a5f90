"""Values of the query language: JSON plus undefined, how they compare and how they sort.

The rules are those of Microsoft's page on equality and comparison operators: a comparison across types, or of
undefined with anything, is undefined; so is an order comparison, ``!=`` included, between two arrays or two objects.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, override


class Undefined:
    """The value of a property that an item does not have."""

    @override
    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()


class Kind(IntEnum):
    """JSON types in the order in which ORDER BY sorts them."""

    UNDEFINED = 0
    NULL = 1
    BOOLEAN = 2
    NUMBER = 3
    STRING = 4
    ARRAY = 5
    OBJECT = 6


_KINDS: dict[type, Kind] = {
    Undefined: Kind.UNDEFINED,
    type(None): Kind.NULL,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    list: Kind.ARRAY,
    dict: Kind.OBJECT,
}


def kind_of(value: Any) -> Kind:
    """Return the JSON type of a value."""
    return _KINDS[type(value)]


def compare(left: Any, right: Any, holds: Callable[[Any, Any], bool], *, equality: bool) -> bool | Undefined:
    """Compare two values, giving undefined where the language does."""
    kind = kind_of(left)
    if kind == Kind.UNDEFINED or kind != kind_of(right):
        return UNDEFINED
    if equality:
        return holds(canonical(left), canonical(right))
    if kind >= Kind.ARRAY:
        return UNDEFINED
    if kind == Kind.NULL:
        return holds(0, 0)
    return holds(left, right)


def canonical(value: Any) -> Any:
    """Return a hashable form in which two values are equal exactly if the language says so (true is not 1)."""
    if isinstance(value, list):
        return (Kind.ARRAY, tuple(canonical(item) for item in value))
    if isinstance(value, dict):
        return (Kind.OBJECT, frozenset((name, canonical(item)) for name, item in value.items()))
    return (kind_of(value), value)


def sort_key(value: Any) -> tuple[int, Any]:
    """Return the key by which ORDER BY sorts a value that is undefined, null, boolean, number or string."""
    kind = kind_of(value)
    return (kind, value if kind in (Kind.BOOLEAN, Kind.NUMBER, Kind.STRING) else 0)

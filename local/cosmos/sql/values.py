"""Values of the query language: JSON plus undefined, how they compare and how they sort.

A comparison of undefined with anything is undefined; so is an order comparison across types, or between two arrays or
two objects. Microsoft's sources differ in ``=`` and ``!=`` of two values of different types, see :data:`MixedTypes`.
"""

import math
import operator
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, Literal, override

from local.cosmos.errors import bad_request

# What = and != are of two defined values whose types differ. By the documentation (page on equality and comparison
# operators) ``undefined``, and != of two arrays or objects as well; by the engine in the tests of
# Azure/azure-cosmos-dotnet-v3 (Query/OfflineEngine) the values are ``unequal``, and != always negates =.
MixedTypes = Literal["undefined", "unequal"]

# Beyond, a number is written with an exponent, as floats are.
_WRITTEN_WHOLE = 2**63


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


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

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


def number(value: float | str) -> int | float:
    """Return a number, or the JSON text of one, as the service keeps it: in 64 bits, without a fraction if it is whole.

    Raises:
        CosmosError: 400 if no 64-bit float is so large.
    """
    held = float(value)
    if not math.isfinite(held):
        raise bad_request(f"The number {value} is beyond what a 64-bit float holds")
    return int(held) if held.is_integer() and abs(held) < _WRITTEN_WHOLE else held


def compare(left: Any, right: Any, text: str, mixed: MixedTypes) -> bool | Undefined:
    """Compare two values by the operator ``text``, giving undefined where the language does."""
    holds = OPERATORS[text]
    kinds = {kind_of(left), kind_of(right)}
    if Kind.UNDEFINED in kinds:
        return UNDEFINED
    if text == "=" or (text == "!=" and mixed == "unequal"):
        return UNDEFINED if len(kinds) > 1 and mixed == "undefined" else holds(canonical(left), canonical(right))
    if len(kinds) > 1 or max(kinds) >= Kind.ARRAY:
        return UNDEFINED
    if Kind.NULL in kinds:
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

"""The syntax tree of a query."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, undefined included."""

    value: Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named parameter such as ``@version``."""

    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A property of the item, or the item itself if there are no steps."""

    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """All operands, by three-valued logic. A flat tuple: the SDK sends chains of a thousand."""

    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any operand, by three-valued logic."""

    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a boolean; undefined of anything else."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a built-in function."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Count:
    """``COUNT(argument)``: how many items the argument is defined for."""

    argument: "Expression"


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """An array constructor; undefined elements are left out."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """An object constructor; undefined properties are left out."""

    properties: tuple[tuple[str, "Expression"], ...]


Expression = Literal | Parameter | Path | Comparison | And | Or | Not | Call | Count | ArrayOf | ObjectOf


@dataclass(frozen=True, slots=True)
class Selected:
    """One entry of a SELECT list: its expression, its name in the result, its text as written."""

    expression: Expression
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class OrderBy:
    """ORDER BY one property."""

    path: Path
    text: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Join:
    """``JOIN alias IN path``: each element of a list, and nothing where there is no list."""

    alias: str
    path: Path


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query. ``selected`` is None for ``SELECT *``; with ``value`` it has exactly one entry.

    Where it has joins, every path begins with the alias that it goes out from.

    The texts are parts of the query as written, for the rewritten query of its plan.
    """

    alias: str
    selected: tuple[Selected, ...] | None
    select_text: str
    value: bool
    distinct: bool
    top: Expression | None
    where: Expression | None
    where_text: str
    from_text: str
    joins: tuple[Join, ...]
    order_by: OrderBy | None
    offset: Expression | None
    limit: Expression | None

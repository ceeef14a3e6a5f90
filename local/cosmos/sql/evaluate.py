"""Turns expressions into functions of an item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.sql.functions import FUNCTIONS
from local.cosmos.sql.syntax import (
    And,
    ArrayOf,
    Call,
    Comparison,
    Count,
    Expression,
    Literal,
    Not,
    ObjectOf,
    Or,
    Parameter,
    Path,
)
from local.cosmos.sql.values import OPERATORS, UNDEFINED, MixedTypes, Undefined, compare

Evaluate = Callable[[Any], Any]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What an expression is evaluated by, besides the item.

    ``parameters`` are the query's, by name, ``@`` included; ``counts`` the results of its COUNTs, by their text, once
    they are known.
    """

    parameters: Parameters = field(default_factory=dict)
    mixed_types: MixedTypes = "undefined"
    counts: Mapping[str, int] | None = None


def compile_expression(expression: Expression, terms: Terms) -> Evaluate:
    """Return the function that evaluates the expression on an item.

    Raises:
        CosmosError: 400 for an unknown parameter, or a COUNT where none may stand.
    """
    match expression:
        case Literal() | Parameter() | Count():
            return _constant(_known(expression, terms))
        case Path(steps):
            return _path(steps)
        case ObjectOf(properties):
            return _object([(name, compile_expression(item, terms)) for name, item in properties])
        case _:
            operands = [compile_expression(part, terms) for part in parts(expression)]
            return _combined(expression, operands, terms.mixed_types)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is made of."""
    match expression:
        case ArrayOf(inner) | Call(_, inner) | And(inner) | Or(inner):
            return inner
        case ObjectOf(properties):
            return tuple(part for _, part in properties)
        case Comparison(_, left, right):
            return (left, right)
        case Not(operand):
            return (operand,)
    return ()


def _known(expression: Literal | Parameter | Count, terms: Terms) -> Any:
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Parameter):
        if expression.name not in terms.parameters:
            raise bad_request(f"The parameter {expression.name} has no value")
        return terms.parameters[expression.name]
    if terms.counts is None:
        raise bad_request("COUNT may only stand in SELECT")
    return terms.counts[repr(expression)]


def _combined(expression: Expression, operands: list[Evaluate], mixed_types: MixedTypes) -> Evaluate:
    match expression:
        case Not():
            return _negation(operands[0])
        case Call(name, _):
            return _call(FUNCTIONS[name].apply, operands)
        case Comparison(text, _, _):
            return _comparison(operands[0], operands[1], text, mixed_types)
        case And() | Or():
            return _logic(operands, deciding=isinstance(expression, Or))
        case _:
            return _array(operands)


def _constant(value: Any) -> Evaluate:
    return lambda _item: value


def _path(steps: tuple[str | int, ...]) -> Evaluate:
    def evaluate(item: Any) -> Any:
        value = item
        for step in steps:
            if isinstance(step, str):
                if not isinstance(value, dict) or step not in value:
                    return UNDEFINED
            elif not isinstance(value, list) or step >= len(value):
                return UNDEFINED
            value = value[step]
        return value

    return evaluate


def _logic(operands: list[Evaluate], *, deciding: bool) -> Evaluate:
    """AND and OR; ``deciding`` settles the result whatever the other operands are, undefined included."""

    def evaluate(item: Any) -> Any:
        result: bool | Undefined = not deciding
        for operand in operands:
            value = operand(item)
            if value is deciding:
                return deciding
            if not isinstance(value, bool):
                result = UNDEFINED
        return result

    return evaluate


def _comparison(left: Evaluate, right: Evaluate, text: str, mixed_types: MixedTypes) -> Evaluate:
    holds = OPERATORS[text]

    def evaluate(item: Any) -> Any:
        first, second = left(item), right(item)
        if isinstance(first, str) and isinstance(second, str):
            return holds(first, second)
        return compare(first, second, text, mixed_types)

    return evaluate


def _negation(operand: Evaluate) -> Evaluate:
    def evaluate(item: Any) -> Any:
        value = operand(item)
        return (not value) if isinstance(value, bool) else UNDEFINED

    return evaluate


def _array(items: list[Evaluate]) -> Evaluate:
    return lambda item: [value for value in (part(item) for part in items) if not isinstance(value, Undefined)]


def _object(properties: list[tuple[str, Evaluate]]) -> Evaluate:
    def evaluate(item: Any) -> Any:
        values = ((name, part(item)) for name, part in properties)
        return {name: value for name, value in values if not isinstance(value, Undefined)}

    return evaluate


def _call(apply: Callable[..., Any], arguments: list[Evaluate]) -> Evaluate:
    return lambda item: apply(*(argument(item) for argument in arguments))

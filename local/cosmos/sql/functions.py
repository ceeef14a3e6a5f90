"""The built-in functions that are served, with undefined handled as Microsoft's reference says for each."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from local.cosmos.sql.values import UNDEFINED, Kind, Undefined, canonical, kind_of


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the numbers of arguments that it takes."""

    apply: Callable[..., Any]
    arities: Collection[int] = (1,)


def _is(*kinds: Kind) -> Function:
    return Function(lambda value: kind_of(value) in kinds)


def _on_strings(holds: Callable[[str, str], bool]) -> Function:
    def apply(text: Any, part: Any, ignore_case: Any = False) -> bool | Undefined:  # noqa: FBT002 - the language's own signature
        if not isinstance(text, str) or not isinstance(part, str) or not isinstance(ignore_case, bool):
            return UNDEFINED
        return holds(_upper(text), _upper(part)) if ignore_case else holds(text, part)

    return Function(apply, (2, 3))


def _upper(text: str) -> str:
    """Return the text in capitals, each character by itself: ``ß`` stays, and none beyond ASCII becomes one within."""
    return text.upper() if text.isascii() else "".join(map(_capital, text))


def _capital(character: str) -> str:
    capital = character.upper()
    return capital if len(capital) == 1 and capital.isascii() == character.isascii() else character


def _array_contains(array: Any, value: Any) -> bool | Undefined:
    if not isinstance(array, list) or isinstance(value, Undefined):
        return UNDEFINED
    return canonical(value) in {canonical(item) for item in array}


FUNCTIONS: dict[str, Function] = {
    "IS_DEFINED": Function(lambda value: not isinstance(value, Undefined)),
    "IS_NULL": _is(Kind.NULL),
    "IS_BOOL": _is(Kind.BOOLEAN),
    "IS_NUMBER": _is(Kind.NUMBER),
    "IS_STRING": _is(Kind.STRING),
    "IS_ARRAY": _is(Kind.ARRAY),
    "IS_OBJECT": _is(Kind.OBJECT),
    "IS_PRIMITIVE": _is(Kind.NULL, Kind.BOOLEAN, Kind.NUMBER, Kind.STRING),
    "STARTSWITH": _on_strings(str.startswith),
    "ENDSWITH": _on_strings(str.endswith),
    "CONTAINS": _on_strings(lambda text, part: part in text),
    "STRINGEQUALS": _on_strings(lambda text, other: text == other),
    "ARRAY_CONTAINS": Function(_array_contains, (2,)),
}

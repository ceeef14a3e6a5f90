"""The language's three-valued logic, after Microsoft's tables for comparison and logical operators."""

import itertools
import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cosmos.errors import CosmosError
from local.cosmos.sql.evaluate import Terms, compile_expression
from local.cosmos.sql.expressions import MAX_NESTING
from local.cosmos.sql.parser import parse_condition
from local.cosmos.sql.values import UNDEFINED, MixedTypes, canonical, number

ITEM = {"t": True, "f": False, "n": None, "one": 1, "text": "v", "list": [1, "a", None], "object": {"a": 1}}


def evaluated(condition: str, item: Any = ITEM, mixed_types: MixedTypes = "undefined") -> Any:
    """Return what the condition is on the item."""
    return compile_expression(parse_condition(f"FROM c WHERE {condition}"), Terms(mixed_types=mixed_types))(item)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("c.text = 'v'", True),
        ("c.text != 'v'", False),
        ("c.text != 'w'", True),
        ("c.x = 'v'", UNDEFINED),
        ("c.x != 'v'", UNDEFINED),
        ("NOT (c.x = 'v')", UNDEFINED),
        ("NOT (c.x != 'v')", UNDEFINED),
        ("c.n != 'v'", UNDEFINED),
        ("c.n = null", True),
        ("c.n != null", False),
        ("c.one = '1'", UNDEFINED),
        ("c.one = true", UNDEFINED),
        ("c.one = 1.0", True),
        ("c.one < 2", True),
        ("c.text >= 'u'", True),
        ("c.t > c.f", True),
        ("c.list = [1, 'a', null]", True),
        ("c.list != [1]", UNDEFINED),
        ("c.object = {'a': 1}", True),
        ("c.object < {'a': 2}", UNDEFINED),
        ("c.x = undefined", UNDEFINED),
        ("c.x IN ('v')", UNDEFINED),
        ("c.text IN ('w', 'v')", True),
        ("c.text NOT IN ('w')", True),
        ("c.x NOT IN ('w')", UNDEFINED),
        ("IS_DEFINED(c.x)", False),
        ("NOT IS_DEFINED(c.x)", True),
        ("IS_DEFINED(c.n)", True),
        ("IS_DEFINED(c.object.a)", True),
        ("IS_DEFINED(c.text.a)", False),
        ("IS_NULL(c.n)", True),
        ("IS_NULL(c.x)", False),
        ("IS_STRING(c.text) AND NOT IS_STRING(c.n)", True),
        ("STARTSWITH(c.text, 'v')", True),
        ("STARTSWITH(c.x, 'v')", UNDEFINED),
        ("STARTSWITH(c.text, 'V', true)", True),
        ("ARRAY_CONTAINS(c.list, 'a')", True),
        ("ARRAY_CONTAINS(c.list, true)", False),
        ("ARRAY_CONTAINS(c.x, 'a')", UNDEFINED),
        ("c.text", "v"),
        ("c.list[2]", None),
        ("c.list[9]", UNDEFINED),
        ("c.one = -1", False),
        ("c.text = 'it\\'s \"\\u0076\"'", False),
    ],
)
def test_comparison_and_functions(condition: str, expected: Any) -> None:
    """Comparisons with undefined, across types and of arrays or objects are undefined; functions as documented."""
    result = evaluated(condition)

    assert (type(result), canonical(result)) == (type(expected), canonical(expected))


@pytest.mark.parametrize(
    ("condition", "documented", "engine"),
    [
        ("c.n != 'v'", UNDEFINED, True),
        ("c.one = '1'", UNDEFINED, False),
        ("c.one = true", UNDEFINED, False),
        ("NOT (c.one = '1')", UNDEFINED, True),
        ("c.one IN ('1')", UNDEFINED, False),
        ("c.one NOT IN ('1', null)", UNDEFINED, True),
        ("c.list != [1]", UNDEFINED, True),
        ("c.list != {}", UNDEFINED, True),
        ("c.object != {'a': 1}", UNDEFINED, False),
        ("c.x = 'v'", UNDEFINED, UNDEFINED),
        ("c.x != 'v'", UNDEFINED, UNDEFINED),
        ("c.n = undefined", UNDEFINED, UNDEFINED),
        ("c.x != c.y", UNDEFINED, UNDEFINED),
        ("c.one < '2'", UNDEFINED, UNDEFINED),
        ("c.object < {'a': 2}", UNDEFINED, UNDEFINED),
        ("c.one = 1", True, True),
        ("c.n != null", False, False),
    ],
)
def test_values_of_different_types(condition: str, documented: Any, engine: Any) -> None:
    """By the documentation = and != of different types are undefined, by the engine false and true; < never differs."""
    assert evaluated(condition, mixed_types="undefined") is documented
    assert evaluated(condition, mixed_types="unequal") is engine


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("aB", "Ab", True),
        ("\u00e9", "\u00c9", True),
        ("\u03c3", "\u03c2", True),  # both small sigmas have one capital
        ("\u00df", "ss", False),
        ("\u00df", "\u1e9e", False),
        ("\u0130", "i", False),
        ("\u0131", "I", False),
        ("\u017f", "s", False),
        ("\u212a", "k", False),
        ("\ufb01", "fi", False),
    ],
)
def test_ignoring_case_is_character_by_character(first: str, second: str, *, expected: bool) -> None:
    """No character becomes two, and none beyond ASCII one within: case is mapped simply, in no culture's way."""
    literals = f"{json.dumps(first)}, {json.dumps(second)}"

    assert evaluated(f"STRINGEQUALS({literals}, true)") is expected
    assert evaluated(f"STARTSWITH({literals}, true)") is expected


KEYWORDS = (
    "and array as asc between by desc distinct escape exists false from group in join like limit not null offset or"
    " order rank select top true udf undefined value where"
)
NAMES = "all case count end first having if key last let patch root set type with"


@pytest.mark.parametrize("word", KEYWORDS.split())
def test_a_keyword_follows_no_dot(word: str) -> None:
    """A property of that name is to be put in brackets, whatever the case."""
    for spelling in (word, word.title()):
        with pytest.raises(CosmosError, match=f"Syntax error: .*'{spelling}'") as refused:
            evaluated(f"c.{spelling} = 1")
        assert refused.value.status == HTTPStatus.BAD_REQUEST
        assert evaluated(f'c["{spelling}"] = 1', {spelling: 1}) is True


@pytest.mark.parametrize("word", NAMES.split())
def test_other_words_are_names(word: str) -> None:
    """Words that the grammar knows in one place only are names in another."""
    assert evaluated(f"c.{word} = 1", {word: 1}) is True


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("1000.0", "1000"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("0.1", "0.1"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", "9007199254740992"),
        ("1e300", "1e+300"),
        ("1" * 400, None),
        ("1e400", None),
        ("-1e400", None),
    ],
)
def test_numbers_are_64_bit_floats(text: str, held: str | None) -> None:
    """Whole ones have no fraction, digits beyond 53 bits are lost, and what is too large is refused."""
    if held is None:
        with pytest.raises(CosmosError, match="beyond"):
            number(text)
        with pytest.raises(CosmosError, match="beyond"):
            evaluated(f"c.one = {text}")
    else:
        assert json.dumps(number(text)) == held
        assert evaluated(f"c.v = {text}", {"v": number(held)}) is True


@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("NOT ", ""), ("IS_DEFINED(", ")"), ("[", "]")])
def test_nesting_is_bounded(before: str, after: str) -> None:
    """An expression that is nested too deep is refused, and is no crash of the service; long chains are not deep."""
    deepest = MAX_NESTING - 1
    evaluated(before * deepest + "c.t" + after * deepest)
    with pytest.raises(CosmosError, match=f"more than {MAX_NESTING} deep"):
        evaluated(before * 5000 + "c.t" + after * 5000)
    assert evaluated(" OR ".join(["c.f"] * 5000 + ["c.t"])) is True


TRUTH = {"c.t": True, "c.f": False, "c.x": UNDEFINED, "c.one": UNDEFINED}


@pytest.mark.parametrize(("left", "right"), list(itertools.product(TRUTH, repeat=2)))
def test_and_or_tables(left: str, right: str) -> None:
    """False decides AND and true decides OR whatever the other side is; all else with a non-boolean is undefined."""
    both, either = evaluated(f"{left} AND {right}"), evaluated(f"{left} OR {right}")
    values = {TRUTH[left], TRUTH[right]}

    assert both is (False if False in values else UNDEFINED if UNDEFINED in values else True)
    assert either is (True if True in values else UNDEFINED if UNDEFINED in values else False)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_a_value_equals_itself_and_is_never_both_equal_and_unequal(value: Any) -> None:
    """For any value, = with itself is true and != is never true."""
    item = {"a": value, "b": value}

    assert evaluated("c.a = c.b", item) is True
    assert evaluated("c.a != c.b", item) is not True


@given(st.text())
def test_string_literals_are_read_as_written(text: str) -> None:
    """Any text in a JSON string literal is the text that it stands for."""
    assert evaluated(f"c.a = {json.dumps(text)}", {"a": text}) is True

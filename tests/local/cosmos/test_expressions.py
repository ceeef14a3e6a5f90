"""The language's three-valued logic, after Microsoft's tables for comparison and logical operators."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cosmos.sql.evaluate import compile_expression
from local.cosmos.sql.parser import parse_condition
from local.cosmos.sql.values import UNDEFINED, canonical

ITEM = {"t": True, "f": False, "n": None, "one": 1, "text": "v", "list": [1, "a", None], "object": {"a": 1}}


def evaluated(condition: str, item: Any = ITEM) -> Any:
    """Return what the condition is on the item."""
    return compile_expression(parse_condition(f"FROM c WHERE {condition}"), {})(item)


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

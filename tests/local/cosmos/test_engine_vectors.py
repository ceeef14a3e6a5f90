"""The queries of ``tests/vectors/cosmos_queries.json``, with what Microsoft's own engine makes of them."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from local.cosmos.errors import CosmosError
from local.cosmos.sql.evaluate import Terms
from local.cosmos.sql.execute import Execution
from local.cosmos.sql.parser import parse_query
from local.cosmos.sql.values import MixedTypes, number

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "cosmos_queries.json").read_bytes(), parse_int=number, parse_float=number
)
ROWS = [(place, json.dumps(document)) for place, document in enumerate(VECTORS["documents"], start=1)]
# What the engine answers and the local Cosmos refuses: by a message that holds these words.
REFUSED_HERE = {"SELECT VALUE 1": "without FROM"}
LARGE = 10_000


def text_of(value: Any) -> str:
    """Return JSON in which 1, 1.0 and true differ, as they do not for Python."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answered(query: str, mixed_types: MixedTypes) -> list[str] | str:
    """Return the results' JSON, or why the query is refused."""
    try:
        return Execution(parse_query(query), Terms(mixed_types=mixed_types)).page(ROWS, LARGE, None).texts
    except CosmosError as error:
        return error.message


def paged(execution: Execution) -> list[list[str]]:
    """Return the results page by page, where pages look at one item, two, four."""
    pages: list[list[str]] = []
    continuation: dict[str, Any] | None = None
    for turn in itertools.count():
        after = execution.starts_after(continuation)
        page = execution.page([row for row in ROWS if row[0] > after], LARGE, continuation, 1 << turn)
        pages.append(page.texts)
        continuation = page.continuation
        if continuation is None:
            return pages
    raise AssertionError


def expected(vector: dict[str, Any]) -> list[str] | str:
    """Return what the engine answered, or which words a refusal holds."""
    if vector["query"] in REFUSED_HERE:
        return REFUSED_HERE[vector["query"]]
    return "Syntax error" if vector.get("refused") else [text_of(value) for value in vector["result"]]


def agree(found: list[str] | str, wanted: list[str] | str) -> bool:
    """Tell whether the results are the same, or it is refused as it is to be."""
    return wanted in found if isinstance(wanted, str) else found == wanted


def test_every_query_is_answered_as_by_the_engine() -> None:
    """Values and order are the same, numbers as they are written included; what is refused there is refused here."""
    assert len(VECTORS["queries"]) == 1491
    others = [one["query"] for one in VECTORS["queries"] if not agree(answered(one["query"], "unequal"), expected(one))]

    assert others == []


def test_by_the_documentation_only_equality_differs() -> None:
    """Where the two sources differ, the query compares by =, != or IN."""
    others = [
        one["query"] for one in VECTORS["queries"] if not agree(answered(one["query"], "undefined"), expected(one))
    ]

    assert len(others) > 100
    assert [query for query in others if not any(operator in query for operator in (" = ", " != ", " IN "))] == []


@pytest.mark.parametrize("mixed_types", ["undefined", "unequal"])
def test_short_pages_hold_the_same(mixed_types: MixedTypes) -> None:
    """Short and empty pages follow one another to the same results; counts add up, and DISTINCT is so in each page."""
    others = []
    for query in (one["query"] for one in VECTORS["queries"]):
        whole = answered(query, mixed_types)
        if isinstance(whole, str):
            continue
        pages = paged(Execution(parse_query(query), Terms(mixed_types=mixed_types)))
        together = list(itertools.chain.from_iterable(pages))
        if "COUNT(" in query:
            assert len(pages) > 1
            together = [text_of(sum(map(int, together)))]
        if "DISTINCT" in query:
            together = list(dict.fromkeys(together))
        others += [query] if together != whole else []

    assert others == []

"""Runs a query over the rows of one partition, page by page.

A continuation says after which item the next page starts, and what is left of OFFSET, LIMIT and TOP. COUNT and DISTINCT
come in one page, so that what they have seen needs no memory between pages.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from local.cosmos.errors import bad_request
from local.cosmos.sql.evaluate import Evaluate, Parameters, compile_expression, parts
from local.cosmos.sql.syntax import Count, Expression, ObjectOf, OrderBy, Path, Query
from local.cosmos.sql.values import UNDEFINED, Undefined, canonical, sort_key

MAX_PAGE_BYTES = 4 * 1024 * 1024


class Candidate(NamedTuple):
    """A result that matches, before paging; ``key`` is its place in ORDER BY."""

    number: int
    key: Any
    value: Any
    body: str


@dataclass(slots=True)
class Page:
    """The JSON texts of one page, where the next one starts (None at the end), and how many items were looked at."""

    texts: list[str]
    continuation: dict[str, Any] | None = None
    examined: int = 0


def counts_in(query: Query) -> list[Count]:
    """Return the COUNTs of the SELECT clause."""
    found: list[Count] = []
    for selected in query.selected or ():
        _collect(selected.expression, found)
    return found


def check_shape(query: Query) -> None:
    """Refuse what a COUNT cannot be combined with."""
    counts = counts_in(query)
    if not counts:
        return
    if query.order_by or query.distinct or query.top is not None or query.limit is not None:
        raise bad_request("COUNT together with ORDER BY, DISTINCT, TOP or OFFSET LIMIT is not supported")
    if any(_has_path(selected.expression) for selected in query.selected or ()):
        raise bad_request("COUNT beside a property in SELECT needs GROUP BY, which is not supported")


def whole_number(expression: Expression | None, parameters: Parameters) -> int | None:
    """Return the value of TOP, OFFSET or LIMIT, None if the query has none."""
    if expression is None:
        return None
    value = compile_expression(expression, parameters)(UNDEFINED)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise bad_request("TOP, OFFSET and LIMIT need a whole number that is not negative")
    return value


class Execution:
    """One query with its parameters, ready to run."""

    def __init__(self, query: Query, parameters: Parameters) -> None:
        check_shape(query)
        self._query = query
        self._parameters = parameters
        self._where = compile_expression(query.where, parameters) if query.where is not None else None
        self._counts = counts_in(query)
        self._project: Evaluate | None = None if self._counts else self._projection(None)
        self._offset = whole_number(query.offset, parameters) or 0
        self._limit = whole_number(query.top if query.top is not None else query.limit, parameters)

    @property
    def starts_after(self) -> Callable[[dict[str, Any] | None], int]:
        """Return the number of the last item that a continuation has passed, 0 if all must be looked at."""
        return lambda continuation: continuation["number"] if continuation and not self._query.order_by else 0

    def page(self, rows: Iterable[tuple[int, str]], size: int, continuation: dict[str, Any] | None) -> Page:
        """Run over the items (number and JSON) that follow the continuation, and return at most ``size`` results."""
        page = Page([])
        matches = self._matches(rows, page)
        if self._counts:
            page.texts = self._counted(matches)
            return page
        candidates = self._ordered(matches, continuation) if self._query.order_by else matches
        if self._query.distinct:
            return self._all(page, _distinct(candidates))
        skip = continuation["skip"] if continuation else self._offset
        left = continuation["left"] if continuation else self._limit
        self._fill(page, candidates, size, skip, left)
        return page

    def _all(self, page: Page, candidates: Iterable[Candidate]) -> Page:
        end = None if self._limit is None else self._offset + self._limit
        page.texts = [_dump(candidate.value) for candidate in itertools.islice(candidates, self._offset, end)]
        return page

    def _fill(self, page: Page, candidates: Iterable[Candidate], size: int, skip: int, left: int | None) -> None:
        taken = 0
        last: Candidate | None = None
        for candidate in candidates:
            if left == 0:
                return
            if last is not None and (len(page.texts) >= size or taken > MAX_PAGE_BYTES):
                place = {"number": last.number, "key": last.key} if self._query.order_by else {"number": last.number}
                page.continuation = {**place, "skip": 0, "left": left}
                return
            if skip:
                skip -= 1
                continue
            text = candidate.body if self._query.selected is None else _dump(candidate.value)
            page.texts.append(text)
            taken += len(text)
            left = None if left is None else left - 1
            last = candidate

    def _matches(self, rows: Iterable[tuple[int, str]], page: Page) -> Iterator[Candidate]:
        order, project = self._order(self._query.order_by), self._project
        for number, body in rows:
            page.examined += 1
            item = json.loads(body)
            if self._where is not None and self._where(item) is not True:
                continue
            value = project(item) if project else item
            if not isinstance(value, Undefined):
                yield Candidate(number, order(item) if order else None, value, body)

    def _order(self, order_by: OrderBy | None) -> Evaluate | None:
        if order_by is None:
            return None
        read = compile_expression(order_by.path, self._parameters)
        return lambda item: list(sort_key(read(item)))

    def _ordered(self, matches: Iterable[Candidate], continuation: dict[str, Any] | None) -> Iterator[Candidate]:
        descending = bool(self._query.order_by and self._query.order_by.descending)
        # The sort is stable, also when reversed: equal keys stay in the order of creation.
        for candidate in sorted(matches, key=lambda one: one.key, reverse=descending):
            if continuation is None or _follows(candidate, continuation, descending=descending):
                yield candidate

    def _counted(self, matches: Iterable[Candidate]) -> list[str]:
        arguments = {repr(count): compile_expression(count.argument, self._parameters) for count in self._counts}
        totals = dict.fromkeys(arguments, 0)
        for candidate in matches:
            for name, argument in arguments.items():
                totals[name] += not isinstance(argument(candidate.value), Undefined)
        return [_dump(self._projection(totals)(UNDEFINED))]

    def _projection(self, totals: Parameters | None) -> Evaluate:
        selected = self._query.selected
        if selected is None:
            return lambda item: item
        if self._query.value:
            return compile_expression(selected[0].expression, self._parameters, totals)
        listed = ObjectOf(tuple((one.name, one.expression) for one in selected))
        return compile_expression(listed, self._parameters, totals)


def _follows(candidate: Candidate, continuation: dict[str, Any], *, descending: bool) -> bool:
    if candidate.key == continuation["key"]:
        return bool(candidate.number > continuation["number"])
    return bool((candidate.key > continuation["key"]) is not descending)


def _distinct(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    seen: set[Any] = set()
    for candidate in candidates:
        form = canonical(candidate.value)
        if form not in seen:
            seen.add(form)
            yield candidate


def _collect(expression: Expression, found: list[Count]) -> None:
    if isinstance(expression, Count):
        found.append(expression)
    for part in parts(expression):
        _collect(part, found)


def _has_path(expression: Expression) -> bool:
    return isinstance(expression, Path) or any(_has_path(part) for part in parts(expression))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

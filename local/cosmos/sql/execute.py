"""Runs a query over the rows of one partition, page by page.

A continuation says after which item the next page starts, and what is left of OFFSET, LIMIT and TOP. A page ends where
it has so many results or bytes, or has looked at as many items as it may. So it may be short or empty, a COUNT is that
of its page alone, and a DISTINCT value may come again in a later page.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from local.cosmos.errors import bad_request
from local.cosmos.sql.evaluate import Evaluate, Terms, compile_expression, parts
from local.cosmos.sql.syntax import Count, Expression, ObjectOf, OrderBy, Path, Query
from local.cosmos.sql.values import UNDEFINED, Undefined, canonical, sort_key

MAX_PAGE_BYTES = 4 * 1024 * 1024

Place = dict[str, Any]


class Candidate(NamedTuple):
    """A result that matches, before paging; ``key`` is its place in ORDER BY."""

    number: int
    key: Any
    value: Any
    body: str


@dataclass(slots=True)
class Page:
    """The JSON texts of one page, where the next one starts (None at the end), and how many items were looked at.

    ``stopped_at`` is the number of the last item where the page may look at no more. ``from_index`` tells that the
    index alone gave the results, as it does a COUNT's.
    """

    texts: list[str]
    continuation: Place | None = None
    examined: int = 0
    stopped_at: int | None = None
    from_index: bool = False

    @property
    def loaded(self) -> int:
        """How many items were loaded."""
        return 0 if self.from_index else self.examined


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


def whole_number(expression: Expression | None, terms: Terms) -> int | None:
    """Return the value of TOP, OFFSET or LIMIT, None if the query has none."""
    if expression is None:
        return None
    value = compile_expression(expression, terms)(UNDEFINED)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise bad_request("TOP, OFFSET and LIMIT need a whole number that is not negative")
    return value


class Execution:
    """One query with its parameters, ready to run."""

    def __init__(self, query: Query, terms: Terms) -> None:
        check_shape(query)
        self._query = query
        self._terms = terms
        self._where = compile_expression(query.where, terms) if query.where is not None else None
        self._elements = [(join.alias, compile_expression(join.path, terms)) for join in query.joins]
        self._counts = counts_in(query)
        self._project: Evaluate | None = None if self._counts else self._projection(terms)
        self._offset = whole_number(query.offset, terms) or 0
        self._limit = whole_number(query.top if query.top is not None else query.limit, terms)
        # What was sorted, and what a limit has let through of distinct values, cannot be gone on with in the middle.
        self._whole = query.order_by is not None or (query.distinct and self._limit is not None)

    def starts_after(self, continuation: Place | None) -> int:
        """Return the number of the last item that a continuation has passed, 0 if all must be looked at."""
        return continuation["number"] if continuation and not self._whole else 0

    def page(
        self,
        rows: Iterable[tuple[int, str]],
        size: int,
        continuation: Place | None,
        look_at: int | None = None,
    ) -> Page:
        """Run over the items (number and JSON) that follow the continuation, and return at most ``size`` results.

        ``look_at`` bounds the items that the page looks at, or of a sorted query the results.
        """
        page = Page([])
        if look_at is not None and self._whole:
            size, look_at = min(size, look_at), None
        matches = self._matches(rows, page, look_at)
        skip = continuation["skip"] if continuation else self._offset
        left = continuation["left"] if continuation else self._limit
        if self._counts:
            page.texts = self._counted(matches)
            page.from_index = True
        else:
            candidates = self._ordered(matches) if self._query.order_by else matches
            distinct = _distinct(candidates) if self._query.distinct else candidates
            skip, left = self._fill(page, self._following(distinct, continuation), size, skip, left)
        if page.stopped_at is not None and page.continuation is None and left != 0:
            page.continuation = {"number": page.stopped_at, "skip": skip, "left": left}
        return page

    def _fill(
        self, page: Page, candidates: Iterable[Candidate], size: int, skip: int, left: int | None
    ) -> tuple[int, int | None]:
        """Fill the page; return what is still to be skipped and what is left. A full page has its continuation."""
        taken = 0
        last: Candidate | None = None
        for candidate in candidates:
            if left == 0:
                break
            if skip:
                skip -= 1
                continue
            text = candidate.body if self._query.selected is None else _dump(candidate.value)
            taken += len(text.encode()) + 1
            apart = last is not None and candidate.number != last.number  # what one item gives stays on one page
            if last is not None and apart and (len(page.texts) >= size or taken > MAX_PAGE_BYTES):
                place = {"number": last.number, "key": last.key} if self._query.order_by else {"number": last.number}
                page.continuation = {**place, "skip": 0, "left": left}
                break
            page.texts.append(text)
            left = None if left is None else left - 1
            last = candidate
        return skip, left

    def _matches(self, rows: Iterable[tuple[int, str]], page: Page, look_at: int | None) -> Iterator[Candidate]:
        order, project = self._order(self._query.order_by), self._project
        last = 0
        for number, body in rows:
            if page.examined == look_at:
                page.stopped_at = last
                return
            page.examined += 1
            last = number
            for item in self._joined(json.loads(body)):
                if self._where is not None and self._where(item) is not True:
                    continue
                value = project(item) if project else item
                if not isinstance(value, Undefined):
                    yield Candidate(number, order(item) if order else None, value, body)

    def _joined(self, item: Any) -> list[Any]:
        """Return what the query runs over: the item, or by alias each combination of it and what it is joined with."""
        if not self._query.joins:
            return [item]
        found: list[dict[str, Any]] = [{self._query.alias: item}]
        for alias, elements in self._elements:
            lists = [(row, elements(row)) for row in found]
            found = [{**row, alias: one} for row, listed in lists if isinstance(listed, list) for one in listed]
        return found

    def _order(self, order_by: OrderBy | None) -> Evaluate | None:
        if order_by is None:
            return None
        read = compile_expression(order_by.path, self._terms)
        return lambda item: list(sort_key(read(item)))

    def _ordered(self, matches: Iterable[Candidate]) -> list[Candidate]:
        descending = bool(self._query.order_by and self._query.order_by.descending)
        # The sort is stable, also when reversed: equal keys stay in the order of creation.
        return sorted(matches, key=lambda one: one.key, reverse=descending)

    def _following(self, candidates: Iterable[Candidate], continuation: Place | None) -> Iterable[Candidate]:
        """Return those that earlier pages have not given."""
        if continuation is None or not self._whole:
            return candidates
        if self._query.order_by is None:
            return (one for one in candidates if one.number > continuation["number"])
        descending = self._query.order_by.descending
        return (one for one in candidates if _follows(one, continuation, descending=descending))

    def _counted(self, matches: Iterable[Candidate]) -> list[str]:
        arguments = {repr(count): compile_expression(count.argument, self._terms) for count in self._counts}
        totals = dict.fromkeys(arguments, 0)
        for candidate in matches:
            for name, argument in arguments.items():
                totals[name] += not isinstance(argument(candidate.value), Undefined)
        return [_dump(self._projection(replace(self._terms, counts=totals))(UNDEFINED))]

    def _projection(self, terms: Terms) -> Evaluate:
        selected = self._query.selected
        if selected is None:
            return lambda item: item
        if self._query.value:
            return compile_expression(selected[0].expression, terms)
        listed = ObjectOf(tuple((one.name, one.expression) for one in selected))
        return compile_expression(listed, terms)


def _follows(candidate: Candidate, continuation: Place, *, descending: bool) -> bool:
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

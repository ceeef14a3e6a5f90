"""The query plan that the SDK asks for before it runs a query on several partitions.

It says how the client must merge, and gives the query to send to each partition: ORDER BY with the values to merge by
beside the result, COUNT wrapped so that the client can add up, OFFSET widened to what every partition must give.
"""

from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.sql.evaluate import Terms
from local.cosmos.sql.execute import check_shape, counts_in, whole_number
from local.cosmos.sql.syntax import Count, Query

_ALL_RANGES = [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}]
# The SDK puts "true" here for the first page; other clients put the place where they go on.
_FILTER = "{documentdb-formattableorderbyquery-filter}"


def needs_plan(query: Query) -> bool:
    """Tell whether results of several partitions cannot simply follow one another."""
    limited = query.top is not None or query.limit is not None
    return bool(counts_in(query)) or query.order_by is not None or query.distinct or limited


def query_plan(query: Query, terms: Terms) -> dict[str, Any]:
    """Return the partitioned query execution info."""
    check_shape(query)
    counts = counts_in(query)
    if counts and query.value and not isinstance((query.selected or ())[0].expression, Count):
        raise bad_request("Across partitions only SELECT VALUE COUNT(...) is supported")
    offset, limit = whole_number(query.offset, terms), whole_number(query.limit, terms)
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "Unordered" if query.distinct else "None",
            "top": whole_number(query.top, terms),
            "offset": offset,
            "limit": limit,
            "orderBy": _directions(query),
            "orderByExpressions": [query.order_by.text] if query.order_by else [],
            "groupByExpressions": [],
            "groupByAliases": [],
            "aggregates": ["Count"] * len(counts),
            "groupByAliasToAggregateType": {},
            "rewrittenQuery": _rewritten(query, terms),
            "hasSelectValue": query.value,
            "hasNonStreamingOrderBy": False,
        },
        "queryRanges": _ALL_RANGES,
    }


def _directions(query: Query) -> list[str]:
    if query.order_by is None:
        return []
    return ["Descending" if query.order_by.descending else "Ascending"]


def _rewritten(query: Query, terms: Terms) -> str:
    where = f" WHERE {query.where_text}" if query.where is not None else ""
    if counts_in(query):
        return f'SELECT VALUE [{{"item": {query.select_text}}}] {query.from_text}{where}' if query.value else ""
    offset, limit = whole_number(query.offset, terms), whole_number(query.limit, terms)
    paging = "" if limit is None or offset is None else f" OFFSET 0 LIMIT {offset + limit}"
    if query.order_by is not None:
        top = whole_number(query.top, terms)
        first = "" if top is None else f"TOP {top} "
        condition = " AND ".join(f"({part})" for part in _conditions(query))
        direction = "DESC" if query.order_by.descending else "ASC"
        return (
            f'SELECT {first}{query.alias}._rid, [{{"item": {query.order_by.text}}}] AS orderByItems,'
            f" {_payload(query)} AS payload {query.from_text} WHERE {condition}"
            f" ORDER BY {query.order_by.text} {direction}{paging}"
        )
    if not paging:
        return ""
    distinct, value = "DISTINCT " * query.distinct, "VALUE " * query.value
    return f"SELECT {distinct}{value}{query.select_text} {query.from_text}{where}{paging}"


def _conditions(query: Query) -> list[str]:
    conditions = [_FILTER] if query.where is None else [query.where_text, _FILTER]
    # A result that is undefined would leave its payload out, where the client expects one.
    return [*conditions, f"IS_DEFINED({_payload(query)})"] if query.value else conditions


def _payload(query: Query) -> str:
    if query.selected is None:
        return query.alias
    if query.value:
        return query.selected[0].text
    return "{" + ", ".join(f'"{one.name}": {one.text}' for one in query.selected) + "}"

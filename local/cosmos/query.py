"""Queries: over one partition or part of one, over all partitions one after the other, and the plan for the rest."""

import base64
import binascii
import json
from http import HTTPStatus
from typing import Any

from local.cosmos import charges
from local.cosmos.call import Call
from local.cosmos.errors import bad_request, range_gone
from local.cosmos.partitions import HIGHEST, LOWEST
from local.cosmos.reply import Reply, dump, item_headers, json_reply, metrics_headers
from local.cosmos.scopes import names_one_partition, require_scope, scope_of_range
from local.cosmos.sql.evaluate import Terms
from local.cosmos.sql.execute import Execution, Page
from local.cosmos.sql.indexing import is_indexed
from local.cosmos.sql.parser import parse_query
from local.cosmos.sql.plan import needs_plan
from local.cosmos.sql.plan import query_plan as plan_of
from local.cosmos.sql.syntax import Query
from local.cosmos.store import Scope
from local.cosmos.validation import parse_json

_DEFAULT_PAGE = 100
MAX_QUERY_BYTES = 512 * 1024  # service limits page, "Maximum length of SQL query"
_PLAN_NEEDED = 1004  # azure.cosmos SubStatusCodes.CROSS_PARTITION_QUERY_NOT_SERVABLE


async def query(call: Call) -> Reply:
    """Answer with one page of a query.

    Raises:
        CosmosError: 400 if it sorts by what the container does not index; with substatus 1004 if the client must merge
            the partitions' results by a plan.
    """
    parsed, terms = parse_call(call)
    if parsed.order_by is not None and not is_indexed(call.container.properties, parsed.order_by.path.steps):
        raise bad_request("The index path corresponding to the specified order-by item is excluded.")
    require_scope(call)
    if not names_one_partition(call) and needs_plan(parsed):
        raise bad_request("The query needs to be merged by the client", substatus=_PLAN_NEEDED)
    return await _run(call, Execution(parsed, terms))


async def query_plan(call: Call) -> Reply:
    """Answer with the plan of a query over several partitions."""
    return json_reply(plan_of(*parse_call(call)))


async def read_feed(call: Call) -> Reply:
    """Answer with one page of all items."""
    return await _run(call, Execution(parse_query("SELECT * FROM c"), Terms()))


def parse_call(call: Call) -> tuple[Query, Terms]:
    """Return the query that a request brings, and the terms that it is read in."""
    body = parse_json(call.body)
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise bad_request("query: the text of a query is needed")
    if len(body["query"].encode()) > MAX_QUERY_BYTES:
        raise bad_request(f"The SQL query text exceeded the maximum limit of {MAX_QUERY_BYTES} bytes")
    parameters = body.get("parameters") or []
    if not all(isinstance(one, dict) and "name" in one and "value" in one for one in parameters):
        raise bad_request("parameters: each needs a name and a value")
    values = {one["name"]: one["value"] for one in parameters}
    return parse_query(body["query"]), Terms(values, call.account.mixed_types)


async def _run(call: Call, execution: Execution) -> Reply:
    token = _decode(call.headers.get("x-ms-continuation"))
    if names_one_partition(call):
        page, headers = await _page(call, execution, scope_of_range(call), token)
        return _reply(call, page, headers, page.continuation)
    # One partition a page. The continuation holds where to go on, and for ranges that were begun, where in them: a
    # range that has been split since is found by its keys, and both children go on from the same item.
    low = token["low"] if token else LOWEST
    begun = token["begun"] if token else []
    partition = next(one for one in call.container.live() if one.high > low)
    inner = next((one["inner"] for one in begun if partition.low < one["high"]), None)
    page, headers = await _page(call, execution, Scope(partition), inner)
    begun = [one for one in begun if one["high"] > partition.high]
    if page.continuation is not None:
        begun.insert(0, {"high": partition.high, "inner": page.continuation})
        return _reply(call, page, headers, {"low": partition.low, "begun": begun})
    return _reply(call, page, headers, None if partition.high == HIGHEST else {"low": partition.high, "begun": begun})


async def _page(
    call: Call, execution: Execution, scope: Scope, continuation: dict[str, Any] | None
) -> tuple[Page, dict[str, str]]:
    call.admit(scope.partition)
    view = call.view(scope.partition)
    size = call.page_size(_DEFAULT_PAGE)
    after = execution.starts_after(continuation)
    turn = continuation["turn"] if continuation else 0
    look_at = call.account.short_pages << turn or None

    def scan() -> Page:
        rows = call.account.store.scan(scope, view.horizon, after=after)
        return execution.page(((row.number, row.body) for row in rows), size, continuation, look_at)

    page = await call.account.scan(scan)
    if page.continuation is not None:
        page.continuation["turn"] = turn + 1
    if scope.partition.gone:  # split while the scan waited for its turn
        raise range_gone(scope.partition.id)
    return page, item_headers(call.container, scope.partition, view.token)


def _reply(call: Call, page: Page, headers: dict[str, str], continuation: dict[str, Any] | None) -> Reply:
    documents = ",".join(page.texts)
    charge = charges.query(page.examined, len(documents))
    call.account.throughput.consume(call.container.partition(headers["x-ms-documentdb-partitionkeyrangeid"]), charge)
    if continuation is not None:
        headers["x-ms-continuation"] = base64.b64encode(dump(continuation).encode()).decode()
    headers["x-ms-item-count"] = str(len(page.texts))
    headers |= metrics_headers(call.headers, loaded=page.loaded, returned=len(page.texts), size=len(documents))
    text = f'{{"_rid":{dump(call.container.rid)},"Documents":[{documents}],"_count":{len(page.texts)}}}'
    return Reply(HTTPStatus.OK, text, headers, charge)


def _decode(header: str | None) -> dict[str, Any] | None:
    if not header:
        return None
    try:
        token = json.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, json.JSONDecodeError, UnicodeDecodeError):
        token = None
    if not isinstance(token, dict):
        raise bad_request("x-ms-continuation: this is not a continuation of this service")
    return token

"""The change feed in its latest-version mode: every existing item once, at the place of its newest change.

The continuation is the partition's lsn as an ETag. A page never splits a commit. 304 says that there is nothing more;
an empty 200 (fault kind ``empty_page``) says nothing of the kind.
"""

import json
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from local.cosmos import charges
from local.cosmos.call import Call
from local.cosmos.errors import bad_request, range_gone
from local.cosmos.reply import Reply, dump, item_headers
from local.cosmos.scopes import names_one_partition, scope_of_range
from local.cosmos.store import Row, Scope

_INCREMENTAL = ("incremental feed", "latestversion")
_DEFAULT_PAGE = 1000
_MAX_PAGE_BYTES = 4 * 1024 * 1024
_LSN = re.compile(r'"?(\d+)"?')


async def change_feed(call: Call) -> Reply:
    """Answer with one page of the change feed of a partition, or of a part of one."""
    if call.headers["a-im"].lower() not in _INCREMENTAL:
        raise bad_request(f"A-IM: {call.headers['a-im']} is not supported, only Incremental Feed")
    since = _since(call)
    scope = scope_of_range(call) if names_one_partition(call) else _only_partition(call)
    call.admit(scope.partition)
    view = call.view(scope.partition)
    start = call.headers.get("if-none-match")
    after = view.lsn if start == "*" else _after(start)
    headers = item_headers(call.container, scope.partition, view.token)
    if call.account.faults.take("empty_page", "change_feed", call.path) is not None:
        return _page(call, [], after, headers)
    rows = []
    if start != "*":
        limit = call.page_size(_DEFAULT_PAGE)
        rows = await call.account.scan(
            lambda: _whole_commits(
                (
                    row
                    for row in call.account.store.scan(scope, view.horizon, after=after, by_lsn=True)
                    if since is None or json.loads(row.body)["_ts"] >= since
                ),
                limit,
            )
        )
    if scope.partition.gone:  # split while the scan waited for its turn
        raise range_gone(scope.partition.id)
    if rows:
        return _page(call, rows, rows[-1].lsn, headers)
    call.account.throughput.consume(scope.partition, charges.change_feed(0))
    # A client whose continuation is newer than this replica keeps its own.
    return Reply(
        HTTPStatus.NOT_MODIFIED, None, {**headers, "etag": f'"{max(after, view.lsn)}"'}, charges.change_feed(0)
    )


def _since(call: Call) -> float | None:
    """Return the Unix time from which changes are asked for, None for all of them."""
    text = call.headers.get("if-modified-since")
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise bad_request("If-Modified-Since must be an RFC 1123 date") from None


def _only_partition(call: Call) -> Scope:
    """Return the whole of a container with one partition, which needs not be named; others need one to be."""
    live = call.container.live()
    return Scope(live[0]) if len(live) == 1 else scope_of_range(call)


def _page(call: Call, rows: list[Row], lsn: int, headers: dict[str, str]) -> Reply:
    documents = ",".join(f'{row.body[:-1]},"_lsn":{row.lsn}}}' for row in rows)
    text = f'{{"_rid":{dump(call.container.rid)},"Documents":[{documents}],"_count":{len(rows)}}}'
    charge = charges.change_feed(len(documents))
    call.account.throughput.consume(call.container.partition(headers["x-ms-documentdb-partitionkeyrangeid"]), charge)
    headers = {**headers, "etag": f'"{lsn}"', "x-ms-item-count": str(len(rows))}
    return Reply(HTTPStatus.OK, text, headers, charge)


def _whole_commits(rows: Iterable[Row], limit: int) -> list[Row]:
    page: list[Row] = []
    size = 0
    for row in rows:
        full = len(page) >= limit or size + len(row.body) > _MAX_PAGE_BYTES
        if page and full and row.lsn != page[-1].lsn:
            break
        page.append(row)
        size += len(row.body)
    return page


def _after(start: str | None) -> int:
    if start is None:
        return 0
    match = _LSN.fullmatch(start)
    if match is None:
        raise bad_request(f"If-None-Match: {start} is not a continuation of the change feed")
    return int(match.group(1))

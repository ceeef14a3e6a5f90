"""Finds a page of rows in the change feed: stale ones, those that a proof must open, or those of a migration's filter.

A change feed page is taken whole or not at all, because a cursor can only stand between two of them. How much is asked
for follows what is found: more where few rows are selected, less where a page would overflow.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from field_encrypt.row_states import Row, RowKind, classify
from keyturn.contracts.migrations import Restore, RewrapDeks, Rollback, Work
from keyturn.contracts.pages import PAGE_BYTES_MAX, RowRef, ScanInput, ScanResult
from keyturn.cosmos.client import read_feed_page
from keyturn.deks.store import DekStore
from keyturn.errors import InvariantError
from keyturn.ids import RunKind, kind_of

SCANNED_MAX = 5_000  # rows an activity reads before it reports back: some seconds of work
_DRAW_BYTES = 6  # a float holds such a number exactly
_DRAWS = 1 << 8 * _DRAW_BYTES
ITEMS_MAX = 1_000  # rows a request asks for; the service ends its page at 4 MB anyway


RowFilter = Callable[[Row], bool]


class Seen(NamedTuple):
    """What a scan makes of an item: a reference if a page has to look at it."""

    ref: RowRef | None
    foreign: bool = False


async def scan(store: DekStore, request: ScanInput, chosen: RowFilter | None = None) -> ScanResult:
    """Scan a dek store; ``chosen`` says what the selection of that name means. Raises KeyturnError."""
    selected = _selection(request, chosen)

    def examine(item: Mapping[str, Any]) -> Seen:
        row = classify(item, store.keyring, request.target_version)
        ref = RowRef(id=row.id, partition=row.partition) if selected(row) else None
        return Seen(ref, foreign=row.kind is RowKind.FOREIGN)

    return await scan_feed(store.container, request, examine)


async def scan_feed(
    container: ContainerProxy, request: ScanInput, examine: Callable[[Mapping[str, Any]], Seen]
) -> ScanResult:
    """Read on until a page of selected items is full, the range is drained, or enough was read; raises KeyturnError."""
    refs: list[RowRef] = []
    cursor, ask_for, scanned, foreign, drained = request.cursor, request.page_rows, 0, 0, False
    while not drained and len(refs) < request.page_rows and scanned < SCANNED_MAX:
        page = await read_feed_page(container, request.range, cursor, ask_for)
        seen = [examine(item) for item in page.items]
        found = [one.ref for one in seen if one.ref is not None]
        if _overflows(refs + found, request.page_rows):
            if refs:
                break
            if ask_for > 1:
                ask_for = min(request.page_rows, ask_for // 2)
                continue
        refs += found
        scanned += len(seen)
        foreign += sum(one.foreign for one in seen)
        cursor, drained = page.cursor, page.drained
        ask_for = ask_for if found else min(2 * ask_for, ITEMS_MAX)
    return ScanResult(refs=refs, cursor=cursor, drained=drained, scanned=scanned, foreign=foreign)


def _selection(request: ScanInput, chosen: RowFilter | None) -> RowFilter:
    if request.selection == "stale":
        return lambda row: row.needs_work
    if request.selection == "rewrapped":
        return lambda row: is_rewrapped(row, request.run.run_id) and _in_sample(row, request)
    if chosen is None:
        raise InvariantError("a scan does not know which rows are chosen", rotationId=request.run.run_id)
    return chosen


def is_rewrapped(row: Row, run_id: str) -> bool:
    """Tell whether a run put the row onto its target; a rotation may have adopted it from any other run."""
    by_any = kind_of(run_id) is RunKind.ROTATION
    return row.on_target and row.run_id is not None and (by_any or row.run_id == run_id)


def _in_sample(row: Row, request: ScanInput) -> bool:
    """Draw the row, or not, by a hash of its id and the run's: each run draws others, each run of it the same."""
    drawn = hashlib.sha256(f"{request.run.run_id}/{row.id}".encode()).digest()[:_DRAW_BYTES]
    return int.from_bytes(drawn) < request.sample_share * _DRAWS


def _overflows(refs: list[RowRef], page_rows: int) -> bool:
    return len(refs) > page_rows or sum(len(ref.model_dump_json()) for ref in refs) > PAGE_BYTES_MAX


def row_filter_of(work: Work, versions: Collection[str]) -> RowFilter:
    """Return the condition that the work's rows fulfil; ``versions`` are those that a restore has found."""
    if isinstance(work, RewrapDeks):
        old_version = work.old_version
        return lambda row: row.needs_work and old_version in (None, row.version)
    if isinstance(work, Rollback):
        run_ids = work.run_ids
        return lambda row: row.on_target and row.run_id in run_ids
    if not isinstance(work, Restore):
        raise InvariantError("a migration of documents looks for rows", work=work.kind)
    # A row without a label may be under any version: whether under one of these, only opening it tells.
    return lambda row: row.needs_work and (row.version in versions or row.kind is RowKind.UNLABELLED)

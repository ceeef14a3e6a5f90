"""Counts the store's rows by the version that wraps them: strong counts, one set per feed range.

Each count carries the session token of what this rotation wrote in the range, so that it is never older than that.
The counts of a range are several queries, between which writers may act: they are taken as one only if they add up.
Where they do not, rows that changed lately are counted apart: no writer adds to the others, whose counts add up
exactly, and those of the lately changed ones to a number between their totals before and after.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt.row_states import LabelKind, read_label
from keyturn.contracts.passes import CensusResult
from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.session_tokens import token_for
from keyturn.deks.queries import COUNT, EVERY, Condition, Conditions, select_rows
from keyturn.deks.store import DekStore
from keyturn.errors import NotSettledError

RECOUNTS = 5
# More than the clocks of this host and of the service are apart. A row that the service dates later than this host
# believes it to be only makes for another count.
LATELY_SECONDS = 5
RANGES_AT_ONCE = 4
# A key has far fewer versions that rows still name (a backup of it fails above 500); the result must stay small.
LABELS_MAX = 100
OTHER_LABELS = "(other)"  # rows whose label is no version id, or is beyond the first LABELS_MAX


@dataclass(frozen=True, slots=True)
class _Range:
    """One feed range to count in, and the session token to count with."""

    container: ContainerProxy
    conditions: Conditions
    feed_range: str
    token: str | None
    after: int | None = None  # of the rows only those whose last change the service saw in this time, in Unix seconds
    until: int | None = None

    async def values(self, condition: Condition, selected: str) -> list[Any]:
        within = condition.changed(after=self.after, until=self.until)
        return await select_rows(self.container, within, selected, feed_range=self.feed_range, session_token=self.token)

    async def count(self, condition: Condition) -> int:
        return sum(await self.values(condition, COUNT))


async def take_census(
    store: DekStore, target_version: str, session_tokens: Mapping[str, str], *run_ids: str
) -> CensusResult:
    """Count every row of the store; ``rewrapped`` is counted where runs are named, or ANY_RUN.

    Raises:
        NotSettledError: writers kept changing the store while it was counted.
        KeyturnError: of the kind that the failure means.
    """
    conditions = Conditions(store.keyring, target_version)
    at_once = asyncio.Semaphore(RANGES_AT_ONCE)

    async def count(feed_range: str) -> CensusResult:
        async with at_once:
            token = await token_for(store.container, feed_range, session_tokens)
            where = _Range(store.container, conditions, feed_range, token)
            counted = await _count_settled(where)
            if not run_ids:
                return counted
            return counted.model_copy(update={"rewrapped": await where.count(conditions.rewrapped_by(*run_ids))})

    parts = await asyncio.gather(*(count(found) for found in await list_feed_ranges(store.container)))
    return _sum(parts)


async def _count_settled(where: _Range) -> CensusResult:
    """Count until the counts add up: first all rows together, then what changed lately apart from the rest."""
    counted = await _count(where)
    for _ in range(RECOUNTS - 1):
        if counted is not None:
            return counted
        counted = await _count_apart(where, int(time.time()) - LATELY_SECONDS)
    if counted is None:
        detail = f"the rows of a feed range did not add up in {RECOUNTS} counts: writers are at work"
        raise NotSettledError(detail, range=where.feed_range)
    return counted


async def _count_apart(where: _Range, since: int) -> CensusResult | None:
    """Count what changed last after this time apart from the rest; what changes meanwhile may be counted in both."""
    settled = await _count(replace(where, until=since))
    if settled is None:
        return None
    lately = await _count(replace(where, after=since), growing=True)
    return None if lately is None else _sum([settled, lately])


async def _count(where: _Range, *, growing: bool = False) -> CensusResult | None:
    """Count once; None if the counts do not add up, where rows are ``growing`` in number to any total on the way."""
    conditions = where.conditions
    total = await where.count(EVERY)
    kinds = ("on_target", "stale", "unlabelled", "foreign")
    rows = {kind: await where.count(getattr(conditions, kind)) for kind in kinds}
    by_version = await _count_versions(where)
    ours = rows["on_target"] + rows["stale"]
    counted, other = ours + rows["foreign"], ours - rows["unlabelled"] - by_version.total()
    if growing:
        most = await where.count(EVERY)
        if not total <= counted <= most:
            return None
        other = max(0, other)  # of rows that came while labels were counted
    elif counted != total or other < 0:
        return None
    return CensusResult(total=counted, **rows, by_version=dict(by_version + Counter({OTHER_LABELS: other})))


def _sum(parts: Sequence[CensusResult]) -> CensusResult:
    by_version = sum((Counter(part.by_version) for part in parts), Counter[str]())
    numbers = sum((Counter(part.model_dump(exclude={"by_version"})) for part in parts), Counter[str]())
    names = CensusResult.model_fields.keys() - {"by_version"}
    return CensusResult(**{name: numbers[name] for name in names}, by_version=dict(sorted(by_version.items())))


async def _count_versions(where: _Range) -> Counter[str]:
    conditions = where.conditions
    labels = {str(label) for label in await where.values(conditions.labelled, f"DISTINCT VALUE {conditions.label}")}
    readable = [(label, read_label(label, conditions.keyring)) for label in sorted(labels)]
    named = [(label, read.version) for label, read in readable if read.kind is LabelKind.VERSION and read.version]
    versions = Counter[str]()
    for label, version in named[:LABELS_MAX]:
        versions[version] += await where.count(conditions.labelled_as(label))
    return versions

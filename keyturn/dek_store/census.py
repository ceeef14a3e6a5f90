"""Counts the store's rows by the version that wraps them: strong counts, one set per feed range.

Each count carries the session token of what this rotation wrote in the range, so that it is never older than that.
The counts of a range are several queries, between which writers may act: they are taken as one only if they add up.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from keyturn.contracts.sweep import CensusResult
from keyturn.cosmos_failures import cosmos_failures
from keyturn.dek_store.feed import RESOURCE, list_feed_ranges
from keyturn.dek_store.labels import LabelKind, read_label
from keyturn.dek_store.predicates import Condition, Conditions
from keyturn.dek_store.session_tokens import token_for
from keyturn.dek_store.store import DekStore
from keyturn.errors import NotSettledError
from keyturn.settings import Keyring

RECOUNTS = 5
RANGES_AT_ONCE = 4
# A key has far fewer versions that rows still name (a backup of it fails above 500); the result must stay small.
LABELS_MAX = 100
OTHER_LABELS = "(other)"  # rows whose label is no version id, or is beyond the first LABELS_MAX


@dataclass(frozen=True, slots=True)
class _Range:
    """One feed range to count in, and the session token to count with."""

    container: ContainerProxy
    feed_range: str
    token: str | None

    async def values(self, condition: Condition, selected: str) -> list[object]:
        query, parameters = condition.query(selected)
        async with cosmos_failures(RESOURCE, "count"):
            found = self.container.query_items(
                query, parameters=parameters, feed_range=json.loads(self.feed_range), session_token=self.token
            )
            return [value async for value in found]

    async def count(self, condition: Condition) -> int:
        # A count that the service spreads over several pages comes in parts.
        return sum(part for part in await self.values(condition, "VALUE COUNT(1)") if isinstance(part, int))


async def take_census(
    store: DekStore, target_version: str, session_tokens: Mapping[str, str], rotation_id: str | None = None
) -> CensusResult:
    """Count every row of the store; ``rewrapped`` is counted where a rotation is named.

    Raises:
        NotSettledError: writers kept changing the store while it was counted.
        KeyturnError: of the kind that the failure means.
    """
    conditions = Conditions(store.keyring, target_version)
    at_once = asyncio.Semaphore(RANGES_AT_ONCE)

    async def count(feed_range: str) -> CensusResult:
        async with at_once:
            token = await token_for(store.container, feed_range, session_tokens)
            where = _Range(store.container, feed_range, token)
            counted = await _count_settled(where, conditions, store.keyring)
            if rotation_id is None:
                return counted
            return counted.model_copy(update={"rewrapped": await where.count(conditions.rewrapped_by(rotation_id))})

    parts = await asyncio.gather(*(count(found) for found in await list_feed_ranges(store.container)))
    by_version = sum((Counter(part.by_version) for part in parts), Counter[str]())
    return CensusResult(
        total=sum(part.total for part in parts),
        on_target=sum(part.on_target for part in parts),
        stale=sum(part.stale for part in parts),
        unlabelled=sum(part.unlabelled for part in parts),
        foreign=sum(part.foreign for part in parts),
        rewrapped=sum(part.rewrapped for part in parts),
        by_version=dict(sorted(by_version.items())),
    )


async def _count_settled(where: _Range, conditions: Conditions, keyring: Keyring) -> CensusResult:
    for _ in range(RECOUNTS):
        counted = await _count(where, conditions, keyring)
        if counted is not None:
            return counted
    raise NotSettledError(
        f"the rows of a feed range did not add up in {RECOUNTS} counts: writers are at work", range=where.feed_range
    )


async def _count(where: _Range, conditions: Conditions, keyring: Keyring) -> CensusResult | None:
    """Count once; None if the counts do not add up."""
    total = await where.count(conditions.every)
    on_target = await where.count(conditions.on_target)
    stale = await where.count(conditions.stale)
    unlabelled = await where.count(conditions.unlabelled)
    foreign = await where.count(conditions.foreign)
    by_version = await _count_versions(where, conditions, keyring)
    other = on_target + stale - unlabelled - by_version.total()
    if total != on_target + stale + foreign or other < 0:
        return None
    return CensusResult(
        total=total,
        on_target=on_target,
        stale=stale,
        unlabelled=unlabelled,
        foreign=foreign,
        by_version=dict(by_version + Counter({OTHER_LABELS: other})),
    )


async def _count_versions(where: _Range, conditions: Conditions, keyring: Keyring) -> Counter[str]:
    labels = {str(label) for label in await where.values(conditions.labelled, f"DISTINCT VALUE {conditions.label}")}
    readable = [(label, read_label(label, keyring)) for label in sorted(labels)]
    named = [(label, read.version) for label, read in readable if read.kind is LabelKind.VERSION and read.version]
    versions = Counter[str]()
    for label, version in named[:LABELS_MAX]:
        versions[version] += await where.count(conditions.labelled_as(label))
    return versions

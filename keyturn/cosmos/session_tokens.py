"""Session tokens of our own writes, kept by feed range, so that a census is never older than what it has to see.

A token is one or several ``<partition id>:<version>#<global lsn>[#<region>=<lsn>...]`` joined by commas. Activities run
in many processes, each with its own client: what one of them wrote, another is only sure to read with its token.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

SESSION_TOKEN = "x-ms-session-token"  # noqa: S105 - name of a response header


class _Vector(NamedTuple):
    version: int
    lsn: int
    regions: dict[str, int]


def merge_session_tokens(*ranges: Mapping[str, str]) -> dict[str, str]:
    """Return the newest token of every feed range that any of the mappings has.

    Pure, so that an orchestrator may merge what its pages brought.
    """
    merged: dict[str, dict[str, _Vector]] = {}
    for tokens in ranges:
        for feed_range, token in tokens.items():
            parts = merged.setdefault(feed_range, {})
            for partition, vector in _parse(token).items():
                parts[partition] = _newest(parts[partition], vector) if partition in parts else vector
    return {feed_range: _format(parts) for feed_range, parts in merged.items()}


async def token_for(container: ContainerProxy, feed_range: str, tokens: Mapping[str, str]) -> str | None:
    """Return the token that a read of this range needs, also if partitions were split since; None without writes."""
    target = json.loads(feed_range)
    pairs = [(json.loads(written), token) for written, token in tokens.items()]
    overlapping = [pair for pair in pairs if await _overlap(container, pair[0], target)]
    return await container.get_latest_session_token(overlapping, target) if overlapping else None


async def _overlap(container: ContainerProxy, first: dict[str, Any], second: dict[str, Any]) -> bool:
    # Ranges come from splits of physical partitions: of two that overlap, one holds the other.
    return await container.is_feed_range_subset(first, second) or await container.is_feed_range_subset(second, first)


def _parse(token: str) -> dict[str, _Vector]:
    vectors = {}
    for part in token.split(","):
        partition, _, text = part.partition(":")
        version, lsn, *regions = text.split("#")
        local = {name: int(value) for name, _, value in (region.partition("=") for region in regions)}
        vectors[partition] = _Vector(int(version), int(lsn), local)
    return vectors


def _newest(first: _Vector, second: _Vector) -> _Vector:
    newer, older = (first, second) if (first.version, first.lsn) >= (second.version, second.lsn) else (second, first)
    if newer.version != older.version:  # the set of regions has changed: only the newer one's count
        return newer
    regions = {name: max(lsn, older.regions.get(name, lsn)) for name, lsn in newer.regions.items()}
    return newer._replace(regions=regions)


def _format(parts: Mapping[str, _Vector]) -> str:
    return ",".join(
        f"{partition}:" + "#".join([str(v.version), str(v.lsn), *(f"{name}={lsn}" for name, lsn in v.regions.items())])
        for partition, v in sorted(parts.items())
    )


@dataclass
class SessionLog:
    """The tokens of one activity's writes, by feed range."""

    _container: ContainerProxy
    tokens: dict[str, str] = field(default_factory=dict)
    _range_of: dict[str, str] = field(default_factory=dict)  # partition id -> feed range

    async def record(self, partition_key: Any, token: str) -> None:
        """Note the token that a write of an item with this partition key value was answered with."""
        partition = token.partition(":")[0]
        if partition not in self._range_of:
            self._range_of[partition] = await self._find_range(partition_key)
        self.tokens = merge_session_tokens(self.tokens, {self._range_of[partition]: token})

    async def _find_range(self, partition_key: Any) -> str:
        point = await self._container.feed_range_from_partition_key(partition_key)
        async for feed_range in self._container.read_feed_ranges():
            if await self._container.is_feed_range_subset(feed_range, point):
                return feed_range_text(feed_range)
        return feed_range_text(point)


def feed_range_text(feed_range: Mapping[str, Any]) -> str:
    """Return the JSON text by which payloads name a feed range."""
    return json.dumps(feed_range, sort_keys=True, separators=(",", ":"))

"""Who did what with which version, and how it ended: what tests and the demo ask the vault afterwards.

Entries are kept in memory, the newest hundred thousand of them; counts are exact for the life of the process.
"""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from local.common.faults import CONTROL_PREFIX

KEPT_ENTRIES = 100_000
FILTERS = {"operation": "operation", "who": "who", "version": "keyVersion"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation; property names are those of the control endpoint."""

    at: str
    who: str | None
    operation: str
    keyName: str | None  # noqa: N815 - JSON property of the control endpoint
    keyVersion: str | None  # noqa: N815 - JSON property of the control endpoint
    versionless: bool
    result: int
    code: str | None


class OperationLog:
    """The log of one process."""

    def __init__(self, operations: tuple[str, ...]) -> None:
        self._operations = operations
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self._counts: Counter[tuple[str | None, str, int]] = Counter()

    def add(
        self,
        *,
        who: str | None,
        operation: str,
        key: tuple[str | None, str | None],
        versionless: bool,
        result: int,
        code: str | None,
    ) -> None:
        """Log one finished operation on the key (name, version)."""
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        self._entries.append(Entry(at, who, operation, *key, versionless, result, code))
        self._counts[who, operation, result] += 1

    def counts(self, who: str | None = None) -> dict[str, Any]:
        """Return how often each operation succeeded and, under ``throttled``, how often it was throttled."""

        def count(operation: str, result: int) -> int:
            if who is not None:
                return self._counts[who, operation, result]
            return sum(n for (_, o, r), n in self._counts.items() if (o, r) == (operation, result))

        throttled = web.HTTPTooManyRequests.status_code
        return {
            **{operation: count(operation, web.HTTPOk.status_code) for operation in self._operations},
            "throttled": {operation: count(operation, throttled) for operation in self._operations},
        }

    def add_routes(self, app: web.Application) -> None:
        """Serve the log and the counts."""
        app.router.add_get(f"{CONTROL_PREFIX}operations", self._list)
        app.router.add_get(f"{CONTROL_PREFIX}operations/counts", self._counted)

    async def _list(self, request: web.Request) -> web.Response:
        since = request.query.get("since")
        try:
            earliest = None if since is None else _time(since)
        except ValueError as error:
            return web.json_response({"error": f"since: {error}"}, status=400)
        wanted = {FILTERS[name]: value for name, value in request.query.items() if name in FILTERS}
        return web.json_response(
            [
                asdict(entry)
                for entry in self._entries
                if all(getattr(entry, name) == value for name, value in wanted.items())
                and (earliest is None or datetime.fromisoformat(entry.at) >= earliest)
            ]
        )

    async def _counted(self, request: web.Request) -> web.Response:
        return web.json_response(self.counts(request.query.get("who")))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"must name its time zone: {text!r}")
    return moment

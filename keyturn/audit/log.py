"""Where the chains are kept: in the container ``keyturn``, in the partition of the run's keyring.

An event is a document ``<rotationId>:audit:<sequence>``. Beside them stands the chain's end, ``<rotationId>:audit``,
with the hash of the last event and the ids of all. Both are written in one batch that holds only while the end is the
one that was read and no event has the next sequence: one chain, without gaps or doubles, whatever process dies.
"""

from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any, Literal

from keyturn.audit.chain import Head, canonical, event_id, head_of, link
from keyturn.audit.events import AuditEvent
from keyturn.contracts.base import RunId
from keyturn.cosmos.state_container import Settled, StateContainer, StoredDocument, until_won
from keyturn.ids import keyring_of

EVENT_KIND = "audit"
HEAD_KIND: Literal["audit-head"] = "audit-head"


class ChainEnd(StoredDocument):
    """Where a chain ends, and the events that it has."""

    id: str
    kind: Literal["audit-head"] = HEAD_KIND
    keyring: str
    run_id: RunId
    sequence: int
    hash: str
    event_ids: list[str]  # of the whole chain, in its order

    @property
    def head(self) -> Head:
        """The head itself."""
        return Head(self.sequence, self.hash)


def end_id(run_id: str) -> str:
    """Return the id of the document that holds the chain's end."""
    return f"{run_id}:audit"


def append_batch(
    run_id: str, events: Mapping[str, AuditEvent], end: ChainEnd | None
) -> tuple[Head, list[tuple[Any, ...]]]:
    """Return the new head and the operations that append the events, one at least, to a chain that ends so.

    The batch holds only while the end is still the one given, and only while no event has one of the next sequences.
    """
    linked: list[dict[str, Any]] = []
    for event in events.values():
        last = head_of(linked[-1]) if linked else end.head if end is not None else None
        linked.append(link(run_id, event, last))
    head = head_of(linked[-1])
    moved = ChainEnd(
        id=end_id(run_id),
        keyring=keyring_of(run_id),
        run_id=run_id,
        sequence=head.sequence,
        hash=head.hash,
        event_ids=[*(end.event_ids if end is not None else []), *events],
    ).to_payload()
    creations: list[tuple[Any, ...]] = [("create", (_document(run_id, event),)) for event in linked]
    if end is None:
        return head, [*creations, ("create", (moved,))]
    return head, [*creations, ("replace", (moved["id"], moved), {"if_match_etag": end.etag})]


def _document(run_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{end_id(run_id)}:{event['sequence']}",
        "kind": EVENT_KIND,
        "keyring": keyring_of(run_id),
        "rotationId": run_id,
        "sequence": int(event["sequence"]),
        "event": event,
    }


BATCH_MAX = 50  # events; Cosmos DB takes 100 operations and 2 MB, and an event is at most about 20 KB


class AuditLog:
    """The audit chains of all rotations."""

    def __init__(self, documents: StateContainer) -> None:
        self._documents = documents

    async def append(self, run_id: str, events: Sequence[AuditEvent], *, limit: int | None = None) -> Head | None:
        """Append these events in their order, each unless the chain has it, and return the chain's head.

        With ``limit``, nothing is appended to a chain that has not begun or has that many events.

        Raises:
            UnknownRotationError: this cannot be a rotation's id.
            LostRaceError: others kept appending.
        """
        head = None
        for part in batched(events, BATCH_MAX, strict=False):
            head = await self._append(run_id, part, limit)
        return head

    async def _append(self, run_id: str, events: Sequence[AuditEvent], limit: int | None) -> Head | None:
        identified = {event_id(run_id, event.key): event for event in events}

        async def attempt() -> Settled[Head | None] | None:
            end = await self.end(run_id)
            known = frozenset(end.event_ids) if end is not None else frozenset()
            missing = {found: event for found, event in identified.items() if found not in known}
            full = limit is not None and (end is None or end.sequence >= limit)
            if full or not missing:
                return Settled(end.head if end is not None else None)
            head, operations = append_batch(run_id, missing, end)
            return Settled(head) if await self._documents.batch(keyring_of(run_id), operations) else None

        return (await until_won(attempt, end_id(run_id))).outcome

    async def end(self, run_id: str) -> ChainEnd | None:
        """Return the chain's end with the ids of its events, or None where it has not begun."""
        return await self._documents.find(ChainEnd.from_document, keyring_of(run_id), end_id(run_id))

    async def head(self, run_id: str) -> Head | None:
        """Return the sequence and hash that the chain ends with, or None where it has not begun."""
        end = await self.end(run_id)
        return None if end is None else end.head

    async def heads(self, keyring: str) -> dict[str, Head]:
        """Return the heads of the keyring's chains, by rotation."""
        query = "SELECT c.rotationId, c.sequence, c.hash FROM c WHERE c.kind = @kind"
        found = await self._documents.query(keyring, query, {"@kind": HEAD_KIND})
        return {item["rotationId"]: Head(item["sequence"], item["hash"]) for item in found}

    async def read_chain(self, run_id: str, *, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the events that follow the sequence ``after``, in their order: all, or the first ``limit``."""
        first = "" if limit is None else f"TOP {limit} "
        wanted = "c.kind = @kind AND c.rotationId = @rotation AND c.sequence > @after"
        query = f"SELECT {first}c.event FROM c WHERE {wanted} ORDER BY c.sequence"  # noqa: S608 - our own text
        parameters = {"@kind": EVENT_KIND, "@rotation": run_id, "@after": after}
        found = await self._documents.query(keyring_of(run_id), query, parameters)
        return [item["event"] for item in found]

    async def export(self, run_id: str) -> bytes:
        """Return the chain as JSON Lines, which is what ``verify_chain`` reads."""
        return b"".join(canonical(event) + b"\n" for event in await self.read_chain(run_id))

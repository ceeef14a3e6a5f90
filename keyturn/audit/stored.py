"""How a chain is stored: one document for each event, and one for the chain's end."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from keyturn.audit.chain import Head, head_of, link
from keyturn.audit.events import AuditEvent
from keyturn.contracts import Payload
from keyturn.rotation.run_record import keyring_of_run

EVENT_KIND = "audit"
HEAD_KIND: Literal["audit-head"] = "audit-head"


class ChainEnd(Payload):
    """Where a chain ends, and the events that it has."""

    id: str
    kind: Literal["audit-head"] = HEAD_KIND
    keyring: str
    rotation_id: str
    sequence: int
    hash: str
    event_ids: list[str]  # of the whole chain, in its order
    etag: Annotated[str | None, Field(exclude=True)] = None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read a stored document."""
        own = {name: value for name, value in document.items() if not name.startswith("_")}
        return cls.model_validate({**own, "etag": document.get("_etag")})

    @property
    def head(self) -> Head:
        """The head itself."""
        return Head(self.sequence, self.hash)


def end_id(rotation_id: str) -> str:
    """Return the id of the document that holds the chain's end."""
    return f"{rotation_id}:audit"


def append_batch(
    rotation_id: str, events: Mapping[str, AuditEvent], end: ChainEnd | None
) -> tuple[Head, list[tuple[Any, ...]]]:
    """Return the new head and the operations that append the events, one at least, to a chain that ends so.

    The batch holds only while the end is still the one given, and only while no event has one of the next sequences.
    """
    linked: list[dict[str, Any]] = []
    for event in events.values():
        last = head_of(linked[-1]) if linked else end.head if end is not None else None
        linked.append(link(rotation_id, event, last))
    head = head_of(linked[-1])
    moved = ChainEnd(
        id=end_id(rotation_id),
        keyring=keyring_of_run(rotation_id),
        rotation_id=rotation_id,
        sequence=head.sequence,
        hash=head.hash,
        event_ids=[*(end.event_ids if end is not None else []), *events],
    ).to_payload()
    creations: list[tuple[Any, ...]] = [("create", (_document(rotation_id, event),)) for event in linked]
    if end is None:
        return head, [*creations, ("create", (moved,))]
    return head, [*creations, ("replace", (moved["id"], moved), {"if_match_etag": end.etag})]


def _document(rotation_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{end_id(rotation_id)}:{event['sequence']}",
        "kind": EVENT_KIND,
        "keyring": keyring_of_run(rotation_id),
        "rotationId": rotation_id,
        "sequence": int(event["sequence"]),
        "event": event,
    }

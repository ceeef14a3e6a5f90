"""How events become a chain.

An event is a CloudEvent 1.0 in JSON with three extension attributes: its ``sequence`` in the chain from 1 on, the
``previoushash`` of the event before it, and its own ``hash``: the SHA-256 of its canonical JSON (RFC 8785) without the
hash itself. So the event alone, wherever it was delivered or stored, carries its link.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, NamedTuple, Self, override

import rfc8785
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from keyturn import errors, ids
from keyturn.audit.events import AuditEvent

GENESIS = "0" * 64  # what the first event names as the hash before it
SEQUENCE_DIGITS = 8  # CloudEvents' sequence extension orders by text

_HEAD = re.compile(r"([1-9][0-9]{0,7}):([0-9a-f]{64})")


class Head(NamedTuple):
    """Where a chain ends, or ended when it was written down."""

    sequence: int
    hash: str

    @override
    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<sequence>:<hash>``; raises InvalidRequestError."""
        if (match := _HEAD.fullmatch(text)) is None:
            expected = "<sequence>:<64 lower-case hex digits>, as in the tag of the key version"
            raise errors.InvalidRequestError(f"the head is not {expected}", field="head", expected=expected)
        return cls(int(match[1]), match[2])


def event_id(run_id: str, key: str) -> str:
    """Return the event's id: the same for the same key, and of characters that any header or id may hold."""
    return f"evt_{hashlib.sha256(f'{run_id}\n{key}'.encode()).hexdigest()[:32]}"


def hash_of(event: Mapping[str, Any]) -> str:
    """Return the hash that the event must carry; raises ValueError for what has no canonical form."""
    return hashlib.sha256(rfc8785.dumps({name: value for name, value in event.items() if name != "hash"})).hexdigest()


def link(run_id: str, event: AuditEvent, previous: Head | None) -> dict[str, Any]:
    """Return the event as the next one of the chain."""
    attributes = {
        "specversion": "1.0",
        "id": event_id(run_id, event.key),
        "source": f"/keyturn/keyrings/{ids.keyring_of(run_id)}",
        "subject": run_id,
        "type": event.type,
        "time": event.at.astimezone(UTC),
        "datacontenttype": "application/json",
        "sequence": f"{previous.sequence + 1 if previous else 1:0{SEQUENCE_DIGITS}}",
        "previoushash": previous.hash if previous else GENESIS,
    }
    written: dict[str, Any] = json.loads(JSONFormat().write(CloudEvent(attributes, event.data.to_payload())))
    return {**written, "hash": hash_of(written)}


def head_of(event: Mapping[str, Any]) -> Head:
    """Return the head of a chain that ends with this event."""
    return Head(int(event["sequence"]), event["hash"])


def canonical(event: Mapping[str, Any]) -> bytes:
    """Return the event as it is exported and delivered."""
    return rfc8785.dumps(dict(event))

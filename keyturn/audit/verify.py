"""Verify a chain offline: from its export, or from what a receiver of the events has stored; nothing else is needed.

Every line is checked by itself (does it hash to its own hash?), then its place and its link to the line before. Whoever
rewrites a whole chain can make all of that fit: only a head that was written down elsewhere shows it, in the tag of the
key version or in a notification.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from keyturn.audit.chain import GENESIS, SEQUENCE_DIGITS, Head, hash_of, head_of
from keyturn.contracts.base import Payload, read_json

type Event = dict[str, Any]
type Problem = Literal[
    "unreadable",  # not JSON, not a CloudEvent, or without its place in a chain
    "changed",  # its content is not what was hashed
    "foreign",  # it belongs to another rotation
    "inserted",  # its place is taken
    "dropped",  # the event that belongs here is missing
    "swapped",  # the event that belongs here comes later
    "unlinked",  # the event before it is not the one that it was linked to
    "rewritten",  # another event is where the head was that was written down
    "truncated",  # the chain ends before that head
]

_SEQUENCE = re.compile(rf"[0-9]{{{SEQUENCE_DIGITS}}}")


class BrokenLink(Payload):
    """The first place at which a chain does not hold."""

    line: int  # from 1
    sequence: int | None  # of the event that is wrong, or missing
    event_id: str | None
    problem: Problem
    detail: str


class VerifyResult(Payload):
    """What came of it: whose chain, how many events hold, what the last of them is, and the first that does not."""

    run_id: str | None
    events: int
    head: str | None  # <sequence>:<hash>
    broken: BrokenLink | None = None


def verify_chain(lines: Iterable[str | bytes], anchor: Head | None = None) -> VerifyResult:
    """Recompute the chain and name the first broken link; ``anchor`` is a head that was written down elsewhere."""
    events = [_read(line) for line in lines]
    places = Counter(_sequence(event) for event in events if event is not None)
    last: Event | None = None
    for number, event in enumerate(events, start=1):
        if event is None:
            detail = "the line is not a CloudEvent of an audit chain"
            broken = BrokenLink(line=number, sequence=None, event_id=None, problem="unreadable", detail=detail)
            return _result(last, broken)
        if (found := _changed(event) or _misplaced(event, last, places) or _rewritten(event, anchor)) is not None:
            sequence, problem, detail = found
            broken = BrokenLink(line=number, sequence=sequence, event_id=event["id"], problem=problem, detail=detail)
            return _result(last, broken)
        last = event
    return _result(last, _truncated(last, anchor, len(events) + 1))


def _result(last: Event | None, broken: BrokenLink | None) -> VerifyResult:
    if last is None:
        return VerifyResult(run_id=None, events=0, head=None, broken=broken)
    head = head_of(last)
    return VerifyResult(run_id=last["subject"], events=head.sequence, head=str(head), broken=broken)


type _Found = tuple[int, Problem, str]


def _changed(event: Event) -> _Found | None:
    if (found := hash_of(event)) == event["hash"]:
        return None
    return _sequence(event), "changed", f"its content hashes to {found}, it carries {event['hash']}"


def _misplaced(event: Event, last: Event | None, places: Counter[int]) -> _Found | None:
    """Return what is wrong with the place of an event, or with its link to the last one that holds."""
    sequence, expected = _sequence(event), (_sequence(last) if last is not None else 0) + 1
    if last is not None and event["subject"] != last["subject"]:
        return sequence, "foreign", f"it belongs to {event['subject']}"
    if sequence != expected:
        if places[sequence] > 1:
            return sequence, "inserted", f"event {sequence} is there {places[sequence]} times"
        if places[expected]:
            return sequence, "swapped", f"event {expected} belongs here and comes later"
        return expected, "dropped", f"event {expected} is missing before event {sequence}"
    linked, before = event["previoushash"], last["hash"] if last is not None else GENESIS
    if linked != before:
        return sequence, "unlinked", f"it was linked to {linked}, the event before it is {before}"
    return None


def _rewritten(event: Event, anchor: Head | None) -> _Found | None:
    head = head_of(event)
    if anchor is None or anchor.sequence != head.sequence or anchor == head:
        return None
    return head.sequence, "rewritten", f"the head that was written down is {anchor}"


def _truncated(last: Event | None, anchor: Head | None, line: int) -> BrokenLink | None:
    sequence = _sequence(last) if last is not None else 0
    if sequence >= (anchor.sequence if anchor is not None else 1):
        return None
    detail = f"the head that was written down is {anchor}" if anchor is not None else "there is no event"
    return BrokenLink(line=line, sequence=sequence + 1, event_id=None, problem="truncated", detail=detail)


def _sequence(event: Event) -> int:
    return int(event["sequence"])


def _read(line: str | bytes) -> Event | None:
    """Return the event on the line, or None for whatever else is there."""
    try:
        event = read_json(line)  # a hash must mean one content
        JSONFormat().read(CloudEvent, line)  # a CloudEvent, by the library's own rules
        hash_of(event)  # has a canonical form
        texts = [event[name] for name in ("hash", "previoushash", "subject", "sequence")]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, BaseCloudEventException):
        return None
    readable = all(isinstance(text, str) for text in texts) and _SEQUENCE.fullmatch(event["sequence"])
    return event if readable else None

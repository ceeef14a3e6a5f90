"""``verify`` finds every way to falsify a chain, offline, and names the first broken link."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.audit.chain import Head, hash_of, head_of
from keyturn.audit.verify import BrokenLink, verify_chain
from tests.keyturn.audit.chains import chain, fresh_rotation, heads, lines

ROTATION = fresh_rotation()
CHAIN = chain(6, ROTATION)
HEAD = head_of(CHAIN[-1])

type Events = list[dict[str, Any]]


def rehashed(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the event with other content and the hash that fits it."""
    changed = {**event, **changes}
    return {**changed, "hash": hash_of(changed)}


def broken_in(events: Events, anchor: Head | None = None) -> BrokenLink:
    """Return the link that must be broken."""
    broken = verify_chain(lines(events), anchor).broken
    assert broken is not None
    return broken


def test_an_unbroken_chain_verifies() -> None:
    """Every event holds, with any of its heads as the one that was written down."""
    for anchor in [None, *heads(CHAIN)]:
        verified = verify_chain(lines(CHAIN), anchor)

        assert (ROTATION, 6, str(HEAD), None) == (
            verified.run_id,
            verified.events,
            verified.head,
            verified.broken,
        )


FALSIFIED: dict[str, tuple[Callable[[Events], Events], str, int | None, int]] = {
    "data changed": (
        lambda events: [*events[:2], {**events[2], "data": {**events[2]["data"], "by": "nobody"}}, *events[3:]],
        *("changed", 3, 3),
    ),
    "an attribute changed": (
        lambda events: [*events[:2], {**events[2], "time": "2026-01-01T00:00:00Z"}, *events[3:]],
        *("changed", 3, 3),
    ),
    "an attribute added": (
        lambda events: [*events[:2], {**events[2], "extra": "1"}, *events[3:]],
        *("changed", 3, 3),
    ),
    "the hash changed": (
        lambda events: [*events[:2], {**events[2], "hash": "0" * 64}, *events[3:]],
        *("changed", 3, 3),
    ),
    "data changed and hashed anew": (
        lambda events: [*events[:2], rehashed(events[2], data={}), *events[3:]],
        *("unlinked", 4, 4),
    ),
    "the first dropped": (lambda events: events[1:], "dropped", 1, 1),
    "one in the middle dropped": (lambda events: [*events[:3], *events[4:]], "dropped", 4, 4),
    "two swapped": (lambda events: [*events[:2], events[3], events[2], *events[4:]], "swapped", 4, 3),
    "the first two swapped": (lambda events: [events[1], events[0], *events[2:]], "swapped", 2, 1),
    "one repeated": (lambda events: [*events[:3], events[1], *events[3:]], "inserted", 2, 4),
    "a new one inserted, linked to the one before": (
        lambda events: [*events[:3], rehashed(events[3], data={}), *events[3:]],
        *("inserted", 4, 5),
    ),
    "one of another rotation inserted": (
        lambda events: [*events[:3], chain(4)[3], *events[4:]],
        *("foreign", 4, 4),
    ),
    "nothing left": (lambda _events: [], "truncated", 1, 1),
}


@pytest.mark.parametrize("falsified", FALSIFIED, ids=lambda name: name.replace(" ", "_"))
def test_a_falsified_chain_is_named(falsified: str) -> None:
    """The problem, the event and the line are named, also where the head that was written down is the true one."""
    falsify, problem, sequence, line = FALSIFIED[falsified]

    broken = broken_in(falsify(CHAIN), HEAD)

    assert (broken.problem, broken.sequence, broken.line) == (problem, sequence, line)
    assert broken.detail


@pytest.mark.parametrize("kept", range(6))
def test_a_truncated_chain_is_seen_by_its_head(kept: int) -> None:
    """What is cut off at the end shows only against a head that was written down."""
    broken = broken_in(CHAIN[:kept], HEAD)

    assert (broken.problem, broken.sequence, broken.line) == ("truncated", kept + 1, kept + 1)
    assert kept == 0 or verify_chain(lines(CHAIN[:kept])).broken is None


def test_a_chain_that_was_written_anew_is_seen_by_its_head() -> None:
    """Somebody who rewrites the whole store makes a chain that holds, but not one with the head written down."""
    other = chain(6, ROTATION)
    other[0] = rehashed(other[0], data={"command": "retry", "by": "somebody else", "step": 1})
    for number in range(1, 6):
        other[number] = rehashed(other[number], previoushash=other[number - 1]["hash"])

    broken = broken_in(other, heads(CHAIN)[3])

    assert verify_chain(lines(other)).broken is None
    assert (broken.problem, broken.sequence) == ("rewritten", 4)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no JSON",
        b"[]",
        b"\xff",
        b"{}",
        json.dumps({**CHAIN[2], "data": float("nan")}).encode(),
        json.dumps({name: value for name, value in CHAIN[2].items() if name != "hash"}).encode(),
        json.dumps({**CHAIN[2], "sequence": 3}).encode(),
        json.dumps({**CHAIN[2], "sequence": "3"}).encode(),
        json.dumps({**CHAIN[2], "id": ""}).encode(),
        json.dumps({**CHAIN[2], "specversion": "0.3"}).encode(),
        json.dumps({**CHAIN[2], "time": "yesterday"}).encode(),
        lines(CHAIN)[2].replace(b'"data":', b'"data":{"by":"nobody"},"data":'),
        b"[" * 100_000,
    ],
    ids=itertools.count(),  # every worker must collect the same names, and the chain is another in each
)
def test_a_line_that_is_no_event_is_named(line: bytes) -> None:
    """Whatever is on a line, verifying ends with its number; a member that is there twice has no one meaning."""
    verified = verify_chain([*lines(CHAIN)[:2], line, *lines(CHAIN)[3:]])

    assert verified.broken is not None
    assert (verified.broken.line, verified.broken.problem, verified.events) == (3, "unreadable", 2)


def test_the_form_of_the_json_does_not_matter() -> None:
    """A receiver may store events with other white space, escapes and order of members."""
    stored = [json.dumps(dict(reversed(event.items())), indent=1).replace("\n", " ") for event in CHAIN]

    assert verify_chain(stored, HEAD).broken is None


@given(
    st.integers(min_value=0, max_value=5),
    st.sampled_from(["id", "source", "type", "subject", "time", "sequence", "previoushash", "hash"]),
    st.data(),
)
def test_no_character_of_an_event_can_change(number: int, name: str, data: st.DataObject) -> None:
    """Any other text in any attribute of any event breaks the chain at that event or before its end."""
    event = CHAIN[number]
    at = data.draw(st.integers(min_value=0, max_value=len(event[name]) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"], exclude_characters=event[name][at]))
    changed = {**event, name: event[name][:at] + other + event[name][at + 1 :]}

    verified = verify_chain([*lines(CHAIN[:number]), json.dumps(changed), *lines(CHAIN[number + 1 :])], HEAD)

    assert verified.broken is not None
    assert verified.events == number


@given(st.permutations(range(6)))
def test_only_the_true_order_holds(order: list[int]) -> None:
    """Of all orders of a chain's events, one verifies."""
    verified = verify_chain(lines([CHAIN[number] for number in order]))

    assert (order == sorted(order)) is (verified.broken is None)

"""The link of an event: a hash over its canonical JSON, which holds for the content and for nothing else."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.bindings.http import HTTPMessage
from hypothesis import given
from hypothesis import strategies as st

from keyturn.audit.chain import GENESIS, Head, canonical, event_id, hash_of, head_of, link
from keyturn.audit.events import TYPES, AuditEvent, CommandGiven, EventData, StateChanged
from keyturn.contracts.base import TEXT_BYTES_MAX
from keyturn.contracts.states import State
from keyturn.errors import InvalidRequestError
from tests.keyturn.audit.chains import chain, event, fresh_rotation
from tests.keyturn.runs.lifecycle import NOW

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
# Within what every reader of JSON takes for the same number; larger ones are written like integers.
FLOATS = st.floats(min_value=-1e15, max_value=1e15)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS.filter(lambda name: name != "hash"), VALUES, max_size=6)


@given(OBJECTS)
def test_the_hash_is_of_the_content(content: dict[str, object]) -> None:
    """Order, white space and escapes of the JSON do not change the hash, and the hash itself is not hashed."""
    shuffled = dict(sorted(content.items(), reverse=True))
    through_json = json.loads(json.dumps(shuffled, indent=2, ensure_ascii=True))

    assert hash_of(content) == hash_of(through_json) == hash_of({**content, "hash": "anything"})
    assert json.loads(canonical(content)) == content


@given(OBJECTS, OBJECTS)
def test_other_content_has_another_hash(one: dict[str, object], other: dict[str, object]) -> None:
    """Two contents that canonical JSON tells apart have two hashes."""
    assert (canonical(one) == canonical(other)) is (hash_of(one) == hash_of(other))


def test_a_link_is_a_cloud_event() -> None:
    """The event is what the CloudEvents library reads, with its place in the chain in extension attributes."""
    run_id = fresh_rotation()
    first = link(run_id, event(1), None)
    second = link(run_id, event(2), head_of(first))

    read = http.from_structured_event(
        HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=canonical(second))
    )

    assert (read.get_subject(), read.get_type()) == (run_id, "dev.keyturn.rotation.command_given")
    assert read.get_source() == f"/keyturn/keyrings/{run_id.partition('.')[0]}"
    assert read.get_time() == NOW + timedelta(seconds=2)
    assert (first["sequence"], first["previoushash"]) == ("00000001", GENESIS)
    assert ("00000002", first["hash"]) == (read.get_extension("sequence"), read.get_extension("previoushash"))
    assert read.get_data() == {"command": "retry", "by": "operator-2", "step": 2}


def test_the_same_event_is_the_same_link() -> None:
    """Whoever links an event to the same head makes the same bytes, whatever zone the time was given in."""
    run_id = fresh_rotation()
    same = event(1).model_copy(update={"at": event(1).at.astimezone(timezone(timedelta(hours=5)))})

    assert canonical(link(run_id, event(1), None)) == canonical(link(run_id, same, None))


@given(TEXTS, TEXTS)
def test_a_key_is_one_id(one: str, other: str) -> None:
    """Ids are told apart like keys, within a rotation and between rotations, and fit any header."""
    run_id = "k.20260301T030000Z.abcdef"

    assert (one == other) is (event_id(run_id, one) == event_id(run_id, other))
    assert event_id(run_id, one) != event_id("k.20260301T030000Z.abcdee", one)
    assert event_id(run_id, one).removeprefix("evt_").isalnum()


def test_a_head_is_read_as_it_is_written() -> None:
    """The text of a head is its sequence and hash."""
    head = head_of(chain(3)[-1])

    assert Head.parse(str(head)) == head
    assert str(head).startswith("3:")


@pytest.mark.parametrize("text", ["", "3", "0:" + "a" * 64, "3:" + "A" * 64, "3:" + "a" * 63, "-3:" + "a" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    """The error names the field and what was expected."""
    with pytest.raises(InvalidRequestError, match="head"):
        Head.parse(text)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_type_has_a_name_of_its_own(kind: type[EventData]) -> None:
    """Types are reverse DNS names, one for each kind of event."""
    assert TYPES[kind].startswith("dev.keyturn.rotation.")
    assert list(TYPES.values()).count(TYPES[kind]) == 1


def test_long_texts_are_cut() -> None:
    """A detail of any length leaves an event small."""
    changed = StateChanged(source=None, target=State.REQUESTED, step=0, by="ada", detail="x" * 100_000)

    assert len(changed.detail.encode()) == TEXT_BYTES_MAX


def test_times_are_written_in_utc() -> None:
    """An event of any zone is written in UTC."""
    at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    data = CommandGiven(command="abort", by="ada", step=1)

    linked = link(fresh_rotation(), AuditEvent(key="k", at=at, data=data), None)

    assert datetime(2026, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z") == linked["time"]

"""Names of people: what a reader cannot see is refused, in every body that names somebody."""

import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from keyturn.contracts.characters import counted, unseen
from keyturn.errors import InvalidRequestError
from keyturn.http import parse
from keyturn.migrations.requests import MigrationRequest, RollbackRequest
from keyturn.rotation.start import StartRequest
from keyturn.runs.commands import CommandRequest
from keyturn.runs.decisions import DecisionRequest

# One of each kind, by what Unicode calls it.
UNSEEN = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "soft hyphen": "\u00ad",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "combining grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "half-width Hangul filler": "\uffa0",
    "Khmer inherent vowel": "\u17b4",
    "Mongolian vowel separator": "\u180e",
    "variation selector 16": "\ufe0f",
    "variation selector 17": "\U000e0100",
    "a tag": "\U000e0041",
    "reserved for the like": "\U000e0fff",
    "invisible times": "\u2062",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "first strong isolate": "\u2068",
    "Arabic letter mark": "\u061c",
    "annotation anchor": "\ufff9",
    "musical beam": "\U0001d173",
    "null": "\x00",
    "line feed": "\n",
    "escape": "\x1b",
    "delete": "\x7f",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "a lone surrogate": "\ud800",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "no character": "\uffff",
    "Braille blank": "\u2800",
}

BODIES: dict[str, Callable[[str], Any]] = {
    "start": lambda name: parse(StartRequest, {"requestedBy": name}),
    "waiver": lambda name: parse(StartRequest, {"waivers": [{"check": "backup", "why": "w", "by": name}]}),
    "migration": lambda name: parse(MigrationRequest, {"requestedBy": name}),
    "rollback": lambda name: parse(RollbackRequest, {"requestedBy": name}),
    "command": lambda name: parse(CommandRequest, {"requestedBy": name}),
    "decision": lambda name: parse(
        DecisionRequest, {"rotationId": "r", "decision": "approve", "evidenceDigest": "a" * 64, "approver": name}
    ),
}
FIELDS = {"waiver": "waivers.0.by", "decision": "approver"}


@pytest.mark.parametrize("kind", UNSEEN)
def test_an_invisible_character_is_named(kind: str) -> None:
    """The text that has one is told by the character's number: it could not be shown."""
    assert unseen(f"sa{UNSEEN[kind]}m") == f"U+{ord(UNSEEN[kind]):04X}"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", ["zero width space", "right-to-left override", "null", "line feed", "a tag"])
def test_a_name_that_cannot_be_read_is_refused(body: str, kind: str) -> None:
    """In every body that names a person; the answer names the field and the character."""
    with pytest.raises(InvalidRequestError) as refused:
        BODIES[body](f"sa{UNSEEN[kind]}m")

    assert refused.value.facts["field"] == FIELDS.get(body, "requestedBy")
    assert f"U+{ord(UNSEEN[kind]):04X}" in refused.value.facts["expected"]


@pytest.mark.parametrize("body", BODIES)
def test_a_name_at_whose_end_something_hides_is_refused(body: str) -> None:
    """This is how one person was two: ``sam`` and an invisible character asks, Sam approves."""
    with pytest.raises(InvalidRequestError):
        BODIES[body]("sam\u200b")


@pytest.mark.parametrize(
    "name",
    [
        "sam@example.com",
        "Jos\u00e9 M\u00fcller",
        "jose\u0301",
        "O'Brien",
        "\u5c71\u7530 \u592a\u90ce",
        "\u0414\u0430\u043d\u0430",
    ],
)
def test_a_name_that_can_be_read_is_taken(name: str) -> None:
    """Whatever its script."""
    assert unseen(name) is None
    assert parse(CommandRequest, {"requestedBy": f" {name} "}).requested_by == name


def test_whole_categories_are_unseen() -> None:
    """Every character that Unicode calls control, format, surrogate, private, unassigned or a separator of lines."""
    category = re.compile("C.|Zl|Zp")
    missed = [
        code
        for code in range(sys.maxunicode + 1)
        if category.fullmatch(unicodedata.category(chr(code))) and unseen(chr(code)) is None
    ]

    assert missed == []


@pytest.mark.parametrize(("count", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (2000, "2,000 rows")])
def test_one_is_not_many(count: int, said: str) -> None:
    """As a sentence has it."""
    assert counted(count, "row") == said

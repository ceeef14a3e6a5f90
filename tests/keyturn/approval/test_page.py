"""The approver's page: everything in it is escaped, and nothing on it is loaded or run."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.approval.page import approval_page, problem_page
from keyturn.contracts.base import RunRef
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.states import State
from keyturn.errors import EvidenceAlteredError, WrongStateError
from keyturn.http import problem_of
from keyturn.runs.evidence_summary import findings_of, to_look_at
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import (
    Command,
    Decision,
)
from tests.keyturn.approval.pages import EVIL, READER, Page, link_to, outcome, restoring, shown, waiting
from tests.keyturn.runs.lifecycle import APPROVER, CENSUS, NOW


def test_the_page_says_what_is_decided_on() -> None:
    """The verdict comes first; findings, what follows, versions by date, and who decides on what stand below it."""
    record = waiting(approval_expires_at=NOW + timedelta(days=7))

    text = " ".join(shown(record).text.split())

    said = (
        "Retire old versions of default?",
        "3 things to look at",
        "The check backup failed and was waived by",
        "10 of 10 rows are on the new version",
        "1 Mar 2026 → 1 Mar 2026",
        str(record.evidence_digest),
        "If you approve",
        "Nothing is deleted",
        "If you reject",
        "If you do nothing",
        "A decision is waited for until 8 March 2026 03:00 UTC",
        READER,
    )
    places = [text.find(sentence) for sentence in said]
    assert -1 not in places
    assert places == sorted(places)


def test_a_date_that_the_vault_does_not_tell_is_said_so() -> None:
    """The question is asked all the same: dates are no part of the evidence."""
    record = waiting()

    text = Page(approval_page(record, link_to(record), "", READER, {})).text

    assert "not known → not known" in text


def test_every_warning_has_a_box_of_its_own() -> None:
    """Those that the evidence holds, each by its key, in the form that approves and in no other."""
    record = waiting()
    warnings = [finding.key for finding in to_look_at(findings_of(record.evidence or {}))]

    boxes = [one for one in shown(record).named("input") if one["type"] == "checkbox"]

    assert warnings == ["waived:backup", "provenance", "planted"]
    assert [box["value"] for box in boxes] == warnings
    assert {(box["name"], box["form"]) for box in boxes} == {("acknowledged", "approve")}
    assert ["required" in box for box in boxes] == [True] * 3


def test_there_is_a_form_for_each_decision() -> None:
    """They go to the rotation's own address with the token, which is nowhere else; rejecting takes a comment."""
    record = waiting()

    page = shown(record, token='to"ken')

    address = f"/api/rotations/{record.run_id}/approval"
    assert [(form["id"], form["method"], form["action"]) for form in page.named("form")] == [
        ("approve", "post", address),
        ("reject", "post", address),
    ]
    tokens = [one for one in page.named("input") if one["type"] == "hidden"]
    assert [(one["name"], one["value"]) for one in tokens] == [("token", 'to"ken')] * 2
    assert [(button["form"], button["value"]) for button in page.named("button")] == [
        ("approve", "approve"),
        ("reject", "reject"),
    ]
    assert [(area["name"], "required" in area) for area in page.named("textarea")] == [
        ("comment", False),
        ("comment", True),
    ]


def test_nothing_that_people_wrote_becomes_markup() -> None:
    """Requester, reason, waivers, versions and row ids are text, wherever they stand."""
    page = shown(waiting())

    assert {tag for tag, _ in page.tags} == {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "section", "strong", "br"),
        *("ul", "ol", "li", "dl", "dt", "dd", "div", "span", "em", "code", "pre", "details", "summary"),
        *("form", "input", "label", "textarea", "button", "script"),
    }
    assert len(page.named("script")) == 1
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
    assert EVIL in page.text


def test_nothing_is_loaded_from_anywhere() -> None:
    """No source and no reference."""
    tags = shown(waiting()).tags

    assert [attributes for _, attributes in tags if {"src", "href", "srcset"} & set(attributes)] == []


def test_the_whole_evidence_is_there_and_was_hashed_again() -> None:
    """Every member of it stands in the page; with one changed beside its digest there is no page."""
    record = waiting()
    text = " ".join(shown(record).text.split())

    assert "the server has hashed the stored evidence again" in text
    assert record.evidence
    assert [name for name in record.evidence if name not in text] == []
    for foreign in (1, 2**60):  # the latter has no canonical form, so no digest either
        altered = record.changed(evidence={**record.evidence, "foreign": foreign})
        with pytest.raises(EvidenceAlteredError):
            shown(altered)


DECIDED = Decision(decision="rejected", by=EVIL, digest="d" * 64, at=NOW, comment="not today", webhook_id="other")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": State.RETIRING}, "The rotation is retiring."),
        ({"state": State.EXPIRED, "ended_at": NOW}, "Nobody decided on this evidence. The rotation is expired since 1"),
        ({"commands": [Command(command="abort", by="Otto", at=NOW, step=1)]}, "Otto asked on 1 March 2026 03:00 UTC"),
        ({"decision": DECIDED}, f'{EVIL} rejected it on 1 March 2026 03:00 UTC with the words "not today". Nothing is'),
        (
            {"decision": DECIDED, "state": State.REJECTED, "ended_at": NOW},
            '"not today". The rotation is rejected since 1 March 2026',
        ),
        ({"decisions": [DECIDED]}, "It does not hold any more"),
    ],
    ids=["gone on", "expired", "being ended", "decided", "ended", "void"],
)
def test_what_is_settled_tells_its_outcome(fields: dict[str, Any], said: str) -> None:
    """Who decided, when, what follows: and nothing to decide with."""
    assert said in outcome(waiting(**fields), "d" * 64 if "decision" in str(list(fields)) else None)


def test_the_decider_sees_so() -> None:
    """By the link that was used; whoever comes with another one reads the name."""
    record = waiting()
    decision = Decision(decision="approved", by=APPROVER, digest=record.evidence_digest or "", at=NOW, webhook_id="x")
    own = decision.model_copy(update={"webhook_id": link_to(record).message_id})

    assert f"You have approved {record.run_id}" in outcome(record.changed(decision=own))
    assert f"{APPROVER} has approved {record.run_id}" in outcome(record.changed(decision=decision))
    assert "Rows are counted once more" in outcome(record.changed(decision=own))


def test_a_restore_asks_to_enable_versions() -> None:
    """Its page says how many rows name which version and where they go, and its form goes to the restore's address."""
    record = restoring()

    page = shown(record, token="token")

    text = " ".join(page.text.split())
    address = f"/api/migrations/{record.run_id}/approval"
    assert [form["action"] for form in page.named("form")] == [address] * 2
    for said in (
        *("7 of 10 rows name disabled versions", "old, made 1 Dec 2025: 4 rows", "1 Mar 2026, 1 Dec 2025 → 1 Mar 2026"),
        *(EVIL, APPROVER, record.run_id, "and disabled again", "the rows cannot be read", "Nothing speaks against it"),
    ):
        assert said in text
    assert len(page.named("script")) == 1


def test_many_versions_are_shown_by_their_first_and_last_day() -> None:
    """Four hundred dates are no answer; their ids are all there, one click off."""
    created = {f"v{number}": NOW - timedelta(days=number) for number in range(1, 401)}
    record = restoring(evidence=None)
    evidence: dict[str, Any] = {
        "versions": dict.fromkeys(created, 1),
        "targetVersion": "new",
        "census": CENSUS.to_payload(),
    }
    record = record.changed(evidence=evidence, evidence_digest=digest_of(evidence))
    text = " ".join(Page(approval_page(record, link_to(record), "", READER, {**created, "new": NOW})).text.split())
    unknown = " ".join(Page(approval_page(record, link_to(record), "", READER, {})).text.split())

    assert "400 versions of 25 Jan 2025 to 28 Feb 2026 → 1 Mar 2026" in text
    assert "400 versions → not known" in unknown
    assert "v400, made 25 Jan 2025: 1 rows" in text


def test_a_rollback_shows_that_rows_go_back() -> None:
    """From the new version to the retired one."""
    record = restoring(work=Rollback(rotation=RunRef(run_id="r", keyring="notes", fencing_token=1), new_version="new"))

    assert "1 Mar 2026 → 1 Mar 2026, 1 Dec 2025" in " ".join(shown(record).text.split())


def test_a_refusal_says_what_to_do_next() -> None:
    """In text, from the error's hint; what has none is for whoever runs Keyturn."""
    refused = problem_of(WrongStateError(EVIL, hint=f"do {EVIL}"), instance="/api/x")
    unexpected = problem_of(RuntimeError(EVIL), instance="/api/x")

    assert Page(problem_page(refused)).named("script") == []
    assert f"do {EVIL}" in Page(problem_page(refused)).text
    assert "Ask whoever runs Keyturn" in Page(problem_page(unexpected)).text
    assert str(unexpected.body["correlationId"]) in Page(problem_page(unexpected)).text

"""The approver's page: everything in it is escaped, and nothing on it is loaded or run."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, override

import pytest

from keyturn.approval.links import Link
from keyturn.approval.page import HEADERS, STYLE, approval_page, decided_page, problem_page
from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Restore
from keyturn.contracts.pages import UnexplainedRow
from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput
from keyturn.errors import WrongStateError
from keyturn.http import problem_of
from keyturn.rotation.evidence import build_evidence, digest_of
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import Check, Decision, HistoryEntry, Preflight, Provenance, RequestOptions, Waiver
from keyturn.runs.records import MigrationRecord, RotationRecord
from tests.keyturn.runs.lifecycle import APPROVER, CENSUS, NOW, make_record

EVIL = "<script>alert('x')</script>\" onload=\"x"


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all tags of this name."""
        return [attributes for name, attributes in self.tags if name == tag]


READER = "Grace <grace@example.com>"  # who is signed in, by name, while the link is for an object id


def waiting(**fields: Any) -> RotationRecord:
    """Return a record that waits for a decision, with everything in its evidence that a person could have written."""
    waiver = Waiver(check="backup", by=EVIL, why=EVIL)
    record = make_record(
        requested_by=EVIL,
        reason=EVIL,
        options=RequestOptions(waivers=[waiver]),
        preflight=Preflight(at=NOW, checks=[Check(name="backup", outcome="waived", detail=EVIL)]),
        old_versions=[EVIL],
        provenance=Provenance(since=None, created=None, count=1, named=[UnexplainedRow(id=EVIL, reason="changed")]),
        state=State.AWAITING_APPROVAL,
    )
    freeze = FreezeInput(
        run=record.ref, target_version=EVIL, census=CENSUS, stale_writers=0, last_stale_write=None, expires_at=NOW
    )
    evidence = build_evidence(record, freeze)
    return record.changed(evidence=evidence, evidence_digest=digest_of(evidence), **fields)


def restoring(**fields: Any) -> MigrationRecord:
    """Return a restore that waits for a decision, with everything in its evidence that a person could have written."""
    evidence = {
        "versions": {EVIL: 3, "old": 4},
        "targetVersion": EVIL,
        "census": CENSUS.to_payload(),
        "reason": EVIL,
    }
    values: dict[str, Any] = {
        "run_id": "notes.m.20260301T030000Z.abcdef",
        "keyring": "notes",
        "history": [HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor=EVIL)],
        "requested_by": EVIL,
        "requested_at": NOW,
        "policy": Policy(),
        "instance_id": "migration-notes",
        "fencing_token": 1,
        "work": Restore(),
        "state": State.AWAITING_APPROVAL,
        "evidence": evidence,
        "evidence_digest": "d" * 64,
    }
    return MigrationRecord(**{**values, **fields})


def shown(record: RunRecord, token: str = "") -> Page:
    """Return the page for an approver."""
    link = Link(
        run_id=record.run_id,
        evidence_digest=record.evidence_digest or "",
        approver=APPROVER,
        expires_at=NOW + timedelta(hours=1),
    )
    return Page(approval_page(record, link, token, READER))


def test_the_page_says_what_is_decided_on() -> None:
    """Rotation, digest, approver, versions, counts and warnings stand in it, in words."""
    record = waiting()

    page = shown(record)

    for said in (
        record.run_id,
        record.evidence_digest,
        READER,
        "10 of 10 on the new version",
        "waived by",
        "last rotation",
    ):
        assert str(said) in page.text


def test_the_form_carries_the_token_and_two_decisions() -> None:
    """It goes to the rotation's own address; the token is in it and nowhere else that a browser sends by itself."""
    record = waiting()

    page = shown(record, token='to"ken')

    [form] = page.named("form")
    assert (form["method"], form["action"]) == ("post", f"/api/rotations/{record.run_id}/approval")
    assert [(field["name"], field["value"]) for field in page.named("input")] == [("token", 'to"ken')]
    assert [button["value"] for button in page.named("button")] == ["approve", "reject"]


def test_nothing_that_people_wrote_becomes_markup() -> None:
    """Requester, reason, waivers, versions and row ids are text, wherever they stand."""
    page = shown(waiting())

    assert {tag for tag, _ in page.tags} == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "p",
        "section",
        "ul",
        "li",
    } | {*("dl", "dt", "dd", "code", "form", "input", "label", "textarea", "button")}
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
    assert EVIL in page.text


def test_nothing_is_loaded_from_anywhere() -> None:
    """No source, no reference, and a policy that would refuse both."""
    page = shown(waiting())

    loading = [attributes for _, attributes in page.tags if {"src", "href", "srcset"} & set(attributes)]
    assert loading == []
    assert not re.search(r"url\(|@import", STYLE)


def test_the_policy_allows_one_style_and_one_target() -> None:
    """Scripts, frames and foreign forms are refused by the browser; the address with its token goes nowhere."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))

    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{style}'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert (HEADERS["Cache-Control"], HEADERS["Referrer-Policy"]) == ("no-store", "strict-origin")


@pytest.mark.parametrize(
    "fields",
    [
        {"state": State.RETIRING},
        {"decision": Decision(decision="rejected", by=EVIL, digest="d", at=NOW)},
    ],
    ids=["gone on", "decided"],
)
def test_what_cannot_be_decided_has_no_form(fields: dict[str, Any]) -> None:
    """The page says so instead."""
    page = shown(waiting(**fields))

    assert page.named("form") == []
    assert "nothing" in page.text


def test_a_restore_asks_to_enable_versions() -> None:
    """Its page says how many rows name which version and where they go, and its form goes to the restore's address."""
    record = restoring()

    page = shown(record, token="token")

    [form] = page.named("form")
    assert form["action"] == f"/api/migrations/{record.run_id}/approval"
    for said in ("7 of 10 rows name disabled versions", "old: 4 rows", EVIL, "d" * 64, APPROVER, record.run_id):
        assert said in page.text
    assert page.named("script") == []
    assert shown(restoring(state=State.RUNNING)).named("form") == []
    assert "disabled again" in Page(decided_page(record, "approve")).text
    assert "Nothing is enabled" in Page(decided_page(record, "reject")).text


def test_answers_are_pages_too() -> None:
    """What was decided, and why something was refused, is said in text."""
    record = waiting()
    refused = problem_of(WrongStateError(EVIL, hint=EVIL), instance="/api/x")

    assert f"You have approved {record.run_id}" in Page(decided_page(record, "approve")).text
    assert "Nothing is disabled" in Page(decided_page(record, "reject")).text
    assert Page(problem_page(refused)).named("script") == []
    assert EVIL in Page(problem_page(refused)).text

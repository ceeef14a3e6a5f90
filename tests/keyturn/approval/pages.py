"""The approver's pages as a browser takes them apart, with everything in them that a person could have written."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, override

from keyturn.approval.links import Link
from keyturn.approval.page import approval_page, outcome_page
from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Restore
from keyturn.contracts.pages import UnexplainedRow
from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput
from keyturn.rotation.evidence import build_evidence
from keyturn.runs.record import RunRecord, digest_of
from keyturn.runs.record_parts import (
    Check,
    HistoryEntry,
    Preflight,
    Provenance,
    RequestOptions,
    Waiver,
)
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
    evidence: dict[str, Any] = {
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
        "evidence_digest": digest_of(evidence),
    }
    return MigrationRecord(**{**values, **fields})


CREATED = {"old": NOW - timedelta(days=90), EVIL: NOW}


def link_to(record: RunRecord) -> Link:
    """Return an approver's link to the record's evidence."""
    digest, until = record.evidence_digest or "", NOW + timedelta(hours=1)
    return Link(run_id=record.run_id, evidence_digest=digest, approver=APPROVER, expires_at=until)


def shown(record: RunRecord, token: str = "") -> Page:
    """Return the page for an approver."""
    return Page(approval_page(record, link_to(record), token, READER, CREATED))


def outcome(record: RunRecord, digest: str | None = None) -> str:
    """Return what the page tells of what came of the question, on one line."""
    link = link_to(record)
    page_of_outcome = Page(
        outcome_page(record, link.model_copy(update={"evidence_digest": digest}) if digest else link)
    )
    assert page_of_outcome.named("form") == page_of_outcome.named("script") == []
    return " ".join(page_of_outcome.text.split())

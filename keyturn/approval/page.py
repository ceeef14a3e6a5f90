"""The approver's page: the evidence in plain words, its digest, and a form for one decision."""

from collections.abc import Iterator
from html import escape
from typing import Any

from keyturn.approval.html import facts, listing, page, paragraph, section
from keyturn.approval.links import Link
from keyturn.problems import Problem
from keyturn.rotation.links import approval_link
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.states import State

COMMENT_MAX = 500


def approval_page(record: RotationRecord, link: Link, token: str) -> str:
    """Return the page on which the link's approver looks at the evidence and decides."""
    evidence: dict[str, Any] = dict(record.evidence or {})
    waiting = record.state is State.AWAITING_APPROVAL and record.decision is None
    return page(
        f"Retire old versions of {record.keyring}?",
        paragraph(
            f"{record.requested_by} asked for this rotation. Every row was moved to a new version of the key. If you "
            "approve, the old versions are disabled; nothing is deleted, and they can be enabled again."
        ),
        *_warnings(evidence),
        section("What was found", listing(*_sentences(evidence))),
        section("What would be disabled", listing(*evidence.get("oldVersions", []))),
        section(
            "What you decide on",
            facts(
                ("Rotation", record.rotation_id),
                ("Evidence digest", link.evidence_digest),
                ("You are", link.approver),
                ("The link opens until", f"{link.expires_at:%Y-%m-%d %H:%M} UTC"),
            ),
            _form(record, token) if waiting else paragraph(_closed(record)),
        ),
    )


def decided_page(record: RotationRecord, decision: str) -> str:
    """Return the page that confirms a decision."""
    approved = decision == "approve"
    follows = "After a last count the old versions are disabled." if approved else "Nothing is disabled."
    title = f"You have {'approved' if approved else 'rejected'} {record.rotation_id}"
    return page(title, paragraph(follows), paragraph("You may close this page."))


def problem_page(problem: Problem) -> str:
    """Return the page that says why something was refused."""
    body = problem.body
    said = [body["detail"], *([body["hint"]] if "hint" in body else [])]
    return page(str(body["title"]), *(paragraph(text) for text in said))


def _form(record: RotationRecord, token: str) -> str:
    # The token is in the form and in no cookie: another site can send nothing in the approver's name.
    return (
        f'<form method="post" action="{escape(approval_link(record.rotation_id))}">'
        f'<input type="hidden" name="token" value="{escape(token)}">'
        '<label for="comment">Comment</label>'
        f'<textarea id="comment" name="comment" rows="3" maxlength="{COMMENT_MAX}"></textarea>'
        '<button type="submit" name="decision" value="approve">Approve</button>'
        '<button type="submit" name="decision" value="reject">Reject</button></form>'
    )


def _closed(record: RotationRecord) -> str:
    if record.decision is not None:
        return f"{record.decision.by} has {record.decision.decision} it. There is nothing more to decide."
    return f"The rotation is {record.state.value.replace('_', ' ')}. There is nothing to decide."


def _sentences(evidence: dict[str, Any]) -> Iterator[str]:
    census, proof = evidence.get("census") or {}, evidence.get("proof") or {}
    yield f"{census.get('onTarget')} of {census.get('total')} rows are on version {evidence.get('targetVersion')}."
    yield f"{census.get('stale')} rows are not, {evidence.get('quarantined')} cannot be moved."
    yield f"{evidence.get('foreign')} rows belong to other keys and were left alone."
    yield f"{proof.get('proven')} rows were opened with the new version and hold the same key as before."
    for name, what in (("canaries", "documents decrypt"), ("probes", "addresses of the backend answer")):
        tried = evidence.get(name) or []
        yield f"{sum(one['outcome'] == 'pass' for one in tried)} of {len(tried)} {what}."
    yield f"{(evidence.get('staleWriters') or {}).get('count')} rows were written under an old version meanwhile."
    if evidence.get("reason"):
        yield f"The reason that was given: {evidence['reason']}"


def _warnings(evidence: dict[str, Any]) -> Iterator[str]:
    for waived in evidence.get("waivedChecks") or []:
        said = f"The check {waived['check']} failed and was waived by {waived['by']}: {waived['why']}"
        yield paragraph(f"{said} (found: {waived['detail']})", warning=True)
    if warning := (evidence.get("proof") or {}).get("warning"):
        yield paragraph(warning, warning=True)
    if (provenance := evidence.get("provenance") or {}).get("count"):
        named = ", ".join(row["id"] for row in provenance["named"])
        yield paragraph(
            f"{provenance['count']} rows are not as the last rotation left them, and no run has changed them: {named}",
            warning=True,
        )

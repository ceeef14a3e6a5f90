"""The approver's page: the evidence in plain words, its digest, and a form for one decision."""

from html import escape

from keyturn.approval.html import facts, listing, page, paragraph, section
from keyturn.approval.links import Link
from keyturn.approval.questions import Question, question_of
from keyturn.problems import Problem
from keyturn.rotation.links import approval_link
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.states import State

COMMENT_MAX = 500


def approval_page(record: RunRecord, link: Link, token: str) -> str:
    """Return the page on which the link's approver looks at the evidence and decides."""
    question = question_of(record)
    waiting = record.state is State.AWAITING_APPROVAL and record.decision is None
    return page(
        question.title,
        paragraph(question.asked),
        *(paragraph(text, warning=True) for text in question.warnings),
        section("What was found", listing(*question.found)),
        section(question.heading, listing(*question.versions)),
        section(
            "What you decide on",
            facts(
                (question.name, record.rotation_id),
                ("Evidence digest", link.evidence_digest),
                ("You are", link.approver),
                ("The link opens until", f"{link.expires_at:%Y-%m-%d %H:%M} UTC"),
            ),
            _form(record, token) if waiting else paragraph(_closed(record, question)),
        ),
    )


def decided_page(record: RunRecord, decision: str) -> str:
    """Return the page that confirms a decision."""
    question, approved = question_of(record), decision == "approve"
    title = f"You have {'approved' if approved else 'rejected'} {record.rotation_id}"
    follows = question.if_approved if approved else question.if_rejected
    return page(title, paragraph(follows), paragraph("You may close this page."))


def problem_page(problem: Problem) -> str:
    """Return the page that says why something was refused."""
    body = problem.body
    said = [body["detail"], *([body["hint"]] if "hint" in body else [])]
    return page(str(body["title"]), *(paragraph(text) for text in said))


def _form(record: RunRecord, token: str) -> str:
    # The token is in the form and in no cookie: another site can send nothing in the approver's name.
    return (
        f'<form method="post" action="{escape(approval_link(record.rotation_id))}">'
        f'<input type="hidden" name="token" value="{escape(token)}">'
        '<label for="comment">Comment</label>'
        f'<textarea id="comment" name="comment" rows="3" maxlength="{COMMENT_MAX}"></textarea>'
        '<button type="submit" name="decision" value="approve">Approve</button>'
        '<button type="submit" name="decision" value="reject">Reject</button></form>'
    )


def _closed(record: RunRecord, question: Question) -> str:
    if record.decision is not None:
        return f"{record.decision.by} has {record.decision.decision} it. There is nothing more to decide."
    return f"The {question.name.lower()} is {record.state.value.replace('_', ' ')}. There is nothing to decide."

"""The approver's page: the evidence in plain words, its digest, and a form for one decision.

It is HTML in which everything is escaped, served under headers that let it load nothing and run nothing.
"""

import base64
import hashlib
from html import escape

from keyturn.approval.links import Link
from keyturn.approval.questions import Question, question_of
from keyturn.contracts.characters import visible
from keyturn.contracts.states import State
from keyturn.http import Problem
from keyturn.ids import approval_link
from keyturn.runs.record import RunRecord

COMMENT_MAX = 500
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff;overflow-wrap:anywhere}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}"
    "dt{font-weight:600}dd{margin:0 0 .6rem}.warning{border-left:4px solid #b35900;padding-left:.8rem}"
    "label{display:block;margin:1rem 0 .3rem}textarea{width:100%;box-sizing:border-box;font:inherit}"
    "button{font:inherit;padding:.5rem 1.2rem;margin:1rem 1rem 0 0}"
)

# Nothing is loaded from anywhere and nothing runs; the one style is named by its hash; forms go to this app alone.
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "strict-origin",  # the address holds the token; App Service refuses a form without an origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def _text(value: object) -> str:
    return escape(visible(str(value)))


def page(title: str, *parts: str) -> str:
    """Return a whole page; the parts are HTML already, the title is text."""
    heading = _text(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{heading}</h1>{''.join(parts)}</main></body></html>"
    )


def paragraph(text: object, *, warning: bool = False) -> str:
    """Return a paragraph of text."""
    return f"<p{' class="warning"' if warning else ''}>{_text(text)}</p>"


def section(title: str, *parts: str) -> str:
    """Return parts under a heading."""
    return f"<section><h2>{_text(title)}</h2>{''.join(parts)}</section>"


def facts(*named: tuple[str, object]) -> str:
    """Return a list of names and what stands behind each."""
    items = (f"<dt>{_text(name)}</dt><dd><code>{_text(value)}</code></dd>" for name, value in named)
    return f"<dl>{''.join(items)}</dl>"


def listing(*items: object) -> str:
    """Return a list of texts."""
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>"


def approval_page(record: RunRecord, link: Link, token: str, reader: str) -> str:
    """Return the page on which the link's approver, by name the reader, looks at the evidence and decides."""
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
                (question.name, record.run_id),
                ("Evidence digest", link.evidence_digest),
                ("You are", reader),
                ("The link opens until", f"{link.expires_at:%Y-%m-%d %H:%M} UTC"),
            ),
            _form(record, token) if waiting else paragraph(_closed(record, question)),
        ),
    )


def decided_page(record: RunRecord, decision: str) -> str:
    """Return the page that confirms a decision."""
    question, approved = question_of(record), decision == "approve"
    title = f"You have {'approved' if approved else 'rejected'} {record.run_id}"
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
        f'<form method="post" action="{escape(approval_link(record.run_id))}">'
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

"""The approver's page: what was found, what follows, and two buttons; afterwards, what came of it.

The words are those of the evidence and of the question; how they look is in the templates.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from keyturn.approval.links import Link
from keyturn.approval.questions import outcome_of, question_of
from keyturn.errors import InvariantError
from keyturn.html import day, render
from keyturn.http import Problem
from keyturn.ids import approval_link
from keyturn.runs.evidence_summary import findings_of, to_look_at, verdict
from keyturn.runs.record import RunRecord

COMMENT_MAX = 500
DAYS_MAX = 4  # versions whose days are told one by one

type Created = Mapping[str, datetime | None]  # when each version of the MEK was made, as far as the vault tells


def approval_page(record: RunRecord, link: Link, token: str, reader: str, created: Created) -> str:
    """Return the page on which the link's approver, by name the reader, looks at the evidence and decides.

    Raises:
        EvidenceAlteredError: the stored evidence, hashed here once more, is not what the digest names.
    """
    evidence = record.check_evidence()
    question, findings = question_of(record), findings_of(evidence)
    target = str(evidence.get("targetVersion"))
    made = {version: day(created.get(version)) for version in (*question.versions, target)}
    old = _days([*question.versions], created)
    return render(
        "approval/question.html",
        record=record,
        link=link,
        token=token,
        reader=reader,
        action=approval_link(record.run_id),
        comment_max=COMMENT_MAX,
        question=question,
        verdict=verdict(findings),
        findings=findings,
        warnings=to_look_at(findings),
        evidence=evidence,
        target=target,
        made=made,
        dates=[made[target], old] if question.back else [old, made[target]],
    )


def _days(versions: Sequence[str], created: Created) -> str:
    """Return when these versions were made; of many, from when to when."""
    if len(versions) <= DAYS_MAX:
        return ", ".join(day(created.get(version)) for version in versions) or "none"
    known = sorted(at for version in versions if (at := created.get(version)) is not None)
    return f"{len(versions)} versions{f' of {day(known[0])} to {day(known[-1])}' if known else ''}"


def outcome_page(record: RunRecord, link: Link) -> str:
    """Return the page that tells what came of the question that the link asked.

    Raises:
        InvariantError: nothing has come of it yet.
    """
    outcome = outcome_of(record, link.evidence_digest, link.message_id)
    if outcome is None:
        raise InvariantError("nothing has come of the question", rotationId=record.run_id)
    return render("approval/outcome.html", record=record, outcome=outcome, link=link)


def problem_page(problem: Problem) -> str:
    """Return the page that says why something was refused, and what to do next."""
    hint = problem.body.get("hint") or "Ask whoever runs Keyturn, and name the time at which you saw this."
    return render("problem.html", problem=problem.body, hint=hint)

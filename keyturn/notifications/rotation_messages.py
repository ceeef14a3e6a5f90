"""The messages about a rotation: what happened, what it means, what to do, and where to look.

Only facts of the run's record are told, which holds no key and no secret; people's remarks are told as they wrote them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from keyturn.contracts.steps import NotifyInput
from keyturn.runs.evidence_summary import summarize
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord

NAMED = 10  # so many quarantined rows or documents are named in a message; the report has more

type Texts = Callable[[RotationRecord, NotifyInput], tuple[str, str]]


def moment(at: datetime | None) -> str:
    """Return a time as people write it."""
    return "an unknown time" if at is None else f"{at:%d %B %Y %H:%M} UTC".lstrip("0")


def rows(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def paragraph(*lines: str) -> str:
    """Return the lines as one text."""
    return "\n".join(lines)


def decided_by(record: RunRecord) -> str:
    """Return who decided on the evidence, with the remark that was made."""
    if record.decision is None:
        return "Somebody"
    remark = f' with the words "{record.decision.comment}"' if record.decision.comment else ""
    return f"{record.decision.by}{remark}"


def ended_by(record: RunRecord) -> str:
    """Return who asked to end the run."""
    return record.abort.by if record.abort is not None else "somebody"


def quarantined(record: RunRecord) -> list[str]:
    """Return a line for each of the first rows or documents that could not be worked on."""
    return [f"- {found.id}: {found.reason}" for found in record.quarantined.named[:NAMED]]


def _started(record: RotationRecord, _told: NotifyInput) -> tuple[str, str]:
    plan = record.preflight.plan if record.preflight is not None else None
    size = "" if plan is None else f" {rows(plan.rows)} will be moved onto a new key version."
    reason = f" The reason: {record.reason}." if record.reason else ""
    checks = record.preflight.checks if record.preflight is not None else []
    waived = [check.name for check in checks if check.outcome == "waived"]
    passed = "passed" if not waived else f"passed, or was waived ({', '.join(waived)})"
    return (
        f"rotation of {record.keyring} has begun",
        paragraph(
            f"{record.requested_by} asked for it, and every check before it {passed}.{size}{reason}",
            "Nothing is retired before another person approves it.",
        ),
    )


def _blocked(record: RotationRecord, _told: NotifyInput) -> tuple[str, str]:
    checks = record.preflight.checks if record.preflight is not None else []
    failed = [f"- {check.name}: {check.detail}. {check.hint}".strip() for check in checks if check.outcome == "fail"]
    return (
        f"rotation of {record.keyring} did not begin",
        paragraph("Nothing was changed. These checks failed:", *failed, "Fix them and start again."),
    )


def _needs_attention(record: RotationRecord, told: NotifyInput) -> tuple[str, str]:
    return (
        f"rotation of {record.keyring} needs your attention",
        paragraph(
            f"It has stopped: {told.detail}.",
            *quarantined(record),
            "All versions stay enabled and everything stays readable.",
            "When the cause is fixed, tell it to retry; or abort it.",
        ),
    )


def _approval_wanted(record: RotationRecord, _told: NotifyInput) -> tuple[str, str]:
    summary = summarize(record.evidence or {})
    warnings = [f"- {warning}" for warning in summary.warnings]
    return (
        f"please decide on the rotation of {record.keyring}",
        paragraph(
            "Everything has moved onto the new key version. May the old one be retired?",
            f"Any approver may decide; only {record.requested_by} cannot, who asked for the rotation.",
            "",
            *(["Look at this first:", *warnings, ""] if warnings else []),
            *summary.findings,
            f"To be retired: {', '.join(record.old_versions) or 'nothing'}",
            f"Decide by: {moment(record.approval_expires_at)}",
            f"Evidence digest: {record.evidence_digest}",
        ),
    )


def _failed(record: RotationRecord, told: NotifyInput) -> tuple[str, str]:
    why = f"{record.error.type}: {record.error.message}" if record.error is not None else told.detail
    return (
        f"rotation of {record.keyring} failed",
        paragraph(
            f"{why}.",
            "Every version that it had disabled is enabled again. Read the report, fix the cause, start again.",
        ),
    )


def _overdue(record: RotationRecord, told: NotifyInput) -> tuple[str, str]:
    return (
        f"a rotation of {record.keyring} is overdue",
        paragraph(
            f"One was due on {told.detail}, and none has been completed since.",
            f"The latest, requested on {moment(record.requested_at)}, is {record.state.value.replace('_', ' ')}.",
        ),
    )


def _plain(title: str, text: str) -> Texts:
    """Return a message that is the same sentences for every rotation but for names."""

    def filled(record: RotationRecord, told: NotifyInput) -> tuple[str, str]:
        facts = {
            "keyring": record.keyring,
            "requested_by": record.requested_by,
            "by": decided_by(record),
            "ended_by": ended_by(record),
            "detail": told.detail or "none",
            "retired": ", ".join(record.retired) or "nothing",
            "reinstated": ", ".join(record.reinstated) or "none was disabled",
            "moved": f"{rows(record.census.on_target)} now open"
            if record.census is not None
            else "Everything now opens",
        }
        return title.format(**facts), text.format(**facts)

    return filled


ROTATION_MESSAGES: Mapping[str, Texts] = {
    "on_call": _plain(
        "a rotation of {keyring} is about to begin",
        "{requested_by} asked for it. Nothing is expected of you; should it need help, you will be told here.",
    ),
    "started": _started,
    "blocked": _blocked,
    "needs_attention": _needs_attention,
    "approval_wanted": _approval_wanted,
    "approval_reminder": _approval_wanted,
    "approval_void": _plain(
        "the approval for {keyring} no longer holds",
        "Nothing was retired: {detail}. They are moved now, and you will be asked again on new evidence.",
    ),
    "approved": _plain(
        "rotation of {keyring} is approved",
        "{by} approved it.\nRows are counted once more; if none was left behind, the old versions are retired.",
    ),
    "rejected": _plain(
        "rotation of {keyring} was rejected",
        "{by} rejected it. Every version stays enabled; rows stay on the new one, which is fine.",
    ),
    "expired": _plain(
        "no decision on the rotation of {keyring}",
        "The time to decide is over. Every version stays enabled. Start a new rotation to be asked again.",
    ),
    "aborted": _plain(
        "rotation of {keyring} was aborted",
        "{ended_by} ended it. Every version stays enabled, and everything stays readable.",
    ),
    "retired": _plain(
        "old key versions of {keyring} are retired",
        "Disabled, not deleted: {detail}.\n"
        "Canaries and probes are watched now; should one fail, the versions are enabled again at once.",
    ),
    "reinstated": _plain(
        "retired versions of {keyring} are enabled again",
        "The reason: {detail}.\nEnabled again: {reinstated}. Find the cause before the next rotation.",
    ),
    "completed": _plain("rotation of {keyring} is complete", "{moved} with the new key version. Retired: {retired}."),
    "failed": _failed,
    "overdue": _overdue,
}

"""The messages about migrations: rows moved, documents worked on, rotations rolled back, backups restored."""

from collections.abc import Callable, Mapping

from keyturn.contracts.steps import NotifyInput
from keyturn.notifications.events import UNREADABLE
from keyturn.notifications.rotation_messages import decided_by, ended_by, moment, paragraph, quarantined, rows
from keyturn.runs.records import MigrationRecord

type Texts = Callable[[MigrationRecord, NotifyInput], tuple[str, str]]

_NAMES = {
    "rewrap-deks": "the move of rows",
    "rollback": "the rollback",
    "restore": "the restore",
    "encrypt": "the encryption of documents",
    "re-encrypt": "the re-encryption of documents",
    "decrypt-check": "the check of documents",
}

# What there is to know where a migration has ended before its end.
_LEFT = "What could be read before can be read now; what was not done can be done by another one."


def _name(record: MigrationRecord) -> str:
    return f"{_NAMES[record.work.kind]} of {record.keyring}"


def _started(record: MigrationRecord, _told: NotifyInput) -> tuple[str, str]:
    reason = f" The reason: {record.reason}." if record.reason else ""
    return (
        f"{_name(record)} has begun",
        f"{record.requested_by} asked for it.{reason} Until it has ended, no rotation of {record.keyring} begins.",
    )


def _approval_wanted(record: MigrationRecord, _told: NotifyInput) -> tuple[str, str]:
    counts = record.census.by_version if record.census is not None else {}
    named = [
        f"- {version}: {rows(counts[version]) if version in counts else 'not known'}" for version in record.versions
    ]
    return (
        f"please decide on {_name(record)}",
        paragraph(
            "Rows came back that name disabled versions. May these be enabled for as long as moving the rows takes?",
            *named,
            f"Any approver may decide; only {record.requested_by} cannot, who asked for the restore.",
            "",
            f"Rows go to version: {record.target_version or 'not known'}",
            f"Decide by: {moment(record.approval_expires_at)}",
            f"Evidence digest: {record.evidence_digest}",
        ),
    )


def _needs_attention(record: MigrationRecord, told: NotifyInput) -> tuple[str, str]:
    return (
        f"{_name(record)} needs your attention",
        paragraph(
            f"It has stopped: {told.detail}.",
            *quarantined(record),
            f"No rotation of {record.keyring} begins meanwhile. Fix the cause and tell it to retry; or abort it.",
        ),
    )


def _unreadable(record: MigrationRecord, told: NotifyInput) -> tuple[str, str]:
    return (
        f"{_name(record)} found what does not decrypt",
        paragraph(f"{told.detail}.", *quarantined(record), "Diagnose each of them: the runbook says how."),
    )


def _failed(record: MigrationRecord, told: NotifyInput) -> tuple[str, str]:
    why = f"{record.error.type}: {record.error.message}" if record.error is not None else told.detail
    return f"{_name(record)} failed", paragraph(f"{why}.", _LEFT)


def _plain(title: str, text: str) -> Texts:
    """Return a message that is the same sentences for every run but for names."""

    def filled(record: MigrationRecord, told: NotifyInput) -> tuple[str, str]:
        facts = {"run": _name(record), "by": decided_by(record), "ended_by": ended_by(record), "detail": told.detail}
        return title.format(**facts), text.format(**facts)

    return filled


_UNREAD = "Nothing was changed: the rows stay, and they cannot be read."

MIGRATION_MESSAGES: Mapping[str, Texts] = {
    "started": _started,
    "approval_wanted": _approval_wanted,
    "approval_reminder": _approval_wanted,
    "approved": _plain(
        "{run} is approved", "{by} approved it. The versions are enabled, and disabled again when the rows have moved."
    ),
    "rejected": _plain("{run} was rejected", f"{{by}} rejected it. {_UNREAD}"),
    "expired": _plain("no decision on {run}", f"The time to decide is over. {_UNREAD} Start another one."),
    "needs_attention": _needs_attention,
    "aborted": _plain("{run} was aborted", f"{{ended_by}} ended it. {_LEFT}"),
    "completed": _plain("{run} is complete", "{detail}."),
    UNREADABLE: _unreadable,
    "failed": _failed,
}

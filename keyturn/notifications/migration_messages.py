"""The messages about migrations: rows moved, documents worked on, rotations rolled back, backups restored."""

from collections.abc import Mapping

from keyturn.contracts.migrations import Reencrypt, Rollback
from keyturn.contracts.steps import NotifyInput
from keyturn.notifications.events import UNREADABLE
from keyturn.notifications.rotation_messages import Template, below, run_facts
from keyturn.runs.evidence_summary import rows
from keyturn.runs.records import MigrationRecord

_NAMES = {
    "rewrap-deks": "the move of rows",
    "rollback": "the rollback",
    "restore": "the restore",
    "restore-rows": "the copying of rows from another account",
    "encrypt": "the encryption of documents",
    "re-encrypt": "the re-encryption of documents",
    "decrypt-check": "the check of documents",
}


def migration_facts(record: MigrationRecord, request: NotifyInput) -> dict[str, str]:
    """Return what the messages about a migration tell."""
    counts = record.census.by_version if record.census is not None else {}
    rollback = isinstance(record.work, Rollback)
    named = {version: rows(counts[version]) if version in counts else "not known" for version in record.versions}
    return {
        **run_facts(record, request),
        "run": f"{_NAMES[record.work.kind]} of {record.keyring}",
        "versions": below(f"- {version}: {count}" for version, count in named.items()),
        "target": record.target_version or "not known",
        "question": _ROLLBACK if rollback else _RESTORE,
        "then": "" if rollback else ", and disabled again when the rows have moved",
        "left": "the rows stay where they are." if rollback else "the rows stay, and they cannot be read.",
        "rotation": record.work.rotation.run_id if isinstance(record.work, Rollback) else "",
        "named": request.detail or "none",
        "next": _next(record),
    }


def _next(record: MigrationRecord) -> str:
    """Return what people have to do after a migration that has done all that it was to do."""
    work = record.work
    if not isinstance(work, Reencrypt) or work.target_keyring == record.keyring:
        return ""
    old, new = record.keyring, work.target_keyring
    return f"\nNext: point the backend at the key and the dek store of {new}; then {_TAKE_OUT.format(old=old)}"


# A keyring without readers is rotated, and told to be overdue or drifting, for as long as it is listed.
_TAKE_OUT = (
    "take {old} out of KEYTURN_KEYRINGS, or its monthly rotation goes on, and calls people. Keep its key and its rows."
)
# What there is to know where a migration has ended before its end.
_LEFT = "What could be read before can be read now; what was not done can be done by another one."
_UNREAD = "Nothing was changed: {left}"
_RESTORE = "Rows came back that name disabled versions. May these be enabled for as long as moving the rows takes?"
_ROLLBACK = "A rotation has retired these versions. May they be enabled again, and its rows go back to them?"

_APPROVAL_WANTED = Template(
    "please decide on {run}",
    "{question}{altered}{versions}\n"
    "Any approver may decide; only {requested_by} cannot, who asked for it.{reason}\n\n"
    "Current version: {target}\n"
    "Decide by: {decide_by}\n"
    "Evidence digest: {digest}",
)

MIGRATION_MESSAGES: Mapping[str, Template] = {
    "started": Template(
        "{run} has begun",
        "{requested_by} asked for it.{reason} Until it has ended, no rotation of {keyring} begins.",
    ),
    "approval_wanted": _APPROVAL_WANTED,
    "approval_reminder": _APPROVAL_WANTED,
    "approved": Template(
        "{run} is approved",
        "{by} approved it. The versions are enabled{then}.",
    ),
    "reinstated": Template(
        "retired versions of {keyring} are enabled again",
        "{run}, for which {requested_by} asked and which {by} approved, has enabled what {rotation} had retired: "
        "{named}.",
    ),
    "rejected": Template("{run} was rejected", f"{{by}} rejected it. {_UNREAD}"),
    "expired": Template("no decision on {run}", f"The time to decide is over. {_UNREAD} Start another one."),
    "needs_attention": Template(
        "{run} needs your attention",
        "It has stopped: {detail}.{quarantined}\n"
        "No rotation of {keyring} begins meanwhile. Fix the cause and tell it to retry; or abort it.",
    ),
    "aborted": Template("{run} was aborted", f"{{ended_by}} ended it. {_LEFT}"),
    "completed": Template("{run} is complete", "{detail}.{next}"),
    UNREADABLE: Template(
        "{run} found what does not decrypt",
        "{detail}.{quarantined}\nDiagnose each of them: the runbook says how.",
    ),
    "failed": Template("{run} failed", f"{{why}}.\n{_LEFT}"),
}

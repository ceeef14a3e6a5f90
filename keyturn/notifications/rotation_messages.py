"""The messages about a rotation: what happened, what it means, what to do, and where to look."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from keyturn.contracts.characters import visible
from keyturn.contracts.steps import NotifyInput
from keyturn.runs.evidence_summary import Finding, findings_of, moment, rows, state_in_words, verdict
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord

ALTERED = "THE EVIDENCE WAS CHANGED after it was frozen. No decision is taken on it: abort the run."
NAMED = 10  # so many quarantined rows or documents are named in a message; the report has more


class Template(NamedTuple):
    """A message; facts of the run's record stand in it by their names, in braces."""

    title: str
    text: str


class Lines(str):
    """Lines that are visible each: in a message they stay lines."""

    __slots__ = ()


def below(lines: Iterable[str]) -> Lines:
    """Return the lines, each on one of its own after what comes before; nothing if there are none."""
    return Lines("".join(f"\n{visible(line)}" for line in lines))


def finding_lines(found: Iterable[Finding]) -> Lines:
    """Return each finding with its mark, and what approving would mean of what is to be looked at."""
    meant = ((one, f" If approved: {one.if_approved}" if one.mark == "look" else "") for one in found)
    return below(f"- {one.mark}: {one.sentence}{more}" for one, more in meant)


def run_facts(record: RunRecord, request: NotifyInput) -> dict[str, str]:
    """Return what is known of a run of any kind."""
    decision, abort, error = record.decision, record.abort, record.error
    remark = f' with the words "{decision.comment}"' if decision is not None and decision.comment else ""
    return {
        "keyring": record.keyring,
        "requested_by": record.requested_by,
        "reason": f" The reason: {record.reason}." if record.reason else "",
        "by": "Somebody" if decision is None else f"{decision.by}{remark}",
        "ended_by": "somebody" if abort is None else abort.by,
        "detail": request.detail,
        "why": request.detail if error is None else f"{error.type}: {error.message}",
        "quarantined": below(f"- {found.id}: {found.reason}" for found in record.quarantined.named[:NAMED]),
        "decide_by": moment(record.approval_expires_at),
        "digest": str(record.evidence_digest),
        "altered": below([ALTERED] if record.evidence_intact is False else []),
    }


def rotation_facts(record: RotationRecord, request: NotifyInput) -> dict[str, str]:
    """Return what the messages about a rotation tell."""
    plan = record.preflight.plan if record.preflight is not None else None
    checks = record.preflight.checks if record.preflight is not None else []
    failed = [f"- {check.name}: {check.detail}. {check.hint}".strip() for check in checks if check.outcome == "fail"]
    waived = ", ".join(check.name for check in checks if check.outcome == "waived")
    evidence = record.evidence or {}
    found = findings_of(evidence)
    return {
        **run_facts(record, request),
        "size": "" if plan is None else f" {rows(plan.rows)} will be moved onto a new key version.",
        "passed": f"passed, or was waived ({waived})" if waived else "passed",
        "failed": below(failed),
        "verdict": verdict(found),
        "findings": finding_lines(found),
        "stated": f" The reason: {evidence['reason']}." if evidence.get("reason") else "",
        "target": str(evidence.get("targetVersion") or "not known"),
        "old": ", ".join(record.old_versions) or "nothing",
        "named": request.detail or "none",
        "retired": ", ".join(record.retired) or "nothing",
        "reinstated": ", ".join(record.reinstated) or "none was disabled",
        "moved": "Everything now opens" if record.census is None else f"{rows(record.census.on_target)} now open",
        "requested_at": moment(record.requested_at),
        "state": state_in_words(record.state),
    }


_APPROVAL_WANTED = Template(
    "please decide on the rotation of {keyring}",
    "{verdict}. Everything has moved onto the new key version. May the old one be retired?{altered}\n"
    "Any approver may decide; only {requested_by} cannot, who asked for the rotation.{stated}\n"
    "{findings}\n\n"
    "To be retired: {old}\n"
    "New version: {target}\n"
    "Decide by: {decide_by}\n"
    "Evidence digest: {digest}",
)

ROTATION_MESSAGES: Mapping[str, Template] = {
    "on_call": Template(
        "a rotation of {keyring} is about to begin",
        "{requested_by} asked for it. Nothing is expected of you; should it need help, you will be told here.",
    ),
    "started": Template(
        "rotation of {keyring} has begun",
        "{requested_by} asked for it, and every check before it {passed}.{size}{reason}\n"
        "Nothing is retired before another person approves it.",
    ),
    "blocked": Template(
        "rotation of {keyring} did not begin",
        "Nothing was changed. These checks failed:{failed}\nFix them and start again.",
    ),
    "needs_attention": Template(
        "rotation of {keyring} needs your attention",
        "It has stopped: {detail}.{quarantined}\n"
        "All versions stay enabled and everything stays readable.\n"
        "When the cause is fixed, tell it to retry; or abort it.",
    ),
    "approval_wanted": _APPROVAL_WANTED,
    "approval_reminder": _APPROVAL_WANTED,
    "approval_void": Template(
        "the approval for {keyring} no longer holds",
        "Nothing was retired: {named}. They are moved now, and you will be asked again on new evidence.",
    ),
    "approved": Template(
        "rotation of {keyring} is approved",
        "{by} approved it.\nRows are counted once more; if none was left behind, the old versions are retired.",
    ),
    "rejected": Template(
        "rotation of {keyring} was rejected",
        "{by} rejected it. Every version stays enabled; rows stay on the new one, which is fine.",
    ),
    "expired": Template(
        "no decision on the rotation of {keyring}",
        "The time to decide is over. Every version stays enabled. Start a new rotation to be asked again.",
    ),
    "aborted": Template(
        "rotation of {keyring} was aborted",
        "{ended_by} ended it. Every version stays enabled, and everything stays readable.",
    ),
    "retired": Template(
        "old key versions of {keyring} are retired",
        "Disabled, not deleted: {named}.\n"
        "Canaries and probes are watched now; should one fail, the versions are enabled again at once.",
    ),
    "reinstated": Template(
        "retired versions of {keyring} are enabled again",
        "The reason: {named}.\nEnabled again: {reinstated}. Find the cause before the next rotation.",
    ),
    "completed": Template("rotation of {keyring} is complete", "{moved} with the new key version. Retired: {retired}."),
    "failed": Template(
        "rotation of {keyring} failed",
        "{why}.\nEvery version that it had disabled is enabled again. Read the report, fix the cause, start again.",
    ),
    "overdue": Template(
        "a rotation of {keyring} is overdue",
        "One was due on {detail}, and none has been completed since.\n"
        "The latest, requested on {requested_at}, is {state}.",
    ),
}

"""What happens next, after a command that was obeyed: for people, on standard error, with the command that shows it."""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from keyturn.cli.tables import wrapped
from keyturn.contracts.states import TERMINAL, State

_STARTED = {
    "rotation": "pre-flight is next, and after the soak another person decides",
    "dry run": "it looks, counts and changes nothing",
    "rollback": "rows go back next, after an approval where versions were retired",
    "restore": "it looks for rows under disabled versions, then another person decides",
    "migration": "rows or documents are worked on next",
}
# How soon a run ends that is told to, by its state: what works on rows looks between two waves of pages.
_ABORTING = {
    **dict.fromkeys((State.SWEEPING, State.SOAKING, State.RUNNING), "at the next wave"),
    **dict.fromkeys((State.REQUESTED, State.PREFLIGHT, State.CREATING_VERSION), "after the step under way"),
}


def started(kind: str, run: str, *, dry_run: bool) -> str:
    """Return what a run of this kind does now that it was asked for."""
    return _watch(f"asked; {_STARTED['dry run' if dry_run else kind]}", run)


def commanded(command: str, run: str, status: Mapping[str, Any]) -> str:
    """Return what becomes of ``retry``, ``abort`` or ``reinstate``; ``status`` is the answer to it."""
    if command == "retry":
        return _watch("retry asked; it goes on with what is left", run)
    if command == "abort":
        return _watch(f"abort asked; it ends {_ABORTING.get(State(status['state']), 'within a minute')}", run)
    if State(status["state"]) in TERMINAL:
        enabled = ", ".join(status.get("reinstated") or []) or f"see: keyturn report {quote(run)}"
        return f"reinstated; enabled again: {enabled}"
    return _watch("reinstatement asked; what it has retired is enabled again next", run)


def decided(decision: str, run: str, effect: str) -> str:
    """Return what becomes of a decision, of which ``effect`` is what approving does."""
    return _watch(f"approved; {effect}" if decision == "approve" else "rejected; nothing is changed, and it ends", run)


def effect_of(evidence: Mapping[str, Any] | None) -> str:
    """Return what approving this evidence does, in words; None is evidence that was not looked at."""
    if evidence is None:
        return "what its evidence names is done next"
    if "versions" in evidence:
        many = _versions(len(evidence["versions"]), "disabled ")
        if "rotationId" in evidence:
            return f"{many} enabled again next, and the rows go back"
        return f"{many} enabled next, until every row has moved"
    from datetime import timedelta

    from pydantic import TypeAdapter

    from keyturn.runs.evidence_summary import span

    watch = (evidence.get("policy") or {}).get("watch")
    lasts = TypeAdapter(timedelta).validate_python(watch or 0)
    watched = f", then watched for {span(lasts)}" if lasts else ""
    return f"{_versions(len(evidence.get('oldVersions') or []), 'old ')} disabled next{watched}"


def _versions(count: int, kind: str) -> str:
    return f"the {kind}version is" if count == 1 else f"{count} {kind}versions are"


def _watch(text: str, run: str) -> str:
    return "\n".join([*wrapped("", f"{text}:", 0, 0), f"  keyturn watch {quote(run)}"])

"""A run's status in at most twelve lines of 80 columns: what it is, waits for, has done, and what to do next."""

from datetime import timedelta
from typing import Any

from keyturn.cli.tables import WIDTH, bar, command_lines, from_now, moment, span, width, wrapped
from keyturn.cli.waiting import is_undecided
from keyturn.contracts.states import TERMINAL, State

LINES_MAX = 12  # of 80 columns
_INDENT = 13
_DOCUMENTS = frozenset({"encrypt", "re-encrypt", "decrypt-check"})  # kinds that name documents


def run_of(found: dict[str, Any]) -> str:
    """Return the id of the run that a status or a line of a list is about."""
    return str(found.get("rotationId") or found.get("migrationId") or "")


def status_lines(found: dict[str, Any]) -> list[str]:
    """Return the lines; ``found`` is the status as the app answers it. Where they are too many, texts are cut first."""
    one = -(-WIDTH // width())  # so many lines are one of 80 columns
    decision = found.get("decision") or {}
    decided = f"{decision['decision']} by {decision['by']}, {moment(decision.get('at'))}" if decision else "none"
    below = [
        *wrapped("rows", _rows(found), _INDENT, one),
        *wrapped("census", census_line(found.get("census")), _INDENT, one),
        *_quarantined(found, one),
        *wrapped("decision", decided, _INDENT, one),
        *wrapped("evidence", found.get("evidenceDigest") or "none yet", _INDENT, 0),
        *command_lines("next", next_command(found), _INDENT),
    ]
    left = max(2, LINES_MAX * one - len(below))
    run = wrapped("run", about(found), _INDENT, 0)  # one line, where it fits; an id is not cut
    if len(run) > 1:
        run = [*wrapped("run", run_of(found), _INDENT, 0), *wrapped("", _described(found), _INDENT, one)]
    # The state says what the run waits for, so every line that is free is for it.
    state = wrapped("state", _state(found), _INDENT, max(min(2 * one, left - 1), left - len(run)))
    return [*run[: max(1, left - len(state))], *state, *below]


def about(found: dict[str, Any]) -> str:
    """Return what the run is, and who asked for it."""
    return f"{run_of(found)}: {_described(found)}"


def _described(found: dict[str, Any]) -> str:
    dry = ", dry run" if found.get("dryRun") else ""
    return f"{found.get('kind') or 'rotation'}{dry}, by {found.get('requestedBy') or 'someone unknown'}"


def _state(found: dict[str, Any]) -> str:
    waits = found.get("waitsFor") or {}
    until = waits.get("until")
    said = [f"{found['state']} until {moment(until)} ({from_now(until)})" if until else str(found["state"])]
    said += [f"waits for {waits['what']}"] if waits.get("what") else []
    said += [text for text in [found.get("detail")] if text]
    if ended := found.get("endedAt"):
        said[0] += f", ended {moment(ended)}"
    return "; ".join(said)


def _rows(found: dict[str, Any]) -> str:
    counts, phase, percent = found.get("counts") or {}, found.get("phase"), found.get("percent")
    if phase in counts and percent is not None:
        counted, rate, eta = counts[phase], found.get("rowsPerSecond"), found.get("etaSeconds")
        total = "?" if counted.get("rowsTotal") is None else f"{counted['rowsTotal']:,}"
        paced = "" if rate is None else f", {rate:,.1f}/s"
        left = "" if eta is None else f", {span(timedelta(seconds=eta))} left"
        return f"{bar(percent)} {percent} % of {total}{paced}{left}"
    done = {"sweep": "changed", "proof": "proven", "check": "looked at"}
    told = [f"{count.get('changed', 0):,} {done.get(name, name)}" for name, count in counts.items()]
    return ", ".join(told) or "none yet"


def census_line(census: dict[str, Any] | None) -> str:
    """Return a census in a line."""
    if census is None:
        return "not taken yet"
    on_target, stale, foreign = (census.get(name, 0) for name in ("onTarget", "stale", "foreign"))
    return f"{on_target:,} on the target version, {stale:,} stale, {foreign:,} of other keys"


def _quarantined(found: dict[str, Any], one: int) -> list[str]:
    held = found.get("quarantined") or {}
    if not held.get("count"):
        return wrapped("quarantined", "none", _INDENT, 1)
    named = held.get("named") or []
    listed = ", ".join(f"{row['id']} ({row['reason']})" for row in named)
    lines = wrapped("quarantined", f"{held['count']:,}: {listed}", _INDENT, one)
    look = command_lines("", diagnosis_of(found, named[0]["id"]), _INDENT) if named else []
    whole = command_lines("", ["keyturn", "status", run_of(found), "--full"], _INDENT)
    return [*lines, *(look if len(look) == 1 else whole)]


def diagnosis_of(found: dict[str, Any], item: str) -> list[str]:
    """Return the command that says why a quarantined row or document cannot be worked on."""
    if found.get("kind") in _DOCUMENTS and "/" in item:
        container, _, document = item.partition("/")
        return ["keyturn", "diagnose", "document", document, "--container", container]
    return ["keyturn", "diagnose", "dek", item]


def next_command(found: dict[str, Any]) -> list[str]:
    """Return the command that comes next."""
    run, state = run_of(found), State(found["state"])
    if is_undecided(found) and found.get("evidenceDigest"):
        return ["keyturn", "approve", run, "--digest", found["evidenceDigest"]]
    if state is State.NEEDS_ATTENTION:
        return ["keyturn", "retry", run]
    if state is State.COMPLETED and found.get("dryRun") and not found.get("kind"):
        return ["keyturn", "rotate", "--keyring", str(found.get("keyring"))]
    if state in TERMINAL:
        return ["keyturn", "report", run]
    return ["keyturn", "watch", run]

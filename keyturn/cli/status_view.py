"""A run's status in at most twelve lines of 80 columns: what it is, waits for, has done, and what to do next."""

from datetime import timedelta
from typing import Any

from keyturn.cli.tables import WIDTH, bar, command_lines, from_now, moment, span, width, wrapped
from keyturn.cli.waiting import is_undecided
from keyturn.contracts.states import TERMINAL, State

LINES_MAX = 12  # of 80 columns
_INDENT = 13
# Who has the lines that are free, in turn.
_GROWING = ("state", "", "look", "quarantined", "decision", "census", "rows")
_DOCUMENTS = frozenset({"encrypt", "re-encrypt", "decrypt-check"})  # kinds that name documents


def run_of(found: dict[str, Any]) -> str:
    """Return the id of the run that a status or a line of a list is about."""
    return str(found.get("rotationId") or found.get("migrationId") or "")


def status_lines(found: dict[str, Any]) -> list[str]:
    """Return the lines; ``found`` is the status as the app answers it. A text is cut only where no line is free."""
    one = -(-WIDTH // width())  # so many lines are one of 80 columns
    decision = found.get("decision") or {}
    decided = f"{decision['decision']} by {decision['by']}, {moment(decision.get('at'))}" if decision else "none"
    split = len(wrapped("run", about(found), _INDENT, 0)) > 1  # an id that has a line of its own is not cut
    texts = {
        "run": run_of(found) if split else about(found),
        **({"": _described(found)} if split else {}),
        "state": _state(found),
        "rows": _rows(found),
        "census": census_line(found.get("census")),
        "quarantined": _quarantined(found),
        "decision": decided,
    }
    below = [
        *wrapped("evidence", found.get("evidenceDigest") or "none yet", _INDENT, 0),
        *command_lines("next", next_command(found), _INDENT),
    ]
    look, whole = _look_lines(found)
    needed = {name: len(wrapped(name, text, _INDENT, 0)) for name, text in texts.items()} | {"look": len(look)}
    given = {name: min(count, one) for name, count in needed.items()}
    given |= {"run": needed["run"], "state": min(needed["state"], 2 * one), "look": min(len(look), len(whole))}
    free = LINES_MAX * one - len(below) - sum(given.values())
    for name in ("", "state"):  # where names are of the longest, these give way
        less = max(0, min(given.get(name, 0) - (name == "state"), -free))
        given[name], free = given.get(name, 0) - less, free + less
    for name in _GROWING:
        more = max(0, min(needed.get(name, 0) - given[name], free))
        given[name], free = given[name] + more, free - more
    lines = {name: wrapped(name, text, _INDENT, given[name]) if given[name] else [] for name, text in texts.items()}
    lines["quarantined"] += look if len(look) <= given["look"] else whole
    return [*(line for group in lines.values() for line in group), *below]


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


def _quarantined(found: dict[str, Any]) -> str:
    held = found.get("quarantined") or {}
    if not held.get("count"):
        return "none"
    return f"{held['count']:,}: {', '.join(f'{row["id"]} ({row["reason"]})' for row in held.get('named') or [])}"


def _look_lines(found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the command that diagnoses what is quarantined, and the one that shows all of it."""
    held = found.get("quarantined") or {}
    if not held.get("count"):
        return [], []
    whole = command_lines("", ["keyturn", "status", run_of(found), "--full"], _INDENT)
    named = held.get("named") or []
    look = command_lines("", diagnosis_of(found, named[0]["id"]), _INDENT) if named else whole
    return (look if max(map(len, look)) <= width() else whole), whole


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

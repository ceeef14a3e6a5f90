"""Evidence as findings, in sentences: what was found, what to look at first, and what approving it would mean.

The approver's page, the console, the command line and the messages all use them, so that they cannot tell different
things. They are read from the evidence itself, which is what the digest is of, and not from the record around it. What
the evidence does not say is something to look at: nothing passes by absence.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from keyturn.contracts.base import ProofScope
from keyturn.contracts.characters import counted
from keyturn.contracts.states import State

NAMED_MAX = 5  # rows that a sentence names; the evidence has up to 100
CHANGED = "Whoever changed them may know their keys, and they stay in use: compare them with a backup first."

_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


class Finding(NamedTuple):
    """One thing that was found; ``note`` marks what is neither good nor bad, such as a check that is not set up."""

    key: str  # what an acknowledgement names it by, within one evidence
    mark: Literal["pass", "look", "note"]
    sentence: str
    if_approved: str = ""  # what approving would mean, of what is to be looked at


def findings_of(evidence: Mapping[str, Any]) -> list[Finding]:
    """Return everything that was found, what is to be looked at first."""
    found = [*(_enablement(evidence) if "versions" in evidence else _retirement(evidence))]
    return [*to_look_at(found), *(finding for finding in found if finding.mark != "look")]


def to_look_at(findings: Sequence[Finding]) -> list[Finding]:
    """Return what speaks against approving; an approver acknowledges each."""
    return [finding for finding in findings if finding.mark == "look"]


def verdict(findings: Sequence[Finding]) -> str:
    """Return the findings in one line."""
    if count := len(to_look_at(findings)):
        return f"{counted(count, 'thing')} to look at"
    return "All checks passed" if any(finding.mark == "pass" for finding in findings) else "Nothing speaks against it"


def moment(at: datetime | None) -> str:
    """Return a time as people write it."""
    return "an unknown time" if at is None else f"{at:%d %B %Y %H:%M} UTC".lstrip("0")


def rows(count: int) -> str:
    """Return a number of rows in words."""
    return counted(count, "row")


def _retirement(evidence: Mapping[str, Any]) -> Iterator[Finding]:
    for waived in evidence.get("waivedChecks") or []:
        said = f"The check {waived['check']} failed and was waived by {waived['by']}: {waived['why']}"
        found = f"{said} (found: {waived['detail']})."
        yield Finding(f"waived:{waived['check']}", "look", found, "The run goes on without what it is there for.")
    yield _stale_writers(evidence)
    yield _proof(evidence.get("proof") or {})
    yield _census(evidence)
    yield _unexplained(evidence, "provenance", "Rows that no run has left as they are")
    yield _unexplained(evidence, "planted", "Rows that were changed beside this rotation")
    yield _tried(evidence, "canaries", "canary document decrypts", "canary documents decrypt")
    yield _tried(evidence, "probes", "probed address answers", "probed addresses answer")
    yield _policy(evidence.get("policy") or {})


def _census(evidence: Mapping[str, Any]) -> Finding:
    stays = "The last count before the retirement stops it while a row is left on an old version."
    if (census := evidence.get("census")) is None:
        return Finding("census", "look", "It is not known which versions the rows are on.", stays)
    total, on_target, stale = census["total"], census["onTarget"], census["stale"]
    quarantined, foreign = evidence.get("quarantined", 0), census["foreign"]
    said = f"{on_target:,} of {rows(total)} are on the new version, {stale:,} on an old one"
    other = f"; {foreign:,} of other keys are left alone" if foreign else ""
    if stale or quarantined or on_target + foreign != total:
        return Finding("census", "look", f"{said}{other}; {quarantined:,} cannot be moved.", stays)
    return Finding("census", "pass", f"{said}, and none is quarantined{other}.")


def _proof(proof: Mapping[str, Any]) -> Finding:
    unread = "A row that does not open with the new version cannot be read once the old ones are disabled."
    if not proof or proof.get("warning"):
        said = f"No row was proven: {proof['warning']}." if proof else "It is not known whether the rows open."
        return Finding("proof", "look", said, unread)
    wanted = ProofScope.parse(proof["mode"])
    scope = "every rewrapped row" if wanted.mode == "all" else f"a {wanted.mode} of {wanted.size}"
    said = f"{rows(proof['proven'])} opened with the new version, each to the same key ({scope})"
    if failed := proof.get("quarantined"):
        return Finding("proof", "look", f"{said}; {failed:,} did not.", unread)
    return Finding("proof", "pass", f"{said}.")


def _policy(policy: Mapping[str, Any]) -> Finding:
    if not policy:
        return Finding("policy", "look", "It is not known how long it soaked.", "Stale writers may be at work unseen.")
    soak, watch = (_DURATION.validate_python(policy[name]) for name in ("soak", "watch"))
    watched = f"after the retirement it is watched for {span(watch)}" if watch else "nothing watches the retirement"
    if not soak:
        return Finding("policy", "note", f"It did not soak: the policy gives it no time; {watched}.")
    return Finding("policy", "pass", f"It soaked for {span(soak)}; {watched}.")


def _tried(evidence: Mapping[str, Any], name: str, one: str, many: str) -> Finding:
    if not (tried := evidence.get(name) or []):
        return Finding(name, "note", f"0 {many}: there were none to try.")
    passed = sum(found["outcome"] == "pass" for found in tried)
    said = f"{passed} of {len(tried)} {one if len(tried) == 1 else many}."
    if passed == len(tried):
        return Finding(name, "pass", said)
    return Finding(name, "look", said, "What fails now may fail afterwards for the same reason: find out why first.")


def _stale_writers(evidence: Mapping[str, Any]) -> Finding:
    unreadable = "What such a writer creates after the retirement cannot be read."
    if (writers := evidence.get("staleWriters")) is None:
        return Finding("stale_writers", "look", "It is not known whether there are stale writers.", unreadable)
    if not (count := writers["count"]):
        return Finding("stale_writers", "pass", "No stale writer was seen.")
    last = f", the last on {moment(datetime.fromisoformat(writers['lastSeen']))}" if writers["lastSeen"] else ""
    said = f"{rows(count)} {'was' if count == 1 else 'were'} still written under an old version{last}"
    return Finding("stale_writers", "look", f"{said}; all of them were moved.", unreadable)


def _unexplained(evidence: Mapping[str, Any], name: str, what: str) -> Finding:
    if (seen := evidence.get(name)) is None:
        return Finding(name, "look", f"{what}: not known.", CHANGED)
    if not (count := seen["count"]):
        if seen["since"] is None:
            return Finding(name, "note", f"{what}: none seen, with no earlier rotation to compare with.")
        return Finding(name, "pass", f"{what}: none.")
    named = ", ".join(row["id"] for row in seen["named"][:NAMED_MAX])
    return Finding(name, "look", f"{what}: {count:,} ({named}{', ...' if count > NAMED_MAX else ''}).", CHANGED)


def _enablement(evidence: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what a restore or a rollback found: the counts are why it is asked for, and no check."""
    census = evidence.get("census") or {}
    if "rotationId" in evidence:
        moved = census.get("rewrapped", 0)
        adopted = f", or by {len(others)} that it adopted" if (others := evidence.get("adopted")) else ""
        whose = f"the rotation {evidence['rotationId']}{adopted}"
        said = f"{moved:,} of {rows(census.get('total', 0))} were moved by {whose}"
        if moved:
            yield Finding("rows", "note", f"{said}.")
        else:
            vain = "Retired versions are enabled, and no row goes back to them."
            yield Finding("rows", "look", f"{said}: there is nothing to roll back.", vain)
        return
    named = sum(evidence["versions"].values())
    yield Finding("rows", "note", f"{named:,} of {rows(census.get('total', 0))} name disabled versions.")


def span(length: timedelta) -> str:
    """Return a duration in the largest units that tell it: ``1 day``, ``36 hours``, ``1.5 seconds``."""
    seconds = length.total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"
    return f"{seconds:g} {'second' if seconds == 1 else 'seconds'}"


def state_in_words(state: State) -> str:
    """Return a state as a sentence has it."""
    return state.value.replace("_", " ")

"""The evidence of a rotation in a few sentences: what was found, and what an approver should look at first.

The page and the messages both use it, so that they cannot tell different things. It reads the evidence itself, which
is what the digest is of, and not the record around it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from keyturn.contracts.base import ProofScope

NAMED_MAX = 5  # rows that a sentence names; the report has all


def findings_of(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yield everything that was found, in sentences; what the evidence does not say is said to be unknown."""
    yield f"Rows: {_rows(evidence)}"
    yield f"Proof: {_proof(evidence.get('proof') or {})}"
    yield f"Policy: {_policy(evidence.get('policy') or {})}"
    for name, what in (("canaries", "Canaries: {} documents decrypt"), ("probes", "Probes: {} addresses answer")):
        tried = evidence.get(name) or []
        yield what.format(f"{sum(one['outcome'] == 'pass' for one in tried)} of {len(tried)}")
    yield f"Stale writers: {_stale_writers(evidence) or 'none seen'}"
    yield f"Rows that no run has left as they are: {_unexplained(evidence, 'provenance')}"
    yield f"Rows that were changed beside this rotation: {_unexplained(evidence, 'planted')}"
    yield f"Waived checks: {', '.join(waived['check'] for waived in evidence.get('waivedChecks') or []) or 'none'}"
    yield f"New version: {evidence.get('targetVersion') or 'not known'}"
    if evidence.get("reason"):
        yield f"The reason that was given: {evidence['reason']}"


def warnings_of(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yield what speaks against approving, in sentences."""
    for waived in evidence.get("waivedChecks") or []:
        said = f"The check {waived['check']} failed and was waived by {waived['by']}: {waived['why']}"
        yield f"{said} (found: {waived['detail']})"
    if warning := (evidence.get("proof") or {}).get("warning"):
        yield str(warning)
    if written := _stale_writers(evidence):
        yield f"{written}: what such a writer creates after the retirement, nobody can read"
    if (evidence.get("provenance") or {}).get("count"):
        found = _unexplained(evidence, "provenance")
        yield f"Rows are not as the last rotation left them, and no run has changed them: {found}"
    if (evidence.get("planted") or {}).get("count"):
        yield f"While the rotation ran, rows were changed that it has not changed: {_unexplained(evidence, 'planted')}"


def _rows(evidence: Mapping[str, Any]) -> str:
    if (census := evidence.get("census")) is None:
        return "not known"
    moved = f"{census['onTarget']:,} of {census['total']:,} on the new version, {census['stale']:,} on an old one"
    foreign = f"; {census['foreign']:,} of other keys, which are left alone" if census["foreign"] else ""
    return f"{moved}, {evidence.get('quarantined', 0):,} that cannot be moved{foreign}"


def _proof(proof: Mapping[str, Any]) -> str:
    if not proof:
        return "not known"
    if proof.get("warning"):
        return f"NONE - {proof['warning']}"
    wanted = ProofScope.parse(proof["mode"])
    scope = "every rewrapped row" if wanted.mode == "all" else f"a {wanted.mode} of {wanted.size}"
    return f"{proof['proven']:,} rows open with the new version to the same key ({scope})"


def _policy(policy: Mapping[str, Any]) -> str:
    if not policy:
        return "not known"
    return f"soaked for {policy['soak']}, and to be watched for {policy['watch']} after the retirement"


def _stale_writers(evidence: Mapping[str, Any]) -> str:
    writers = evidence.get("staleWriters") or {}
    if not writers.get("count"):
        return ""
    last = (
        f", the last on {datetime.fromisoformat(writers['lastSeen']):%d %B %Y %H:%M} UTC" if writers["lastSeen"] else ""
    )
    return f"{writers['count']:,} rows were still written under an old version{last}; all of them were moved"


def _unexplained(evidence: Mapping[str, Any], name: str) -> str:
    if (seen := evidence.get(name)) is None:
        return "not known"
    if not seen["count"]:
        return "none" if seen["since"] is not None else "none seen, with no earlier rotation to compare with"
    named = ", ".join(row["id"] for row in seen["named"][:NAMED_MAX])
    return f"{seen['count']:,} ({named}{', ...' if seen['count'] > NAMED_MAX else ''})"

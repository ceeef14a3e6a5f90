"""The evidence in a few lines, for whoever is to decide: counts, proof, rows to be wary of, waived checks, versions."""

from keyturn.runs.records import RotationRecord

UNKNOWN = "not known"
NAMED_MAX = 5  # a message is no report


def evidence_in_short(record: RotationRecord) -> list[str]:
    """Return the lines; what is not known is said to be so."""
    return [
        f"Rows: {_rows(record)}",
        f"Proof: {_proof(record)}",
        f"Stale writers: {_stale_writers(record)}",
        f"Rows that no run has left as they are: {_unexplained(record)}",
        f"Waived checks: {_waived(record)}",
        f"To be retired: {', '.join(record.old_versions) or 'nothing'}",
        f"New version: {record.target_version or UNKNOWN}",
    ]


def _rows(record: RotationRecord) -> str:
    counted = record.census
    if counted is None:
        return UNKNOWN
    foreign = f"; {counted.foreign:,} of other keys, which are left alone" if counted.foreign else ""
    return f"{counted.on_target:,} of {counted.total:,} on the new version, {counted.stale:,} on an old one{foreign}"


def _proof(record: RotationRecord) -> str:
    if record.proof is None:
        return UNKNOWN
    if record.proof.warning is not None:
        return f"NONE - {record.proof.warning}"
    wanted = record.policy.proof
    scope = "every rewrapped row" if wanted.mode == "all" else f"a {wanted.mode} of {wanted.size}"
    return f"{record.proof.proven:,} rows open with the new version to the same key ({scope})"


def _stale_writers(record: RotationRecord) -> str:
    writers = record.stale_writers
    if not writers.count:
        return "none seen"
    last = f", the last on {writers.last_seen:%d %B %Y %H:%M} UTC" if writers.last_seen is not None else ""
    return f"{writers.count:,} rows were still written under an old version{last}; all of them were moved"


def _unexplained(record: RotationRecord) -> str:
    seen = record.provenance
    if seen is None:
        return UNKNOWN
    if not seen.count:
        return "none" if seen.since is not None else "none seen, with no earlier rotation to compare with"
    named = ", ".join(row.id for row in seen.named[:NAMED_MAX])
    return f"{seen.count:,} ({named}{', ...' if seen.count > NAMED_MAX else ''}) - look at them before you approve"


def _waived(record: RotationRecord) -> str:
    checks = record.preflight.checks if record.preflight is not None else []
    waived = [check for check in checks if check.outcome == "waived"]
    return "; ".join(f"{check.name} ({check.detail})" for check in waived) or "none"

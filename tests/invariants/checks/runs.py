"""What must hold for runs: I8 one at a time, I10 bad rows are named and block, I11 success is counted."""

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from keyturn.contracts.passes import SweepResult
from keyturn.contracts.states import State
from keyturn.runs.records import RotationRecord
from tests.invariants.checks.rows import Item
from tests.invariants.checks.versions import Version


def running_at_once(records: Iterable[RotationRecord]) -> list[str]:
    """I8: name the rotations of a keyring that ran at the same time, and fencing tokens that did not grow."""
    ordered = sorted(records, key=lambda record: (record.requested_at, record.fencing_token))
    wrong = []
    for earlier, later in pairwise(ordered):
        if earlier.ended_at is None or earlier.ended_at > later.requested_at:
            wrong.append(f"{later.run_id} began while {earlier.run_id} ran")
        if later.fencing_token <= earlier.fencing_token:
            wrong.append(f"{later.run_id} has token {later.fencing_token}, not more than the one before")
    return wrong


def unaccounted(
    record: RotationRecord, bad: Mapping[str, str], rows: Collection[Item], versions: Mapping[str, Version]
) -> list[str]:
    """I10: name bad rows that are not quarantined for their reason, good rows left behind, and what was retired."""
    named = {row.id: row.reason for row in record.quarantined.named}
    wrong = [
        f"row {row_id} is quarantined for {named.get(row_id)}, not {reason}"
        for row_id, reason in bad.items()
        if named.get(row_id) != reason
    ]
    wrong += [f"row {row_id} is quarantined, and there is nothing wrong with it" for row_id in named.keys() - bad]
    wrong += [
        f"row {item['id']} was left behind for a bad one"
        for item in rows
        if item["id"] not in bad and item.get("mekVersion") != record.target_version
    ]
    if bad:
        wrong += [f"version {name} is disabled with bad rows left" for name, at in versions.items() if not at.enabled]
    return wrong


PAST_THE_SWEEP = frozenset({State.SOAKING, State.AWAITING_APPROVAL, State.RETIRING, State.WATCHING, State.COMPLETED})


def unreconciled(record: RotationRecord, rows: Collection[Item]) -> list[str]:
    """I11: say where the record claims more than what can be counted in the store."""
    if record.state not in PAST_THE_SWEEP:
        return []
    stale = [item["id"] for item in rows if item.get("mekVersion") != record.target_version]
    wrong = [f"the rotation is {record.state}, and row {row_id} is not on the target" for row_id in stale]
    if record.proof is not None and record.proof.mode == "all":
        rewrapped = sum(item.get("rotationId") == record.run_id for item in rows)
        if record.proof.proven < rewrapped:
            wrong.append(f"{rewrapped} rows were rewrapped, and {record.proof.proven} proven")
    return wrong


def unsettled(result: SweepResult, rows: Collection[Item], target: str) -> list[str]:
    """I11: say so where a sweep calls itself settled with rows left."""
    stale = sum(item.get("mekVersion") != target for item in rows)
    return [f"the sweep settled with {stale} rows left"] if result.settled and stale else []

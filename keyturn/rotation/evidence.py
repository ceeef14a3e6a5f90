"""Evidence: everything an approver needs, as canonical JSON (RFC 8785); its SHA-256 is what a decision is bound to.

Evidence says which policy was followed. The workflow's input carries the policy too, and a writer to the task
hub can change that, so the freeze and the retirement hold the record's own history against the record's policy.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput, FreezeResult
from keyturn.errors import InvariantError, NotSettledError
from keyturn.preflight.checks import waiver_of
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import Proof, Provenance, StaleWriters
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import CLOCK_SLACK, update_live, void_evidence

SCHEMA = "keyturn/evidence/v1"
# The step too: another soak is other evidence, even where it finds the same, so an approval does not outlive its round.
AS_RECORDED = {
    *("keyring", "step", "requested_by", "reason", "old_versions", "policy"),
    *("canaries", "probes", "provenance", "planted"),
}
UNPROVEN = "rewrapped rows were not proven: the policy says unsafe_off"


async def freeze_evidence(runs: RotationStore, freeze: FreezeInput, now: datetime, planted: Provenance) -> FreezeResult:
    """Freeze the evidence of this soak, once, and return its digest; a decision on earlier evidence is void.

    ``planted`` is what ``look_again`` has found at this moment; what this soak has frozen before stays.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the rotation is not soaking and has no evidence, or was not soaked as its policy says.
        NotSettledError: the record's census or proof is not what the policy and the input say, or not visible yet.
    """

    def change(record: RotationRecord) -> RotationRecord:
        if record.evidence_digest is not None and record.state is not State.SOAKING:
            return record  # a late repetition: what came after must not change what was decided on
        if record.state is not State.SOAKING:
            raise InvariantError(f"evidence cannot be frozen while {record.state}", rotationId=record.run_id)
        if freeze.census != record.census:
            raise NotSettledError("the census to freeze is not the record's", rotationId=record.run_id)
        if record.evidence is None:
            record = record.changed(planted=planted)
        evidence = build_evidence(record, freeze)
        check_followed(record, evidence, now)
        digest = digest_of(evidence)
        if digest == record.evidence_digest:
            return record
        return void_evidence(record).changed(
            evidence=evidence,
            evidence_digest=digest,
            evidence_frozen_at=now,
            approval_expires_at=min(freeze.expires_at, now + record.policy.approval_expiry),
            stale_writers=_stale_writers(freeze),
            proof=proof_of(record),
        )

    record = await update_live(runs, freeze.run, change)
    if record.evidence_digest is None:
        raise InvariantError("no evidence is in force after the freeze", rotationId=record.run_id)
    return FreezeResult(evidence_digest=record.evidence_digest)


def build_evidence(record: RotationRecord, freeze: FreezeInput) -> dict[str, JsonValue]:
    """Return the evidence: only what was found, nothing that another run of the same step would give another value."""
    preflight = record.preflight.checks if record.preflight is not None else []
    waived: list[JsonValue] = [
        {"check": check.name, "detail": check.detail, "by": waiver.by, "why": waiver.why}
        for check in preflight
        if check.outcome == "waived" and (waiver := waiver_of(record, check.name)) is not None
    ]
    return {
        **record.model_dump(mode="json", by_alias=True, include=AS_RECORDED),
        "schema": SCHEMA,
        "rotationId": record.run_id,
        "targetVersion": freeze.target_version,
        "census": freeze.census.to_payload(),
        "proof": proof_of(record).to_payload(),
        "waivedChecks": waived,
        "quarantined": record.quarantined.count,
        "foreign": freeze.census.foreign,
        "staleWriters": _stale_writers(freeze).to_payload(),
    }


def check_followed(record: RotationRecord, evidence: Mapping[str, Any], frozen_at: datetime) -> None:
    """Hold the run against its policy.

    Raises:
        InvariantError: it soaked for less than its policy says.
        NotSettledError: it proved fewer rows than its policy says, as far as the record shows yet.
    """
    began = record.entered_at(State.SOAKING)
    if began is None or frozen_at - began + CLOCK_SLACK < record.policy.soak:
        raise InvariantError("the rotation soaked for less than its policy says", rotationId=record.run_id)
    asked = record.policy.proof.least_of(evidence["census"]["rewrapped"])
    if (missing := asked - evidence["proof"]["proven"]) > 0:
        raise NotSettledError(f"{missing} rows fewer are proven than the policy says", rotationId=record.run_id)


def proof_of(record: RotationRecord) -> Proof:
    """Return what this soak has proven so far."""
    totals = record.totals("proof")
    return Proof(
        mode=str(record.policy.proof),
        proven=totals.changed,
        quarantined=totals.quarantined,
        gone=totals.gone,
        warning=UNPROVEN if record.policy.proof.mode == "unsafe_off" else None,
    )


def _stale_writers(freeze: FreezeInput) -> StaleWriters:
    return StaleWriters(count=freeze.stale_writers, last_seen=freeze.last_stale_write)

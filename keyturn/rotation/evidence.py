"""Evidence: everything an approver needs, as canonical JSON (RFC 8785); its SHA-256 is what a decision is bound to."""

import hashlib
from datetime import datetime

import rfc8785
from pydantic import JsonValue

from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput, FreezeResult
from keyturn.errors import InvariantError
from keyturn.preflight.checks import waiver_of
from keyturn.runs.record_parts import Proof, StaleWriters
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import check_live, void_evidence

SCHEMA = "keyturn/evidence/v1"
UNPROVEN = "rewrapped rows were not proven: the policy says unsafe_off"


async def freeze_evidence(runs: RotationStore, freeze: FreezeInput, now: datetime) -> FreezeResult:
    """Freeze the evidence of this soak, once, and return its digest; a decision on earlier evidence is void.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the rotation is not soaking and has no evidence.
    """

    def change(record: RotationRecord) -> RotationRecord:
        check_live(record, freeze.run)
        if record.evidence_digest is not None and record.state is not State.SOAKING:
            return record  # a late repetition: what came after must not change what was decided on
        if record.state is not State.SOAKING:
            raise InvariantError(f"evidence cannot be frozen while {record.state}", rotationId=record.run_id)
        evidence = build_evidence(record, freeze)
        digest = digest_of(evidence)
        if digest == record.evidence_digest:
            return record
        return void_evidence(record).changed(
            evidence=evidence,
            evidence_digest=digest,
            evidence_frozen_at=now,
            approval_expires_at=freeze.expires_at,
            census=freeze.census,
            stale_writers=_stale_writers(freeze),
            proof=proof_of(record),
        )

    record = await runs.update(freeze.run.run_id, change)
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
        "schema": SCHEMA,
        "rotationId": record.run_id,
        "keyring": record.keyring,
        # Another soak is other evidence, even where it finds the same: an approval does not outlive its round.
        "step": record.step,
        "requestedBy": record.requested_by,
        "reason": record.reason,
        "oldVersions": [*record.old_versions],
        "targetVersion": freeze.target_version,
        "census": freeze.census.to_payload(),
        "proof": proof_of(record).to_payload(),
        "canaries": [canary.to_payload() for canary in record.canaries],
        "probes": [probe.to_payload() for probe in record.probes],
        "waivedChecks": waived,
        "quarantined": record.quarantined.count,
        "foreign": freeze.census.foreign,
        "provenance": record.provenance.to_payload() if record.provenance is not None else None,
        "staleWriters": _stale_writers(freeze).to_payload(),
        "policy": record.policy.to_payload(),
    }


def digest_of(content: dict[str, JsonValue]) -> str:
    """Return the lower-case hex SHA-256 of the content's canonical JSON (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


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

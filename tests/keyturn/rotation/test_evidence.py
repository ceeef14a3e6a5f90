"""Evidence: what is in it, that its digest binds it, and that a new round is new evidence."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.base import ProofScope
from keyturn.contracts.pages import PageResult, UnexplainedRow
from keyturn.contracts.passes import CensusResult, ProgressInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput
from keyturn.errors import FencedError, InvariantError, KeyturnError, NotSettledError
from keyturn.rotation.evidence import UNPROVEN, freeze_evidence
from keyturn.rotation.new_version import record_census
from keyturn.runs.progress import record_progress
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import Canary, Check, Preflight, Probe, Provenance
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import CENSUS, NOW, UNTOUCHED, approve, bring_to, freeze, step_to


async def full_run(runs: RotationStore) -> RotationRecord:
    """Return a run that soaks, with everything in its record that evidence is made of."""
    record = await bring_to(
        runs, State.SOAKING, reason="yearly", waivers=[{"check": "backup", "why": "copied", "by": "otto"}]
    )
    checks = [Check(name="mek", outcome="pass"), Check(name="backup", outcome="waived", detail="none found")]
    await runs.update(
        record.run_id,
        lambda run: run.changed(
            preflight=Preflight(at=NOW, checks=checks),
            old_versions=["old"],
            provenance=Provenance(since=None, created=None, count=1, named=[UnexplainedRow(id="r", reason="changed")]),
            canaries=[Canary(container="notes", document_id="1", partition="1", outcome="pass")],
            probes=[Probe(url="https://app/health", outcome="pass", status=200)],
        ),
    )
    proven = ProgressInput(
        run=record.ref,
        phase="proof",
        pass_number=1,
        pass_started_at=NOW,
        wave=1,
        scanned=10,
        totals=PageResult(changed=9, gone=1),
        session_tokens=[],
    )
    return await record_progress(runs, proven, NOW)


async def test_evidence_holds_everything_that_an_approver_needs(runs: RotationStore) -> None:
    """Versions, census, proof, canaries, waivers, provenance, stale writers, policy: all that is known is in it."""
    record = await full_run(runs)

    frozen = await freeze(runs, record, stale_writers=2, last_stale_write=NOW)

    evidence: dict[str, Any] = frozen.evidence or {}
    assert {
        "schema": "keyturn/evidence/v1",
        "rotationId": record.run_id,
        "keyring": record.keyring,
        "step": record.step,
        "requestedBy": "ada@example.com",
        "reason": "yearly",
        "oldVersions": ["old"],
        "targetVersion": "new",
        "census": CENSUS.to_payload(),
        "proof": {"mode": "all", "proven": 9, "quarantined": 0, "gone": 1, "warning": None},
        "canaries": [{"container": "notes", "documentId": "1", "partition": "1", "outcome": "pass", "detail": ""}],
        "probes": [{"url": "https://app/health", "outcome": "pass", "status": 200, "detail": ""}],
        "waivedChecks": [{"check": "backup", "detail": "none found", "by": "otto", "why": "copied"}],
        "quarantined": 0,
        "foreign": 0,
        "provenance": {"since": None, "created": None, "count": 1, "named": [{"id": "r", "reason": "changed"}]},
        "planted": UNTOUCHED.to_payload(),
        "staleWriters": {"count": 2, "lastSeen": "2026-03-01T03:00:00Z"},
        "policy": record.policy.to_payload(),
    } == evidence
    assert frozen.proof is not None
    assert (frozen.proof.proven, frozen.stale_writers.count, frozen.census) == (9, 2, CENSUS)
    assert frozen.approval_expires_at == NOW + timedelta(days=7)


async def test_the_digest_is_that_of_the_canonical_json(runs: RotationStore) -> None:
    """Whoever has the evidence from the report can compute its digest without our code."""
    frozen = await freeze(runs, await full_run(runs))

    # For ASCII keys and the numbers in evidence, sorted compact JSON is RFC 8785's canonical form.
    canonical = json.dumps(frozen.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = hashlib.sha256(canonical.replace("35.0", "35").encode()).hexdigest()

    assert frozen.evidence_digest == expected
    assert digest_of(frozen.evidence or {}) == frozen.evidence_digest


def test_the_digest_does_not_depend_on_the_order_of_properties() -> None:
    """Canonical means that only content counts."""
    assert digest_of({"a": 1, "b": [1.0, "ü"]}) == digest_of({"b": [1, "ü"], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


async def test_a_repeated_freeze_gives_the_same_digest_and_keeps_the_decision(runs: RotationStore) -> None:
    """The activity may run twice, also after the wait has begun and somebody has decided."""
    record = await full_run(runs)
    first = await freeze(runs, record)
    again = await freeze(runs, record, expires_at=NOW + timedelta(days=9))
    waiting = await approve(runs, await step_to(runs, again, State.AWAITING_APPROVAL))

    late = await freeze(runs, waiting, stale_writers=7)

    assert first.evidence_digest == again.evidence_digest == late.evidence_digest
    assert first.approval_expires_at == again.approval_expires_at
    assert waiting.decision == late.decision


@pytest.mark.parametrize(
    "change",
    [
        {"census": CensusResult(total=11, on_target=11, stale=0, unlabelled=0, foreign=0, by_version={"new": 11})},
        {"stale_writers": 1},
        {"target_version": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_other_findings_are_other_evidence(runs: RotationStore, change: dict[str, Any]) -> None:
    """Whatever an approver was shown is bound by the digest, and an earlier decision is void with it."""
    first = await approve(runs, await freeze(runs, await full_run(runs)))

    second = await freeze(runs, first, **change)

    assert first.evidence_digest != second.evidence_digest
    assert (None, [first.decision]) == (second.decision, second.decisions)


async def test_the_same_findings_in_another_round_are_other_evidence(runs: RotationStore) -> None:
    """An approval that was voided does not come back to life because the next round finds the same."""
    record = await approve(runs, await bring_to(runs, State.AWAITING_APPROVAL))
    for target in (State.SWEEPING, State.SOAKING):
        record = await step_to(runs, record, target)

    again = await freeze(runs, record)

    assert again.decisions[0].digest != again.evidence_digest


async def test_an_unproven_rotation_says_so_in_its_evidence(runs: RotationStore) -> None:
    """The unsafe proof mode is a warning that the approver reads."""
    record = await bring_to(runs, State.SOAKING)
    policy = record.policy.model_copy(update={"proof": ProofScope("unsafe_off")})
    await runs.update(record.run_id, lambda run: run.changed(policy=policy))

    frozen = await freeze(runs, record)

    assert frozen.proof is not None
    assert frozen.proof.warning == UNPROVEN
    assert UNPROVEN in json.dumps(frozen.evidence)


@pytest.mark.parametrize(
    ("policy", "error", "said"),
    [
        ({"soak": timedelta(hours=1)}, InvariantError, "soaked for less"),
        ({"proof": ProofScope("all")}, NotSettledError, "10 rows fewer"),
        ({"proof": ProofScope("sample", 4)}, NotSettledError, "2 rows fewer"),
    ],
    ids=["soak", "proof", "sample"],
)
async def test_evidence_does_not_attest_what_the_run_has_not_done(
    runs: RotationStore, policy: dict[str, Any], error: type[KeyturnError], said: str
) -> None:
    """A workflow with another policy in its input is known by the record: how long it soaked, and what it proved."""
    record = await bring_to(runs, State.SOAKING)
    followed = record.policy.model_copy(update=policy)
    await runs.update(record.run_id, lambda run: run.changed(policy=followed))

    with pytest.raises(error, match=said):
        await freeze(runs, record, census=CENSUS.model_copy(update={"rewrapped": 10}))

    assert (await runs.read(record.run_id)).evidence is None


async def test_a_census_that_was_not_taken_is_not_frozen(runs: RotationStore) -> None:
    """The input names what the workflow knows; only what an activity has counted is evidence."""
    record = await full_run(runs)
    await record_census(runs, record.ref, CENSUS)
    forged = FreezeInput(
        run=record.ref,
        target_version="new",
        census=CENSUS.model_copy(update={"total": 11, "on_target": 11}),
        stale_writers=0,
        last_stale_write=None,
        expires_at=NOW,
    )

    with pytest.raises(NotSettledError, match="census"):
        await freeze_evidence(runs, forged, NOW, UNTOUCHED)


async def test_the_time_to_decide_is_the_records(runs: RotationStore) -> None:
    """An input cannot leave the question open for longer than the policy says."""
    frozen = await freeze(runs, await full_run(runs), expires_at=NOW + timedelta(days=90))

    assert frozen.approval_expires_at == NOW + timedelta(days=7)


async def test_evidence_is_frozen_only_by_the_run_that_soaks(runs: RotationStore) -> None:
    """A run that does not soak has nothing to freeze, and another run's input is fenced."""
    record = await bring_to(runs, State.SWEEPING)
    soaking = await bring_to(runs, State.SOAKING)
    await record_census(runs, soaking.ref, CENSUS)

    with pytest.raises(InvariantError, match="sweeping"):
        await freeze(runs, record)
    with pytest.raises(FencedError):
        await freeze(runs, soaking.changed(fencing_token=0))
    result = await freeze_evidence(
        runs,
        FreezeInput(
            run=soaking.ref,
            target_version="new",
            census=CENSUS,
            stale_writers=0,
            last_stale_write=None,
            expires_at=NOW,
        ),
        NOW,
        UNTOUCHED,
    )

    assert result.evidence_digest == (await runs.read(soaking.run_id)).evidence_digest

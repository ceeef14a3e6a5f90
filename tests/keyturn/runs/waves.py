"""A run that sweeps, and waves of its passes as the workflow reports them."""

from datetime import datetime
from typing import Any

from keyturn.contracts.base import Policy
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import CensusResult, ProgressInput
from keyturn.contracts.states import State
from keyturn.runs.progress import record_progress
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, POLICY, bring_to

STALE = CensusResult(total=210, on_target=0, stale=200, unlabelled=3, foreign=10, by_version={"old": 197, "": 3})


async def sweeping(runs: RotationStore, census: CensusResult | None = STALE, **policy: Any) -> RotationRecord:
    """Return a run that sweeps, with the census of its pre-flight."""
    record = await bring_to(runs, State.SWEEPING)
    changed = {"census": census, "policy": Policy(**{**dict(POLICY), **policy})}
    return await runs.update(record.run_id, lambda run: run.changed(**changed))


async def report_wave(
    runs: RotationStore,
    record: RotationRecord,
    wave: int,
    *,
    began: datetime = NOW,
    at: datetime = NOW,
    phase: str = "sweep",
    number: int = 1,
    token: int | None = None,
    final: bool = False,
    **totals: Any,
) -> RotationRecord:
    """Report a wave of a pass, as the workflow does."""
    progress = ProgressInput.model_validate(
        {
            "run": record.ref.model_copy(update={"fencing_token": record.fencing_token if token is None else token}),
            "phase": phase,
            "pass_number": number,
            "pass_started_at": began,
            "wave": wave,
            "scanned": wave * 100,
            "totals": PageResult(**totals),
            "session_tokens": [],
            "final": final,
        }
    )
    return await record_progress(runs, progress, at)

"""What a status tells of the vault and of waiting: from the record alone, and null where nothing tells."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Encrypt
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import ProgressInput
from keyturn.contracts.states import State
from keyturn.migrations.status import migration_status
from keyturn.rotation.status import VaultUse, WaitsFor, status
from keyturn.runs.commands import give_command
from keyturn.runs.progress import record_progress
from keyturn.runs.record_parts import Decision
from keyturn.runs.store import MigrationStore, RotationStore
from tests.keyturn.migrations import harness as migrating
from tests.keyturn.runs.lifecycle import NOW, REQUESTER, bring_to, step_to
from tests.keyturn.runs.waves import report_wave, sweeping


@pytest.mark.parametrize(("phase", "budget"), [("sweep", 40.0), ("proof", 10.0)])
async def test_the_vaults_budget_and_what_is_used_of_it(runs: RotationStore, phase: str, budget: float) -> None:
    """Of the pass under way, against what the policy allows in its phase; throttles are those of every pass."""
    record = await sweeping(runs, vault_operations_per_second=40, proof_share=0.25)
    if phase == "proof":
        record = await step_to(runs, record, State.SOAKING)
    earlier: dict[str, Any] = {"phase": phase, "throttled": 2, "vault_operations": 70}
    await report_wave(runs, record, 1, at=NOW + timedelta(seconds=5), **earlier)
    began = NOW + timedelta(seconds=20)
    now: dict[str, Any] = {"phase": phase, "throttled": 1, "vault_operations": 90, "number": 2, "began": began}

    seen = status(await report_wave(runs, record, 1, at=began + timedelta(seconds=10), **now))

    assert seen.vault == VaultUse(budget=budget, used=9.0, throttled=3)


async def test_nothing_is_said_of_a_vault_that_is_not_asked(runs: RotationStore) -> None:
    """Before the first wave of a pass, and after the sweep."""
    record = await sweeping(runs)
    idle = status(record)
    await report_wave(runs, record, 1, at=NOW + timedelta(seconds=1), vault_operations=5)

    assert (idle.vault, status(await step_to(runs, record, State.SOAKING)).vault) == (None, None)


@pytest.mark.parametrize(
    ("state", "what", "lasts"),
    [
        (State.SWEEPING, None, None),
        (State.SOAKING, "the soak", "soak"),
        (State.AWAITING_APPROVAL, f"a decision by another person than {REQUESTER}", None),
        (State.NEEDS_ATTENTION, "an operator, to retry or to abort", None),
        (State.WATCHING, "the trial period", "watch"),
        (State.COMPLETED, None, None),
    ],
)
async def test_what_a_rotation_waits_for(
    runs: RotationStore, state: State, what: str | None, lasts: str | None
) -> None:
    """And until when, by the policy and by when the state was entered, or by when the approval expires."""
    record = (await bring_to(runs, state)).changed(policy=Policy(soak=timedelta(hours=3), watch=timedelta(minutes=20)))
    entered = record.entered_at(state)
    assert entered is not None
    until = record.approval_expires_at if lasts is None else entered + getattr(record.policy, lasts)

    seen = status(record).waits_for

    person = state in {State.AWAITING_APPROVAL, State.NEEDS_ATTENTION}
    assert seen == (None if what is None else WaitsFor(what=what, until=until, person=person))


async def test_what_a_person_said_is_on_its_way(runs: RotationStore) -> None:
    """A decision, an abort or a retry is not waited for any more: that it takes effect is."""
    attended = await bring_to(runs, State.NEEDS_ATTENTION)
    again = give_command(attended, "retry", by="olga", now=NOW)
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    decided = record.changed(decision=Decision(decision="approved", by="sam", digest="a" * 64, at=NOW))
    aborting = give_command(record, "abort", by="olga", now=NOW)

    assert status(decided).waits_for == WaitsFor(what="the decision of sam to take effect")
    assert status(again).waits_for == WaitsFor(what="the retry of olga to take effect")
    assert status(again.changed(step=again.step + 2)).waits_for == status(attended).waits_for
    waits = status(aborting).waits_for
    assert waits == WaitsFor(what="the step under way to end, because olga has asked to abort")


async def test_the_pace_of_a_migration_of_documents(migrations: MigrationStore) -> None:
    """100 of 200 documents looked at in 20 seconds, whether or not they were changed: 20 seconds to go."""
    record = await migrating.started(migrations, Encrypt(containers=["notes"]))
    record = await migrating.step_to(migrations, record, State.RUNNING)
    wave: dict[str, Any] = {"phase": "sweep", "source": "notes", "pass_number": 1, "wave": 1, "scanned": 100}
    progress = ProgressInput(
        run=record.ref,
        pass_started_at=NOW,
        totals=PageResult(changed=10, vault_operations=30),
        session_tokens=[],
        **wave,
    )

    seen = migration_status(await record_progress(migrations, progress, NOW + timedelta(seconds=20), 200))

    assert (seen.phase, seen.percent, seen.rows_per_second, seen.eta_seconds) == ("sweep", 50.0, 5.0, 20.0)
    assert seen.vault is not None
    assert seen.vault.used == 1.5
    assert migration_status(record).vault is None

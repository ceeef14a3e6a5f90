"""Where each activity stands in a run, and what it is given there. An activity without a place fails a test."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, override

from keyturn.contracts.base import Payload, RunInput, StepInput
from keyturn.contracts.migrations import DisableAgainInput, EnableTemporarilyInput
from keyturn.contracts.pages import DEKS, PageResult, RangesInput, ScanInput
from keyturn.contracts.passes import BudgetInput, CensusInput, ProgressInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import CommandInput, DecisionInput, NotifyInput
from orchestrators.operations import OPERATIONS
from tests.invariants.steps import RATE
from tests.overlap.migration_stories import looking
from tests.overlap.story import failing, undoing

type Build = Callable[[Any], Awaitable[Payload]]


class Place(NamedTuple):
    """One activity at one point of one kind of run."""

    story: str
    point: str
    activity: str
    build: Build  # its input, from the run's driver at that point
    note: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.activity}{self.note and ' ' + self.note} ({self.story}, {self.point})"


def _given(make: Callable[[Any], Payload]) -> Build:
    async def build(driver: Any) -> Payload:
        return make(driver)

    return build


def _page(operation: str, source: str = DEKS) -> Build:
    async def build(driver: Any) -> Payload:
        [page] = await driver.pages(operation, source)
        return page  # type: ignore[no-any-return]  # of JSON

    return build


def _scan(operation: str, source: str = DEKS) -> Build:
    async def build(driver: Any) -> Payload:
        [found] = (await driver.act("list_ranges", RangesInput(run=driver.ref, source=source)))["ranges"]
        return ScanInput(
            run=driver.ref,
            target_version=driver.target,
            selection=OPERATIONS[operation].selection,
            source=source,
            range=found,
            page_rows=50,
        )

    return build


def _step(target: State) -> Build:
    return _given(lambda driver: StepInput(run=driver.ref, step=driver.step + 1, target=target))


def _progress(source: str = DEKS) -> Build:
    return _given(
        lambda driver: ProgressInput(
            run=driver.ref,
            phase="sweep",
            source=source,
            pass_number=1,
            pass_started_at=datetime.now(UTC),
            wave=1,
            scanned=2,
            totals=PageResult(changed=2),
            session_tokens=[{}],
        )
    )


def _census(driver: Any) -> Payload:
    return CensusInput(run=driver.ref, target_version=driver.target)


def _claim(driver: Any) -> Payload:
    return BudgetInput(run=driver.ref, operations_per_second=RATE)


def _decision(driver: Any) -> Payload:
    return DecisionInput(run=driver.ref, evidence_digest=driver.digest)


def _notice(driver: Any) -> Payload:
    return NotifyInput(run=driver.ref, key="1.1:started", event="started")


def _command(driver: Any) -> Payload:
    return CommandInput(run=driver.ref, seen=0)


def _run(driver: Any) -> Payload:
    return RunInput(run=driver.ref)


def _retirement(driver: Any) -> Payload:
    return driver.retirement()  # type: ignore[no-any-return]  # the driver is Any


ROTATION = (
    Place("rotation", "requested", "advance", _step(State.PREFLIGHT), "to preflight"),
    Place("rotation", "preflight", "preflight", _given(_run)),
    Place("rotation", "preflight", "notify", _given(_notice)),
    Place("rotation", "creating", "create_version", _given(lambda driver: driver.creation())),
    Place("rotation", "sweeping", "list_ranges", _given(lambda driver: RangesInput(run=driver.ref))),
    Place("rotation", "sweeping", "scan_page", _scan("rewrap")),
    Place("rotation", "sweeping", "claim_budget", _given(_claim)),
    Place("rotation", "sweeping", "rewrap_page", _page("rewrap")),
    Place("rotation", "sweeping", "record_progress", _progress()),
    Place("rotation", "sweeping", "take_census", _given(_census)),
    Place("rotation", "sweeping", "advance", _step(State.SOAKING), "to soaking"),
    Place("rotation", "soaking", "prove_page", _page("prove")),
    Place("rotation", "soaking", "verify", _given(_run)),
    Place("rotation", "proven", "freeze_evidence", _given(lambda driver: driver.freezing())),
    Place("rotation", "approved", "read_decision", _given(_decision)),
    Place("rotation", "approved", "read_command", _given(_command)),
    Place("rotation", "approved", "advance", _step(State.RETIRING), "to retiring"),
    Place("rotation", "retiring", "retire_versions", _given(_retirement)),
    Place("rotation", "watched", "advance", _step(State.COMPLETED), "to completed"),
)

# Ways out of a retirement. What they begin with is stopped before the retirement is withdrawn.
WITHDRAWN = (
    Place("reinstatement", "watching", "reinstate_versions", _given(undoing)),
    Place("reinstatement", "withdrawn", "reinstate_versions", _given(undoing), "again"),
    Place("reinstatement", "settled", "advance", _step(State.REINSTATED), "to reinstated"),
    Place("failure", "retiring", "retire_versions", _given(_retirement)),
    Place("failure", "retiring", "reinstate_versions", _given(undoing)),
    Place("failure", "settled", "record_failure", _given(failing)),
    Place("early failure", "sweeping", "record_failure", _given(failing)),
    Place("early failure", "sweeping", "rewrap_page", _page("rewrap")),
    Place("second round", "retiring", "retire_versions", _given(_retirement)),
    Place("second round", "void", "advance", _step(State.SWEEPING), "to sweeping"),
    Place("second round", "proven", "freeze_evidence", _given(lambda driver: driver.freezing())),
    Place("second round", "retiring again", "retire_versions", _given(_retirement), "again"),
)

RESTORE = (
    Place("restore", "requested", "advance", _step(State.RUNNING), "to running"),
    Place("restore", "running", "freeze_restore", _given(looking)),
    Place("rollback", "running", "freeze_rollback", _given(looking)),
    Place(
        "restore",
        "approved",
        "enable_temporarily",
        _given(lambda driver: EnableTemporarilyInput(run=driver.ref, evidence_digest=driver.digest)),
    ),
    Place("restore", "enabled", "scan_page", _scan("rewrap_chosen")),
    Place("restore", "enabled", "rewrap_chosen_page", _page("rewrap_chosen")),
    Place("restore", "moved", "disable_again", _given(lambda driver: DisableAgainInput(run=driver.ref))),
)

ROWS = (
    Place("rewrap-deks", "requested", "advance", _step(State.RUNNING), "to running"),
    Place("rewrap-deks", "running", "rewrap_chosen_page", _page("rewrap_chosen")),
    Place("rewrap-deks", "running", "record_progress", _progress()),
    Place("rewrap-deks failure", "running", "record_failure", _given(failing)),
    Place("rewrap-deks failure", "running", "rewrap_chosen_page", _page("rewrap_chosen")),
    Place("rollback", "running", "count_changed_since", _given(_run)),
    Place("rollback", "running", "reinstate_versions", _given(undoing)),
    Place("rollback", "reinstated", "roll_back_page", _page("roll_back")),
    Place("rollback", "moved", "advance", _step(State.COMPLETED), "to completed"),
)

DOCUMENTS = (
    Place("encrypt", "running", "scan_documents", _scan("encrypt_documents", "notes")),
    Place("encrypt", "running", "encrypt_documents", _page("encrypt_documents", "notes")),
    Place("encrypt", "running", "record_progress", _progress("notes")),
    Place("re-encrypt", "running", "reencrypt_documents", _page("reencrypt_documents", "notes")),
    Place("re-encrypt", "worked", "check_documents", _page("prove_documents", "notes")),
    Place("decrypt-check", "running", "check_documents", _page("check_documents", "notes")),
)

PLACES = (*ROTATION, *WITHDRAWN, *RESTORE, *ROWS, *DOCUMENTS)

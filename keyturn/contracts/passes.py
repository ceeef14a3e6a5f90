"""A pass over the store, the sweep to a fixpoint, and the census that ends it."""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from keyturn.contracts.base import Payload, Policy, RunInput
from keyturn.contracts.pages import DEKS, Cursors, PageResult, SampleShare, SessionTokens

# What a pass is counted as: work on rows, the proof of that work, or a look that changes nothing.
type Phase = Literal["sweep", "proof", "check"]


def replaces_quarantined(phase: Phase, source: str) -> bool:
    """Tell whether a pass meets every row that earlier ones quarantined: a proof meets other rows, of other reasons."""
    return phase != "proof" and source == DEKS


class PassInput(RunInput):
    """Input of the ``row_pass`` workflow: one pass over a source with one operation, and its state when continued."""

    target_version: str
    operation: str  # a name of orchestrators.operations
    source: str = DEKS
    dry_run: bool = False
    policy: Policy
    operations_per_second: float  # that the pass may use where the vault has no other caller of ours
    granted: float = 0.0  # of these, what the next wave may use; 0: to be claimed
    sample_share: SampleShare = 1.0  # of the rewrapped rows, those that are proven
    cursors: Cursors = Field(default_factory=dict)  # open ranges; none open, none drained: a fresh pass
    drained: Cursors = Field(default_factory=dict)  # ranges read to their end -> where the tail starts
    totals: PageResult = PageResult()
    scanned: int = 0
    foreign: int = 0
    session_tokens: SessionTokens = Field(default_factory=dict)
    waves: int = 0
    pass_number: int = 1
    started_at: datetime | None = None


class PassResult(Payload):
    """Answer of ``row_pass``."""

    totals: PageResult
    scanned: int
    foreign: int
    cursors: Cursors  # where the tail goes on
    session_tokens: SessionTokens
    aborted: bool = False  # it stopped half-way, because an operator asked to end the rotation


class ProgressInput(RunInput):
    """Input of ``record_progress``: absolute numbers, so that writing them twice is the same as once."""

    phase: Phase
    source: str = DEKS
    pass_number: int
    pass_started_at: datetime  # in the workflow's time: passes follow each other, so it orders them
    wave: int
    scanned: int
    totals: PageResult  # without session tokens
    session_tokens: list[SessionTokens]  # those known before, and one entry for each page of this wave
    final: bool = False  # the last wave of its pass
    operations_per_second: float = 0.0  # of the vault, wanted for the next wave; 0: the pass has claimed none

    @property
    def quarantines_since(self) -> datetime | None:
        """Return when the pass began if what it quarantines takes the place of what was quarantined before."""
        return self.pass_started_at if replaces_quarantined(self.phase, self.source) else None


class ProgressResult(Payload):
    """Answer of ``record_progress``."""

    session_tokens: SessionTokens  # feed range -> the newest of the tokens given for it
    aborted: bool = False  # an operator asked to end the rotation
    operations_per_second: float = 0.0  # of the vault, for the next wave; 0: to be claimed


class BudgetInput(RunInput):
    """Input of ``claim_budget``."""

    operations_per_second: float  # of the vault, wanted for the next wave


class BudgetResult(Payload):
    """Answer of ``claim_budget``."""

    operations_per_second: float  # for the next wave; 0: other runs have to give up a part of theirs first, ask again
    aborted: bool = False  # an operator asked to end the rotation


NO_ROWS = "the dek store has no rows"
COMPARE = "compare COSMOS_DATABASE, DEK_CONTAINER and FIELD_ENCRYPT_MEK_NAME with the backend's"


def unmet(rows: int) -> str:
    """Return what to say of rows that are counted, and that a pass does not find where their partition should be."""
    said = "rows are counted that no pass has met: compare DEK_CONTAINER, and partitionKey in the keyring's rowNames,"
    return f"{rows} {said} with the backend's"


class CensusInput(RunInput):
    """Input of ``take_census``."""

    target_version: str
    session_tokens: SessionTokens = Field(default_factory=dict)
    rewrapped_by: str | None = None  # the rotation that is rolled back, with those that it adopted; None: this run


class CensusResult(Payload):
    """Rows by the version that wraps them, from one strong count per feed range."""

    total: int
    on_target: int
    stale: int  # not on the target, unlabelled rows included
    unlabelled: int
    foreign: int
    by_version: dict[str, int]
    rewrapped: int = 0  # of those on the target, the ones that the run named put there

    @property
    def none_of_ours(self) -> str:
        """What to say of a store without a row of this key, or nothing: of a new system, or the wrong store or key."""
        if self.total > self.foreign:
            return ""
        found = f"all {self.foreign} rows of the dek store name other keys" if self.foreign else NO_ROWS
        return f"{found}: {COMPARE}"


class SweepInput(RunInput):
    """Input of the ``sweep`` workflow: passes until one moved nothing and the census is zero."""

    target_version: str
    policy: Policy
    session_tokens: SessionTokens = Field(default_factory=dict)


class SweepResult(Payload):
    """Answer of ``sweep``."""

    settled: bool  # a whole pass moved nothing, and every stale row that is left is quarantined
    census: CensusResult
    rewrapped: int
    quarantined: int
    stale_writers: int = 0
    last_stale_write: datetime | None = None
    cursors: Cursors
    session_tokens: SessionTokens
    passes: int
    aborted: bool = False  # an operator asked to end the rotation


# Passes before a migration gives up on writers that keep bringing rows which it is to move.
PASSES_MAX = 10


class Moved(NamedTuple):
    """What passes over the dek store came to."""

    changed: int
    quarantined: int
    left: int  # rows that were to be moved and are not, the quarantined ones included
    census: CensusResult
    session_tokens: dict[str, str]

    @property
    def astray(self) -> str:
        """Why this is not the store of the key, or nothing: no row is ours, or none is met. An empty one may be new."""
        if self.left and not self.changed + self.quarantined:
            return unmet(self.left)
        return self.census.none_of_ours if self.census.total else ""

    @property
    def unsettled(self) -> str:
        """Why an operator has to look, or nothing."""
        if self.quarantined:
            return f"{self.quarantined} rows cannot be moved"
        if self.left and not self.astray:
            return f"writers keep bringing rows that are to be moved: {self.left} are left"
        return self.astray

    @property
    def said(self) -> str:
        """What came of it, for people."""
        in_all = self.census.rewrapped  # by the run: an earlier process of it, or an earlier try, has moved the others
        moved = f"{self.changed} rows were moved" + (f", {in_all} in all" if in_all > self.changed else "")
        return "; ".join(filter(None, [moved, self.census.none_of_ours]))

"""Explores the protocol models of model/ exhaustively with spin, whole and with one safeguard taken out each.

``python -m tools.model [NAME]`` prints a line for each and fails on a surprise: a whole model with an error, a broken
one without, another property than the one that the safeguard holds, or a search that did not end. ``NAME`` chooses
one model.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

MODELS = Path(__file__).parent.parent / "model"
WORKERS = 2
SECONDS_MAX = 150  # of one search
DEPTH_MAX = 50_000
MEGABYTES_MAX = 3_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One search: a model, what is defined for it, and the property that must break; None: nothing may."""

    model: str
    defines: str = ""
    breaks: str | None = None
    explains: str = ""

    @property
    def optimised(self) -> str:
        """Return the compiler's option: a whole model has many states."""
        return "-O0" if self.explains else "-O1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search has found."""

    broken: str | None
    states: int
    seconds: float
    finished: bool


# Broken variants are searched with the least that shows them.
_ROWS = "RUNS=2 WRITES=1 COPIES=1"
_BARE = "RUNS=2 WRITES=0 COPIES=1 NO_LOOK"

VARIANTS = (
    Variant("rows", "RUNS=2 WRITES=2 COPIES=1"),
    Variant("rows", "RUNS=2 WRITES=1 COPIES=2"),
    Variant("rows", "RUNS=3 WRITES=1 COPIES=1"),
    Variant("rows", "RUNS=3 WRITES=1 COPIES=1 REACH", "I1", "reached: a third run completes, late pages live"),
    Variant("rows", f"{_ROWS} NO_LOOK", "I1", "no look at the lease"),
    Variant("rows", f"{_ROWS} LOOK_FIRST", "I1", "the look comes before the read"),
    Variant("rows", f"{_ROWS} LAGGING_LOOK", "I1", "a replica that lags answers the look"),
    Variant("rows", f"{_ROWS} NO_IF_MATCH", "I3", "no If-Match: an owner's new DEK is lost"),
    Variant("rows", f"{_ROWS} NO_FENCE", None, "no fence: the look and If-Match suffice"),
    Variant("rows", _BARE, None, "no look, no other writers: the fence suffices"),
    Variant("rows", f"{_BARE} NO_FENCE", "I8", "no look, no fence"),
    Variant("rows", "RUNS=3 WRITES=0 COPIES=1 ADOPT_ANY", "I1", "adopts a version that rows were moved off"),
    Variant("rows", f"{_ROWS} NO_COUNT", "I1", "no count before the disable"),
    Variant("rows", f"{_ROWS} NO_SECOND_COUNT", "I1", "no count after the disable"),
    Variant("versions", "DEATHS=2"),
    Variant("versions", "DEATHS=2 ORDER"),
    Variant("versions", "DEATHS=2 ROUNDS"),
    Variant("versions", "SECOND"),
    Variant("versions", "SECOND REACH", "I5", "reached: a second run completes after a reinstated one"),
    Variant("versions", "NO_SECOND_LOOK", "I1", "no look after a request"),
    Variant("versions", "SECOND NO_SECOND_LOOK", "I5", "no look after an enable: a completed run's is undone"),
    Variant("versions", "LAGGING_LOOK", "I1", "a replica that lags answers the look"),
    Variant("versions", "NO_LATE_CLAIM", "I1", "no claim between the count and the disable"),
    Variant("versions", "NO_CLAIM", None, "no claim before the count: it only saves the count"),
    Variant("versions", "VAULT_FIRST", "I1", "the vault is changed before the record"),
    Variant("versions", "NO_SECOND_ENABLE", "I1", "enabled once, at once"),
    Variant("versions", "NO_WAIT_AT_END", "I1", "the run ends before the second enable"),
    Variant("versions", "NO_SECOND_COUNT", "I1", "no count after the disable"),
    Variant("versions", "ENABLE_WITHOUT_LOOK", "I5", "a copy that counts rows enables without a look"),
    Variant("versions", "SECOND ANY_IN_FORCE", "I1", "any run that names a version decides, not the newest"),
    Variant("versions", "SECOND NO_WATCH_CHECK", "I5", "no look at the versions at the watch's end"),
    Variant("versions", "SECOND NO_LEASE_AGE", None, "no wait before retiring: the watch's look suffices"),
    Variant("versions", "FREEZE_AND_DIE", "I1", "not promised: a worker freezes, sends, and dies"),
    Variant("creation"),
    Variant("creation", "REACH", "I4", "reached: a second run adopts"),
    Variant("creation", "NO_INTENT", "I4", "no intent: two copies create"),
    Variant("creation", "NO_INTENT_WAIT", "I4", "no wait for an earlier creation"),
    Variant("creation", "NO_TAG", "I4", "no look for the tag"),
    Variant("creation", "NO_ADOPTION", "I4", "the second run does not adopt"),
    Variant("creation", "NO_WAIT_FOR_PREDECESSOR", "I4", "the second run does not wait for the first's creation"),
    Variant("creation", "NO_LIVE_CHECK", "I4", "an ended run's copy creates"),
    Variant("creation", "FREEZE", "I4", "not promised: a worker freezes between intent and request"),
    Variant("first_use"),
    Variant("first_use", "REACH", "I14", "reached: a late request enables what a second run has retired"),
    Variant("first_use", "NO_BACKUP", "I4", "enabled without a backup"),
    Variant("first_use", "ENABLED_AT_ONCE", "I4", "made enabled, backed up afterwards"),
    Variant("first_use", "NO_LOOK_BEFORE", "I14", "an ended run's copy enables"),
    Variant("first_use", "NO_LOOK_AFTER", "I5", "no look after the request"),
    Variant("first_use", "NO_SETTLE", "I5", "the second run retires before requests of the first have arrived"),
    Variant("first_use", "FREEZE_AND_DIE", "I5", "not promised: a worker freezes, sends, and dies"),
    Variant("lifecycle"),
    Variant("lifecycle", "REACH", "I14", "reached: a resumed run completes"),
    Variant("lifecycle", "NO_REQUESTER_CHECK", "I5", "the requester may approve"),
    Variant("lifecycle", "NO_DIGEST_CHECK", "I5", "a decision is taken without comparing digests"),
    Variant("lifecycle", "NO_REHASH", "I5", "the evidence is not hashed again"),
    Variant("lifecycle", "NO_VOID", "I5", "a decision outlives its evidence"),
    Variant("lifecycle", "NO_TOKEN_CHECK", "I8", "the workflow that was given up goes on writing"),
    Variant("lifecycle", "NO_LIVE_CHECK", "I14", "an ended run changes its record"),
    Variant("lifecycle", "NO_STEP_CHECK", "I9", "a state change is applied twice"),
    Variant("lifecycle", "NO_CONFIRM", "I9", "a refusal that a lagging replica caused is final"),
    Variant("lifecycle", "NO_STEP_IN_REINSTATE", "I14", "a late reinstatement of an earlier step enables"),
)


def search(variant: Variant) -> Outcome:
    """Explore every state of the variant; raises CalledProcessError where spin or the compiler fails."""
    begun = monotonic()
    with tempfile.TemporaryDirectory(prefix="keyturn-model-") as folder:
        defines = [f"-D{one}" for one in variant.defines.split()]
        _run(["spin", "-a", *defines, str(MODELS / f"{variant.model}.pml")], folder)
        # A broken variant is found faster than the compiler optimises.
        options = [variant.optimised, "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES_MAX}"]
        _run(["gcc", *options, "-o", "pan", "pan.c"], folder)
        # -E: a process that waits for ever is one that died; what a model must reach, it has a variant for.
        said = _run(["./pan", "-E", f"-m{DEPTH_MAX}"], folder)
    return _outcome(said, monotonic() - begun)


def _run(command: Sequence[str], folder: str) -> str:
    return subprocess.run(  # noqa: S603 - spin, gcc, and what they made
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS_MAX
    ).stdout


def _outcome(said: str, seconds: float) -> Outcome:
    violated = re.search(r"assertion violated.*?(I\d+)", said)
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\d+) states, stored", said)
    whole = errors is not None and errors[1] == "0" and not re.search(r"not completed|too small|reached -DMEMLIM", said)
    return Outcome(
        broken=violated[1] if violated else None,
        states=int(states[1]) if states else 0,
        seconds=seconds,
        finished=whole or violated is not None,
    )


def main(chosen: Sequence[str]) -> int:
    """Search every variant of the chosen models, print the table, and return the exit code."""
    variants = [variant for variant in VARIANTS if not chosen or variant.model in chosen]
    surprises = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for variant, outcome in zip(variants, pool.map(search, variants), strict=True):
            expected = outcome.finished and outcome.broken == variant.breaks
            surprises += not expected
            found = f"breaks {outcome.broken}" if outcome.broken else "holds" if outcome.finished else "UNFINISHED"
            surprise = "" if expected else f"  SURPRISE: {variant.breaks or 'nothing'} was to break"
            about = variant.explains or "whole"
            print(
                f"{variant.model:10} {variant.defines or '-':36} {outcome.states:>9,} {found:11}"
                f" {outcome.seconds:5.1f} s  {about}{surprise}"
            )
    print(f"{len(variants)} searches, {surprises} surprises")
    return 1 if surprises or not variants else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

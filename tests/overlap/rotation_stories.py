"""Rotations: to the end, and out of a retirement."""

from collections.abc import Awaitable, Callable

from keyturn.contracts.base import RunInput
from keyturn.contracts.passes import CensusInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import CommandInput, DecisionInput
from tests.invariants.rotation_driver import RotationDriver
from tests.overlap.harness import Worker
from tests.overlap.story import ROWS, Story, failed, undoing

# --- a rotation


async def begin_rotation(worker: Worker) -> RotationDriver:
    """Request a rotation of a few rows."""
    await worker.local_keyring.add_many(ROWS, worker.old)
    return RotationDriver(worker, await worker.start())


async def succeed(worker: Worker) -> RotationDriver:
    """Request a rotation after another run."""
    return RotationDriver(worker, await worker.start())


async def _check(driver: RotationDriver) -> None:
    await driver.check()
    await driver.advance(State.CREATING_VERSION)


async def _create(driver: RotationDriver) -> None:
    driver.target = (await driver.act("create_version", driver.creation()))["version"]
    await driver.advance(State.SWEEPING)


async def _sweep(driver: RotationDriver) -> None:
    await driver.work("rewrap")
    request = CensusInput(run=driver.ref, target_version=driver.target, session_tokens=driver.tokens)
    driver.census = await driver.act("take_census", request)
    await driver.advance(State.SOAKING)


async def _soak(driver: RotationDriver) -> None:
    await driver.work("prove")
    await driver.act("verify", RunInput(run=driver.ref))


async def _freeze(driver: RotationDriver) -> None:
    driver.digest = (await driver.act("freeze_evidence", driver.freezing()))["evidenceDigest"]
    await driver.advance(State.AWAITING_APPROVAL)


async def _ask(driver: RotationDriver) -> None:
    await driver.harness.decide(await driver.harness.runs.read(driver.run_id))
    await driver.act("read_decision", DecisionInput(run=driver.ref, evidence_digest=driver.digest))
    await driver.act("read_command", CommandInput(run=driver.ref, seen=0))


async def _retire(driver: RotationDriver) -> None:
    await driver.act("retire_versions", driver.retirement())


async def _watch(driver: RotationDriver) -> None:
    await driver.act("verify", RunInput(run=driver.ref))


ROTATION = Story(
    begin_rotation,
    {
        "requested": lambda driver: driver.advance(State.PREFLIGHT),
        "preflight": _check,
        "creating": _create,
        "sweeping": _sweep,
        "soaking": _soak,
        "proven": _freeze,
        "awaiting": _ask,
        "approved": lambda driver: driver.advance(State.RETIRING),
        "retiring": _retire,
        "retired": lambda driver: driver.advance(State.WATCHING),
        "watching": _watch,
        "watched": lambda driver: driver.advance(State.COMPLETED),
    },
)


def _played_until(point: str) -> Callable[[Worker], Awaitable[RotationDriver]]:
    async def begin(worker: Worker) -> RotationDriver:
        driver = await begin_rotation(worker)
        await ROTATION.run_through(driver, "requested", point, lambda *_: None)
        return driver

    return begin


async def _undo(driver: RotationDriver) -> None:
    await driver.act("reinstate_versions", undoing(driver))


async def _find_stale(driver: RotationDriver) -> None:
    await driver.harness.local_keyring.add(driver.harness.old)
    assert (await driver.act("retire_versions", driver.retirement()))["stale"]


REINSTATEMENT = Story(
    _played_until("watching"),
    {"watching": _undo, "withdrawn": _undo, "settled": lambda driver: driver.advance(State.REINSTATED)},
    end="reinstated",
)
FAILURE = Story(
    _played_until("retiring"),
    {"retiring": _undo, "withdrawn": _undo, "settled": failed},
    end="failed",
)
EARLY_FAILURE = Story(_played_until("sweeping"), {"sweeping": failed}, end="failed")
# Something was written after the freeze: a new round, with evidence and an approval of its own.
SECOND_ROUND = Story(
    _played_until("retiring"),
    {
        "retiring": _find_stale,
        "void": lambda driver: driver.advance(State.SWEEPING),
        **{point: ROTATION.segments[point] for point in ("sweeping", "soaking", "proven", "awaiting", "approved")},
        "retiring again": _retire,
        **{point: ROTATION.segments[point] for point in ("retired", "watching", "watched")},
    },
)

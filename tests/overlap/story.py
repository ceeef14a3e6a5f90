"""A run as a list of segments between named points, so that it may be begun anywhere and left anywhere."""

import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from field_encrypt.dek import Dek, key_check
from keyturn.contracts.migrations import DisableAgainInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput, ReinstateInput
from tests.invariants.migrating import RestoreDriver
from tests.keyturn.local_keyring import encoded
from tests.overlap.harness import Worker

FAR = datetime(2100, 1, 1, tzinfo=UTC)
ROWS, NOTES = 2, 1  # one document: two at once would draw their DEKs in another order when they are had again

type Segment = Callable[[Any], Awaitable[object]]


class Story(NamedTuple):
    """One kind of run: how it begins, and what is done between one point and the next; the last point is its end."""

    begin: Callable[[Worker], Awaitable[Any]]
    segments: Mapping[str, Segment]
    end: str = "completed"

    @property
    def points(self) -> list[str]:
        """Every point, in order."""
        return [*self.segments, self.end]

    async def run_through(self, driver: Any, since: str, until: str, passed: Callable[[str, Any], object]) -> None:
        """Play from one point to another, and tell of each point that is reached on the way."""
        points = self.points
        for point in points[points.index(since) : points.index(until)]:
            await self.segments[point](driver)
            passed(points[points.index(point) + 1], driver)


def at(driver: Any, worker: Worker) -> Any:
    """Return the driver as it is now, for another process."""
    found = copy.copy(driver)
    found.harness, found._act = worker, worker.act
    return found


# --- what the rows' owners may do at any moment


async def patched(worker: Worker, row: Mapping[str, Any]) -> Dek:
    """Give a row another DEK, as an owner does who changes nothing else; returns the DEK."""
    dek, mek = Dek.generate(), worker.local_keyring.mek.client
    wrapped = mek.wrap(dek.reveal(), await mek.get_version(row["mekVersion"]))
    values = {"wrappedDek": encoded(wrapped), "keyCheck": encoded(key_check(dek)), "algorithm": "RSA-OAEP-256"}
    changes = [{"op": "set", "path": f"/{name}", "value": value} for name, value in values.items()]
    await worker.local_keyring.container.patch_item(row["id"], row["id"], changes)
    return dek


# --- ends before the last point


async def reinstated(driver: Any) -> None:
    """Take the retirement back, and end so."""
    await driver.act("reinstate_versions", undoing(driver))
    await driver.act("reinstate_versions", undoing(driver))  # when nothing late can arrive any more
    await driver.advance(State.REINSTATED)


async def failed(driver: Any) -> None:
    """End in failure, as a workflow does that cannot go on."""
    if isinstance(driver, RestoreDriver) and driver.digest:  # what it enabled is disabled again first
        await driver.act("disable_again", DisableAgainInput(run=driver.ref, session_tokens=driver.tokens))
    await driver.act("record_failure", failing(driver))


def failing(driver: Any) -> FailureInput:
    """Return the input of record_failure."""
    return FailureInput(run=driver.ref, step=driver.step + 1, error_type="InvariantError", message="made up")


def undoing(driver: Any) -> ReinstateInput:
    """Return the input of reinstate_versions: of a rotation's own retirement, or of the one that is rolled back."""
    rotation = driver.work_of.rotation if hasattr(driver, "work_of") else None
    return ReinstateInput(run=driver.ref, rotation=rotation, reason="made up", step=None if rotation else driver.step)

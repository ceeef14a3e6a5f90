"""I9: runs activities to their death, and then again."""

from collections.abc import Iterable
from typing import Any

from keyturn.contracts.base import Payload
from tests.invariants.crash import Died, Requests
from tests.invariants.harness import ActivityHarness


class Crashing:
    """Runs each of some activities so that it dies after its n-th request; the next run, and all others, live."""

    def __init__(self, harness: ActivityHarness, after: int, names: Iterable[str]) -> None:
        self._harness, self._after = harness, after
        self._running = set(names)
        self.died: set[str] = set()

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, first to its death if it is one of those and was not run before."""
        if name in self._running:
            self._running.discard(name)
            try:
                with Requests(self._after).counted():
                    return await self._harness.act(name, request)
            except Died:
                self.died.add(name)
        return await self._harness.act(name, request)

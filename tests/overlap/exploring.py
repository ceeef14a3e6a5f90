"""Where the explorer runs: an event loop of its own, which waits for nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.overlap.experiments import Report
from tests.overlap.explorer import Explorer
from tests.overlap.harness import Explored
from tests.overlap.in_process import SkippingLoop
from tests.overlap.places import Place
from tests.overlap.processes import in_one_process


class Exploring:
    """An explorer with its world and its loop."""

    def __init__(self, runner: asyncio.Runner, services_state: Explored) -> None:
        self._runner = runner
        self._services_state = services_state
        self._explorer = Explorer(services_state)

    def explore(self, place: Place) -> Report:
        """Explore one place."""
        return self._run(lambda: self._explorer.explore(place))

    def count(self, place: Place) -> int:
        """Count the pause points of one place."""
        return self._run(lambda: self._explorer.count(place))

    def _run[T](self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        loop = self._runner.get_loop()
        assert isinstance(loop, SkippingLoop)
        with in_one_process(self._services_state, loop):
            return self._runner.run(work())


@contextmanager
def exploring(folder: Path) -> Iterator[Exploring]:
    """Make a world to explore in."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        services_state = runner.run(Explored.make(folder))
        yield Exploring(runner, services_state)
        runner.run(services_state.close())

"""What happens while a run is stopped: another activity, the rest of the run, its end, a successor, people."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from field_encrypt import FieldEncryptError
from keyturn.errors import KeyturnError, WrongStateError
from keyturn.rotation.retirement import order_reinstatement
from tests.invariants.harness import REQUESTER
from tests.invariants.rotation_driver import RotationDriver
from tests.overlap.experiments import Meanwhile, Moment, Report, Stopped
from tests.overlap.harness import Explored, Saved
from tests.overlap.places import PLACES, Place
from tests.overlap.rotation_stories import ROTATION, succeed
from tests.overlap.stories import STORIES
from tests.overlap.story import Story, at, failed, patched, reinstated

SUCCESSOR = {"sweeping": "began", "soaking": "swept", "completed": "completed"}
# Where what is disabled must be enabled again before a rotation fails: a story of its own.
RETIREMENT = frozenset({"retiring", "retired", "watching", "watched", "withdrawn", "settled", "void", "retiring again"})


class Runs:
    """Plays what happens meanwhile, from the world as a stopped run has left it."""

    def __init__(self, services_state: Explored, report: Report) -> None:
        """Play in this world; the report takes which pairs ran, and what could not be played to its end."""
        self._services_state = services_state
        self.report = report
        self.moments: dict[tuple[str, str], Moment] = {}
        self._tails: dict[tuple[str, str, str], list[Meanwhile]] = {}

    async def prepare(self, name: str, empty: Saved) -> None:
        """Play a story once, and keep every point of it."""
        story = STORIES[name]
        self.begin(empty)

        def keep(point: str, driver: Any) -> None:
            self.moments[name, point] = Moment(self._services_state.saved(), at(driver, self._services_state.second))

        driver = await story.begin(self._services_state.second)
        keep(story.points[0], driver)
        await story.run_through(driver, story.points[0], story.end, keep)

    def begin(self, saved: Saved) -> None:
        """Put a world back, and start every process of the app anew."""
        self._services_state.put_back(saved)
        self._services_state.restart()

    async def input(self, place: Place, moment: Moment) -> Any:
        """Return what the place's activity is given."""
        self.begin(moment.saved)
        return await place.build(at(moment.driver, self._services_state.second))

    async def all(self, place: Place, stopped: Stopped) -> list[Meanwhile]:
        """Play everything that may happen, and return one for each different world that it leads to."""
        return _distinct([found async for found in self._all(place, self.moments[place.story, place.point], stopped)])

    async def _all(self, place: Place, moment: Moment, stopped: Stopped) -> AsyncIterator[Meanwhile]:
        story = STORIES[place.story]
        reached = await self._path(place, moment, stopped, story)
        for point, reaching in reached.items():
            if point != place.point:
                yield Meanwhile(f"then {point}", reaching.saved)
        for other in PLACES:
            if other.story != place.story:
                continue
            beside = reached.get(other.point) or (reached[place.point] if _before(story, other, place) else None)
            if beside is not None:
                yield await self._beside(other, beside, place)
        async for found in self._persons(stopped, moment.driver.run_id):
            yield found
        for end, since, finish in (
            (story.end, story.end, None),
            ("reinstated", "watched", reinstated),
            ("failed", place.point, failed),
        ):
            if since in reached and (end != "failed" or place.point not in RETIREMENT):
                for found in await self._tail(end, place, reached[since], stopped, finish):
                    yield found

    async def _persons(self, stopped: Stopped, run_id: str) -> AsyncIterator[Meanwhile]:
        """Yield what people may do to rows, and an operator to the run."""
        worker, rows = self._services_state.outside, [] if stopped.snapshot.notes else [*stopped.snapshot.rows.values()]
        enabled = {name for name, (is_on, _) in stopped.snapshot.versions.items() if is_on}
        for row in [one for one in rows if one["mekVersion"] in enabled]:
            self.begin(stopped.saved)
            deks = {**worker.local_keyring.deks, row["id"]: await patched(worker, row)}
            yield Meanwhile(f"row {rows.index(row)} given another DEK", self._services_state.saved(), deks=deks)
        if rows and worker.old in enabled:
            self.begin(stopped.saved)
            await worker.local_keyring.add(worker.old)
            yield Meanwhile("a row written under the old version", self._services_state.saved())
        for row in rows[:1]:
            self.begin(stopped.saved)
            await worker.local_keyring.container.delete_item(row["id"], row["id"])
            yield Meanwhile("a row deleted", self._services_state.saved())
        if stopped.snapshot.documents[run_id].get("retired") is not None:
            self.begin(stopped.saved)
            resources, now = worker.resources, self._services_state.now()
            versions = resources.keyring(worker.keyring).versions
            with contextlib.suppress(WrongStateError):
                await order_reinstatement(resources.run_store, versions, run_id, by=REQUESTER, now=now)
                yield Meanwhile("a reinstatement ordered", self._services_state.saved())

    async def _path(self, place: Place, moment: Moment, stopped: Stopped, story: Story) -> dict[str, Moment]:
        """Return the rest of the run, as it goes on without the stopped activity."""
        if not stopped.written:
            points = story.points[story.points.index(place.point) :]
            return {point: self.moments[place.story, point] for point in points}
        self.begin(stopped.saved)
        driver = at(moment.driver, self._services_state.second)
        reached = {place.point: Moment(stopped.saved, at(driver, self._services_state.second))}

        def keep(point: str, driver: Any) -> None:
            reached[point] = Moment(self._services_state.saved(), at(driver, self._services_state.second))

        with self._cutting(f"{place} {stopped.stop}: the run does not go on"):
            await story.run_through(driver, place.point, story.end, keep)
        return reached

    @contextlib.contextmanager
    def _cutting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, KeyturnError, FieldEncryptError) as error:
            self.report.cut[f"{what}: {type(error).__name__} {str(error)[:200]}"] += 1

    async def _beside(self, other: Place, moment: Moment, place: Place) -> Meanwhile:
        request = await self.input(other, self.moments[other.story, other.point])
        self.begin(moment.saved)
        skipped = self._services_state.skipped
        with contextlib.suppress(KeyturnError):
            await self._services_state.second.act(other.activity, request)
        self.report.pairs.add(str(other))
        passed = (
            self._services_state.skipped - skipped
            if other.point == place.point
            else Meanwhile._field_defaults["seconds"]
        )
        return Meanwhile(f"at once with {other}", self._services_state.saved(), passed)

    async def _tail(
        self, end: str, place: Place, moment: Moment, stopped: Stopped, finish: Callable[[Any], Awaitable[None]] | None
    ) -> list[Meanwhile]:
        """Return the end of the run, and what its successor has come to after it."""
        key = (place.story, place.point, end)
        if not stopped.written and key in self._tails:
            return self._tails[key]
        self.begin(moment.saved)
        found: list[Meanwhile] = []
        with self._cutting(f"{place} {stopped.stop}: {end}"):
            if finish is not None:
                await finish(at(moment.driver, self._services_state.second))
                found.append(Meanwhile(f"late, {end}", self._services_state.saved()))
            successor: RotationDriver = await succeed(self._services_state.second)

            def keep(point: str, _: Any) -> None:
                if point in SUCCESSOR:
                    found.append(Meanwhile(f"late, {end}, successor {SUCCESSOR[point]}", self._services_state.saved()))

            await ROTATION.run_through(successor, "requested", "completed", keep)
        if not stopped.written:
            self._tails[key] = found
        return found


def _distinct(meanwhile: list[Meanwhile]) -> list[Meanwhile]:
    """Return one for each different world: two activities that wrote nothing leave the same one."""
    different: dict[Any, Meanwhile] = {}
    for one in meanwhile:
        key = (one.saved.content, repr(one.saved.versions))
        known = different.get(key)
        different[key] = one if known is None else known._replace(name=f"{known.name} = {one.name}")
    return list(different.values())


def _before(story: Story, first: Place, second: Place) -> bool:
    return story.points.index(first.point) < story.points.index(second.point)

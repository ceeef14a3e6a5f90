"""Stops every activity at every request, lets something happen meanwhile, lets it go on, and looks at what is left.

What happens meanwhile starts from the world as the stopped run has left it. Where it has written nothing yet, that is
the world that it began in; so one play of what happens meanwhile serves all its stops between two writes.
"""

import asyncio
import contextlib
from typing import Any

from field_encrypt.dek import Dek
from keyturn.contracts.base import Payload
from keyturn.errors import KeyturnError
from tests.overlap.experiments import Meanwhile, Moment, Report, Stopped, Wrong
from tests.overlap.gate import Gate, Stop
from tests.overlap.harness import Explored, Saved, Snapshot
from tests.overlap.judgement import changed, findings, lost, overtaken
from tests.overlap.meanwhile import Runs
from tests.overlap.places import Place

THAW_TURNS = 5  # of the loop, once time has passed and before the stopped run's requests go on
TRIES = 3  # of an activity that raises: the workflow runs it again


class Explorer:
    """Explores what may overlap with the activity of one place."""

    def __init__(self, services_state: Explored) -> None:
        """Explore in a world that holds nothing but a key."""
        self._services_state = services_state
        self._empty = services_state.saved()
        self._runs = Runs(services_state, Report())
        self.report = self._runs.report

    async def explore(self, place: Place) -> Report:
        """Explore one place, and return what was found there."""
        self.report = self._runs.report = Report()
        if (place.story, place.point) not in self._runs.moments:
            await self._runs.prepare(place.story, self._empty)
        moment = self._runs.moments[place.story, place.point]
        request = await self._runs.input(place, moment)
        await self._recorded(moment, request, place)  # clients keep what they learn of containers and challenges
        whole = await self._recorded(moment, request, place)
        usual = await self._findings(moment.saved)
        worlds: dict[tuple[str, ...], list[Meanwhile]] = {}
        for stop in _stops(whole):
            stopped = await self._stopped(moment, request, place, stop)
            if stopped is None:
                self.report.wrong.append(Wrong(str(stop), "nothing", "it was not stopped"))
                continue
            self.report.stops += 1
            if stopped.written not in worlds:
                same: dict[str, int] = {}  # world -> the first stop from which the run goes on otherwise
                worlds[stopped.written] = await self._runs.all(place, stopped)
            for meanwhile in worlds[stopped.written]:
                self.report.experiments += 1
                if same.get(meanwhile.name, 0) > stop.number:
                    continue
                gone_on = await self._go_on(place, request, stopped, meanwhile, usual)
                self.report.runs += 1
                same[meanwhile.name] = gone_on.same_as(whole, stop.number) + 1
        return self.report

    async def count(self, place: Place) -> int:
        """Return in how many places the activity can be stopped."""
        if (place.story, place.point) not in self._runs.moments:
            await self._runs.prepare(place.story, self._empty)
        moment = self._runs.moments[place.story, place.point]
        request = await self._runs.input(place, moment)
        await self._recorded(moment, request, place)
        return len(_stops(await self._recorded(moment, request, place)))

    async def _recorded(self, moment: Moment, request: Payload, place: Place) -> Gate:
        self._runs.begin(moment.saved)
        gate = self._services_state.first.gate = Gate()
        envelope = await self._services_state.first.act(place.activity, request)
        if "failure" in envelope:
            self.report.wrong.append(Wrong("nowhere", "nothing", f"it fails: {envelope['failure']}"))
        return gate

    async def _stopped(self, moment: Moment, request: Payload, place: Place, stop: Stop) -> Stopped | None:
        self._runs.begin(moment.saved)
        gate = self._services_state.first.gate = Gate(stop)
        began = self._services_state.now()
        self._services_state.first.begin_at(began, self._services_state.skipped)
        run = asyncio.ensure_future(self._services_state.first.act(place.activity, request))
        if not await gate.until_stopped(run):
            run.exception()
            return None
        gate.copy_answers()
        stopped = Stopped(stop, gate, began, self._services_state.saved(), self._services_state.snapshot())
        await _abandon(run)
        return stopped

    async def _go_on(
        self, place: Place, request: Payload, stopped: Stopped, meanwhile: Meanwhile, usual: set[str]
    ) -> Gate:
        """Have the run stopped again, put it into the world as it became meanwhile, and let it go on to its end."""
        services_state = self._services_state
        services_state.first.restart()
        gate = services_state.first.gate = stopped.gate.replaying()
        services_state.first.begin_at(stopped.began, self._services_state.skipped)
        services_state.put_back(stopped.saved)
        run = asyncio.ensure_future(services_state.first.act(place.activity, request))
        if not await gate.until_stopped(run):
            sent = [request.about for request in gate.sent]
            raise AssertionError(f"{place} was not stopped again {stopped.stop}: {run}, {sent}")
        services_state.put_back(meanwhile.saved)
        before = services_state.snapshot()
        services_state.skip(meanwhile.seconds)
        for _ in range(THAW_TURNS):  # what waited for so long already gives up first
            await asyncio.sleep(0)
        gate.go_on()
        findings = await self._ended(run, place, request)
        after = services_state.snapshot()
        reasons = [
            *findings,
            *(
                await self._judged(place, before, after, usual, meanwhile.deks, looked=stopped.looked)
                if before != after or stopped.written
                else []
            ),
        ]
        self.report.wrong += [Wrong(str(stopped.stop), meanwhile.name, reason) for reason in reasons]
        return gate

    async def _ended(self, run: "asyncio.Future[Any]", place: Place, request: Payload) -> list[str]:
        for _ in range(TRIES):
            try:
                envelope = await run
            except KeyturnError:
                run = asyncio.ensure_future(self._services_state.first.act(place.activity, request))
                continue
            message = str(envelope.get("failure", {}).get("message"))
            return [message] if "unexpected" in message else []
        return []

    async def _judged(
        self,
        place: Place,
        before: Snapshot,
        after: Snapshot,
        usual: set[str],
        deks: dict[str, Dek] | None,
        *,
        looked: bool,
    ) -> list[str]:
        run, outside = self._runs.moments[place.story, place.point].driver, self._services_state.outside
        outside.restart()
        reasons = sorted(await findings(after, outside, deks or outside.local_keyring.deks) - usual)
        if overtaken(before, run.run_id, run.ref.fencing_token):
            return [*reasons, *changed(before, after, run.ref, looked=looked)]
        return [*reasons, *lost(before, after, place.story, run.run_id)]

    async def _findings(self, saved: Saved) -> set[str]:
        self._runs.begin(saved)
        outside = self._services_state.outside
        return await findings(self._services_state.snapshot(), outside, outside.local_keyring.deks)


def _stops(whole: Gate) -> list[Stop]:
    """Return every place where the run can be stopped: before each request, and with each write that was taken."""
    before = [Stop(number) for number in range(len(whole.sent))]
    taken = [Stop(number, taken=True) for number, request in enumerate(whole.sent) if request.writes]
    return sorted([*before, *taken], key=lambda stop: (stop.number, stop.taken))


async def _abandon(run: "asyncio.Future[Any]") -> None:
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError, KeyturnError):
        await run

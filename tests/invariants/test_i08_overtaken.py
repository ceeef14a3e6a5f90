"""I8: a run that lost its keyring changes no row any more, wherever it was held up; nor does what comes too late."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.cosmos.aio import CosmosClient

from keyturn.contracts.base import RunInput, StepInput
from keyturn.contracts.migrations import Encrypt
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput
from keyturn.deks.page import PageWork
from keyturn.runs.lease import Hold
from tests.field_encrypt.local_cosmos import new_container
from tests.invariants.harness import SECONDS, ActivityHarness
from tests.invariants.migrating import begun
from tests.invariants.rotation_driver import RotationDriver, to_completed
from tests.invariants.steps import Steps

ROWS = 3
# Where a page is held up: the service, and the first request of it that waits; {row} is the page's first row.
PAUSES: dict[str, tuple[str, dict[str, Any]]] = {
    "at its first read": ("cosmos", {"operation": "read", "match": "docs/{row}"}),
    "at its first unwrap": ("vault", {"operation": "unwrap"}),
    "at its look at the lease": ("cosmos", {"operation": "patch", "match": "docs/lease"}),
    "at its first write": ("cosmos", {"operation": "patch", "match": "docs/{row}"}),
}


class Overtaken:
    """A run with a page of rows to rewrap, and the run that comes after it."""

    def __init__(self, harness: ActivityHarness, refs: list[RowRef], first: RotationDriver) -> None:
        self.harness, self.refs, self.first = harness, refs, first
        self.page = PageInput(run=first.ref, target_version=first.target, refs=refs, operations_per_second=1000)

    @classmethod
    async def create(cls, harness: ActivityHarness) -> "Overtaken":
        """Bring the first run to where it sweeps."""
        refs = await harness.local_keyring.add_many(ROWS, harness.old)
        first = RotationDriver(harness, await harness.start(ago=6, creation_settle="PT5S"))  # nothing to wait for
        await first.to_new_version()
        await first.advance(State.SWEEPING)
        return cls(harness, refs, first)

    async def overtake(self) -> RotationDriver:
        """End the first run, and begin the next one, which makes a version of its own."""
        step, error = self.first.step + 1, "InvariantError"
        ending = FailureInput(
            run=self.first.ref, step=step, error_type=error, message="made up", retire_attempted=False
        )
        await self.first.act("record_failure", ending)
        await self.harness.local_keyring.mek.create()  # nobody's: it is not adopted
        second = RotationDriver(self.harness, await self.harness.start(ago=6, creation_settle="PT5S"))
        await second.to_new_version()
        assert second.target != self.first.target
        return second

    async def paused(self, where: str) -> "asyncio.Task[dict[str, Any]]":
        """Run the first run's page until it is held up."""
        service, rule = PAUSES[where]
        rule = {name: value.format(row=self.refs[0].id) for name, value in rule.items()}
        keyring = self.harness.local_keyring
        arm = keyring.cosmos.fault if service == "cosmos" else keyring.mek.fault
        arm(**rule, kind="hold")
        page = asyncio.create_task(self.harness.act("rewrap_page", self.page))
        async with asyncio.timeout(SECONDS):
            while not any(self.fired(service)):  # noqa: ASYNC110 - another process's event
                await asyncio.sleep(0.02)
        return page

    def resume(self, where: str) -> None:
        """Let the page go on."""
        self._faults("DELETE", PAUSES[where][0])

    def fired(self, service: str) -> list[int]:
        """Return how often each armed fault has met a request."""
        return [rule["fired"] for rule in self._faults("GET", service)]

    def _faults(self, method: str, service: str) -> Any:
        keyring = self.harness.local_keyring
        url = keyring.cosmos.url if service == "cosmos" else keyring.mek.vault.url
        authority = str(keyring.mek.vault.authority)
        answer = requests.request(method, f"{url}/_control/faults", verify=authority, timeout=SECONDS)
        return answer.json() if answer.content else None

    async def rewritten(self, ref: RowRef, version: str) -> None:
        """Have a backend give the row a new DEK under the version, and nothing of what runs write into rows."""
        keyring = self.harness.local_keyring
        fresh = await keyring.add(version)
        keyring.deks[ref.id] = keyring.deks.pop(fresh.id)
        item = {name: value for name, value in (await keyring.item(fresh)).items() if not name.startswith("_")}
        await keyring.container.upsert_item({**item, "id": ref.id})
        await keyring.container.delete_item(fresh.id, partition_key=fresh.id)


@pytest.fixture
async def overtaken(harness: ActivityHarness) -> Overtaken:
    """A run that sweeps."""
    return await Overtaken.create(harness)


@pytest.mark.parametrize("where", PAUSES)
async def test_a_page_that_resumes_after_the_next_run_has_completed_changes_nothing(
    overtaken: Overtaken, where: str
) -> None:
    """No row is moved back to a version that is disabled by then, also not one that a backend has written anew."""
    overtaken.page = overtaken.page.model_copy(update={"refs": overtaken.refs[:1]})
    page = await overtaken.paused(where)
    second = await overtaken.overtake()
    await to_completed(second)
    await overtaken.rewritten(overtaken.refs[0], second.target)
    before = await overtaken.harness.rows()

    overtaken.resume(where)
    answer = await page

    assert await overtaken.harness.rows() == before
    assert answer["failure"]["errorType"] == "FencedError"
    assert await overtaken.harness.needed_but_disabled() == []
    assert await overtaken.harness.changed_deks() == []


async def test_a_page_of_a_run_that_was_lost_moves_nothing(overtaken: Overtaken) -> None:
    """Neither what the next run has swept, nor a stale writer's new row, nor a row that a backend has written anew."""
    second = await overtaken.overtake()
    await second.advance(State.SWEEPING)
    await second.work("rewrap")
    stale = await overtaken.harness.local_keyring.add(overtaken.harness.old)
    await overtaken.rewritten(overtaken.refs[0], second.target)
    before = await overtaken.harness.rows()

    for refs in ([stale], [overtaken.refs[0]], [overtaken.refs[1]], [*overtaken.refs, stale]):
        late = overtaken.page.model_copy(update={"refs": refs})
        answer = await overtaken.harness.act("rewrap_page", late)
        assert answer["failure"]["errorType"] == "FencedError"

    assert await overtaken.harness.rows() == before


async def test_documents_of_a_migration_that_was_lost_stay_as_they_are(
    harness: ActivityHarness, cosmos_client: CosmosClient
) -> None:
    """No document is encrypted, and no row is made for it."""
    notes = await new_container(cosmos_client, "notes")
    harness.encrypt_notes(notes)
    record = await begun(harness, Encrypt(containers=[notes.id]))
    lost = Steps(harness, record)
    await lost.advance(State.RUNNING)
    await notes.create_item({"id": "note", "title": "plain"})
    (page,) = await lost.pages("encrypt_documents", notes.id)
    await lost.advance(State.ABORTED)
    await harness.start()
    before = await harness.stored_notes()

    answer = await harness.act("encrypt_documents", page)

    assert answer["failure"]["errorType"] == "FencedError"
    assert (await harness.stored_notes(), await harness.rows()) == (before, [])


async def test_a_workflow_that_was_given_up_changes_no_record(overtaken: Overtaken) -> None:
    """Its next step is refused, and the record stays as the run's end left it."""
    await overtaken.overtake()
    before = await overtaken.harness.runs.read(overtaken.first.run_id)
    step = StepInput(run=overtaken.first.ref, step=overtaken.first.step + 1, target=State.SOAKING)

    answer = await overtaken.harness.act("advance", step)

    assert answer["failure"]["errorType"] == "FencedError"
    after = await overtaken.harness.runs.read(overtaken.first.run_id)
    assert after.model_copy(update={"etag": before.etag}) == before  # written once more, to know that it is the newest


@pytest.mark.parametrize("name", ["rewrap_page", "prove_page", "record_progress", "advance"])
async def test_an_activity_that_comes_after_its_time_writes_nothing(overtaken: Overtaken, name: str) -> None:
    """It is refused before it does anything, and its workflow may schedule it anew."""
    first, harness = overtaken.first, overtaken.harness
    inputs: dict[str, RunInput] = {
        "rewrap_page": overtaken.page,
        "prove_page": overtaken.page,
        "record_progress": first.progress(PageResult(), [{}], datetime.now(UTC), "sweep"),
        "advance": StepInput(run=first.ref, step=first.step + 1, target=State.SOAKING),
    }
    before = await harness.rows(), await harness.documents()

    late = inputs[name].model_copy(update={"not_after": datetime.now(UTC) - timedelta(seconds=1)})
    answer = await harness.act(name, late)

    assert answer["failure"]["errorType"] == "LateError"
    assert (await harness.rows(), await harness.documents()) == before


async def test_one_look_at_the_lease_serves_a_whole_page(overtaken: Overtaken) -> None:
    """A page costs one look however many rows it has; a row that is read again after a lost race costs one more."""
    keyring = overtaken.harness.local_keyring
    refs = [*overtaken.refs, *await keyring.add_many(27, overtaken.harness.old)]
    looks = {"operation": "patch", "match": "docs/lease", "kind": "delay", "delayMs": 0, "count": None}
    keyring.cosmos.fault(**looks)

    await overtaken.first.act("rewrap_page", overtaken.page.model_copy(update={"refs": refs[:20]}))
    assert overtaken.fired("cosmos") == [1]
    keyring.cosmos.fault(operation="patch", match=f"docs/{refs[25].id}", kind="etag_race")
    await overtaken.first.act("rewrap_page", overtaken.page.model_copy(update={"refs": refs[20:]}))

    assert overtaken.fired("cosmos") == [3, 1]


async def test_broken_the_lease_is_not_looked_at(overtaken: Overtaken, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look a late page moves a row that a backend has written under the next run's version."""
    second = await overtaken.overtake()
    await overtaken.rewritten(overtaken.refs[1], second.target)

    async def unlooked(_self: Hold, _read_at: float) -> None:
        return

    monkeypatch.setattr(Hold, "check", unlooked)
    await overtaken.first.act("rewrap_page", overtaken.page)

    assert {row["mekVersion"] for row in await overtaken.harness.rows()} == {overtaken.first.target}


async def test_broken_the_look_comes_before_the_read(overtaken: Overtaken, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is older than the read says nothing about the row."""
    check = Hold.check

    async def at_any_time(self: Hold, _read_at: float) -> None:
        if self._held_at < 0:
            await check(self, _read_at)

    monkeypatch.setattr(Hold, "check", at_any_time)
    where = "at its first read"
    monkeypatch.setattr(PageWork, "read_ahead", 1)
    overtaken.refs.reverse()
    page = await overtaken.paused(where)  # the look was made for another row
    second = await overtaken.overtake()
    await overtaken.rewritten(overtaken.refs[0], second.target)
    overtaken.resume(where)
    await page

    assert {row["mekVersion"] for row in await overtaken.harness.rows()} == {overtaken.first.target}

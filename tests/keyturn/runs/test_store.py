"""The store of the runs' records: one document each, changed only by whoever has seen its latest version."""

import asyncio
from datetime import timedelta

import pytest
from azure.cosmos.aio import ContainerProxy

from keyturn.contracts.pages import QuarantinedRow
from keyturn.cosmos.state_container import ATTEMPTS, DOCUMENT_BYTES_MAX
from keyturn.errors import InvariantError, LostRaceError, UnknownRotationError
from keyturn.ids import RunKind, keyring_of, new_run_id
from keyturn.runs.lease import release
from keyturn.runs.progress import with_quarantined
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, make_record, new_keyring, start_run

pytestmark = pytest.mark.usefixtures("mixed_types")


async def test_a_record_is_read_as_it_was_written(runs: RotationStore) -> None:
    """Whatever a record holds survives the database, and it comes back with its ETag."""
    record = await start_run(runs, reason="größer €", waivers=[{"check": "backup", "why": "snapshot taken"}])

    read = await runs.read(record.run_id)

    assert record == read
    assert read.etag is not None
    assert read.options.waivers[0].by == read.requested_by


async def test_the_documents_shape_is_what_others_query(runs: RotationStore, container: ContainerProxy) -> None:
    """The document has its id, kind and partition where queries look for them, and no ETag of its own."""
    record = await start_run(runs)

    document = await container.read_item(record.run_id, record.keyring)

    assert (document["kind"], document["keyring"], document["state"]) == ("rotation", record.keyring, "requested")
    assert "etag" not in document
    assert {"from": None, "to": "requested"}.items() <= document["history"][0].items()


@pytest.mark.parametrize("run_id", ["", "nothing", "k.20260301T030000Z.abc", "../x.20260301T030000Z.abcdef"])
async def test_what_cannot_be_an_id_is_unknown(runs: RotationStore, run_id: str) -> None:
    """An id that no rotation can have is unknown, without a look into the database."""
    with pytest.raises(UnknownRotationError):
        await runs.read(run_id)


async def test_a_rotation_that_never_was_is_unknown(runs: RotationStore) -> None:
    """A well-formed id without a record is unknown, and named."""
    run_id = new_run_id(RunKind.ROTATION, "default", NOW)

    with pytest.raises(UnknownRotationError) as raised:
        await runs.read(run_id)

    assert raised.value.facts == {"rotationId": run_id}
    assert keyring_of(run_id) == "default"


async def test_concurrent_changes_are_all_kept(runs: RotationStore) -> None:
    """Sixteen writers at once: nobody's change is lost."""
    record = await start_run(runs)

    def name(number: int) -> asyncio.Task[RotationRecord]:
        row = QuarantinedRow(id=f"row-{number}", reason="malformed")
        return asyncio.create_task(runs.update(record.run_id, lambda run: with_quarantined(run, [row])))

    await asyncio.gather(*(name(number) for number in range(16)))
    rows = (await runs.read(record.run_id)).quarantined

    assert {f"row-{number}" for number in range(16)} == {row.id for row in rows.named}
    assert rows.count == 16


async def test_a_change_that_changes_nothing_writes_nothing(runs: RotationStore) -> None:
    """Returning the record as it is leaves the document untouched."""
    record = await start_run(runs)

    same = await runs.update(record.run_id, lambda run: run)

    assert record.etag == same.etag


async def test_a_race_that_is_always_lost_ends(runs: RotationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update gives up after a bounded number of lost races and says so."""
    record = await start_run(runs)

    async def lose(_document: object, _etag: str) -> None:
        return None

    monkeypatch.setattr(runs.documents, "replace", lose)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0)

    with pytest.raises(LostRaceError) as raised:
        await runs.update(record.run_id, lambda run: run.changed(reason="again"))

    assert {"document": record.run_id, "attempts": ATTEMPTS} == raised.value.facts


async def test_rotations_are_listed_newest_first_and_by_pages(runs: RotationStore) -> None:
    """A list begins with the newest rotation of its keyring and goes on before the last one of a page."""
    keyring = new_keyring()
    records = await of_one_second(runs, keyring, 5)
    await start_run(runs)  # of another keyring

    first = await runs.newest(keyring, limit=3)
    rest = await runs.newest(keyring, before=first[-1].run_id, limit=3)

    assert [record.run_id for record in reversed(records)] == [record.run_id for record in [*first, *rest]]


async def test_what_began_later_is_newer_whatever_a_clock_says(runs: RotationStore) -> None:
    """A host whose clock is behind starts the next rotation: it is the newest one all the same."""
    first = await start_run(runs)
    await release(runs, first)
    second = await start_run(runs, first.keyring, now=NOW - timedelta(days=1))

    assert [run.run_id for run in await runs.newest(first.keyring)] == [second.run_id, first.run_id]


async def test_a_list_that_is_to_go_on_before_no_run_of_the_keyring_is_refused(runs: RotationStore) -> None:
    """An id without a record, one that cannot be an id, and one of another keyring are unknown."""
    keyring, other = new_keyring(), await start_run(runs)

    for before in (new_run_id(RunKind.ROTATION, keyring, NOW), "last month", other.run_id):
        with pytest.raises(UnknownRotationError):
            await runs.newest(keyring, before=before)


async def of_one_second(runs: RotationStore, keyring: str, count: int) -> list[RotationRecord]:
    """Store so many rotations that began within one second, oldest first; their ids do not tell their order."""
    ids = sorted((new_run_id(RunKind.ROTATION, keyring, NOW) for _ in range(count)), reverse=True)
    records = [make_record(keyring, run_id=name, fencing_token=token) for token, name in enumerate(ids, 9)]
    for record in records:  # tokens from 9 on: as numbers, not as text, 10 comes after 9
        await runs.documents.create(record.to_document())
    return records


async def test_a_record_that_outgrew_its_bounds_is_not_written(runs: RotationStore) -> None:
    """A document near the database's limit is refused by us, because the database would refuse the next change."""
    record = await start_run(runs)

    with pytest.raises(InvariantError) as raised:
        await runs.update(record.run_id, lambda run: run.changed(evidence={"x": "y" * DOCUMENT_BYTES_MAX}))

    assert raised.value.facts["bytes"] > DOCUMENT_BYTES_MAX

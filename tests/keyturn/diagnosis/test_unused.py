"""Unused DEKs: what counts as a use, and what is said of the rows that have none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from field_encrypt import EncryptedContainer, FieldEncryption, FieldPolicy, KeyPolicy, KeyVaultProvider
from field_encrypt.fields import is_encrypted
from keyturn.cosmos.client import read_feed_page
from keyturn.diagnosis import feed_scan, orphans
from keyturn.diagnosis.orphans import OrphanPage, OrphanRequest, UnusedCount, scan_orphans
from keyturn.documents.queries import deks_named
from keyturn.keyring_clients import KeyringClients
from tests.keyturn.diagnosis.damaged_documents import WORKSPACE, DamagedDocuments

LATER = datetime.now(UTC) + timedelta(days=1)
FORMAT_1 = {"enc": 1, "alg": "A256GCM", "mekVersion": "v", "iv": "", "ct": "", "tag": ""}
FORMAT_2 = {"enc": 2, "alg": "A256GCM-HKDF-SHA256", "mekVersion": "v", "salt": "", "commit": "", "iv": "", "ct": ""}
DETERMINISTIC = {"enc": 2, "alg": "A256SIV-HKDF-SHA256", "mekVersion": "v", "commit": "", "ct": ""}
NESTED = ["parts/*/text", "parts/*/pages/*/text", "first/0/text", "by~1name/0"]


async def unused(keyring: KeyringClients, now: datetime = LATER) -> OrphanPage:
    """Return the answer of a scan of few rows, which is one page."""
    page = await scan_orphans(keyring, OrphanRequest(kind="unused_deks"), now=now)
    assert page.token is None
    return page


async def ids_of(keyring: KeyringClients) -> list[str]:
    """Return the ids of the unused rows."""
    return [orphan.dek_id for orphan in (await unused(keyring)).orphans]


async def add_row(damaged: DamagedDocuments, **properties: Any) -> str:
    """Store a row of the MEK's newest version and return its id."""
    version = (await damaged.local_keyring.mek.client.newest_enabled()).version
    return (await damaged.local_keyring.add(version, **properties)).id


@pytest.mark.parametrize("form", [FORMAT_1, FORMAT_2, DETERMINISTIC], ids=["format 1", "format 2", "deterministic"])
@pytest.mark.parametrize("place", ["notes", "archive"])
async def test_every_form_in_every_container_is_a_use(
    damaged: DamagedDocuments, form: dict[str, Any], place: str
) -> None:
    """Also of a row that only a document of the second container names."""
    used, free = await add_row(damaged), await add_row(damaged)
    document: dict[str, Any] = {"id": "d", "workspaceId": WORKSPACE, "author": {"name": {**form, "dekId": used}}}
    assert is_encrypted(document["author"]["name"])
    await getattr(damaged, place).create_item(document)

    assert await ids_of(damaged.keyring) == [free]


@pytest.mark.parametrize(
    "nested",
    [
        lambda field: {"parts": [{"text": "plain"}, {"text": field}]},
        lambda field: {"parts": [{"pages": []}, {"pages": [{"text": "plain"}, {"text": field}]}]},
        lambda field: {"first": [{"text": field}]},
        lambda field: {"first": {"0": {"text": field}}},
        lambda field: {"by/name": {"0": field}},
        lambda field: {"parts": {"*": {"text": field}}},
    ],
    ids=["element", "element of an element", "index", "name like an index", "escaped name", "name like a wildcard"],
)
async def test_a_field_in_a_list_is_a_use(damaged: DamagedDocuments, nested: Any) -> None:
    """However deep; what a path may mean by ``*`` or a number, element or name, is looked up as both."""
    keyring = damaged.resources(documents=[{"name": damaged.archive.id, "fields": NESTED}])
    used, free = await add_row(damaged), await add_row(damaged)
    await damaged.archive.create_item({"id": "d", "workspaceId": WORKSPACE, **nested({**FORMAT_2, "dekId": used})})

    assert await ids_of(keyring) == [free]


async def test_a_document_that_is_written_meanwhile_is_a_use(
    damaged: DamagedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents are looked up after the rows were read: one that was stored in between is seen."""
    used, free = await add_row(damaged), await add_row(damaged)

    async def read_and_store(*arguments: Any) -> Any:
        page = await read_feed_page(*arguments)
        late = {"id": "late", "workspaceId": WORKSPACE, "title": {**FORMAT_2, "dekId": used}}
        await damaged.archive.upsert_item(late)
        return page

    monkeypatch.setattr(feed_scan, "read_feed_page", read_and_store)

    assert await ids_of(damaged.keyring) == [free]


async def test_a_document_that_moves_meanwhile_is_a_use(
    damaged: DamagedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes from a container that is not yet looked at into one that was: a second look finds it there."""
    used, free = await add_row(damaged), await add_row(damaged)
    document = {"id": "d", "workspaceId": WORKSPACE, "title": {**FORMAT_1, "dekId": used}}
    await damaged.archive.create_item(document)

    async def look_and_move(container: Any, *arguments: Any) -> set[str]:
        found = await deks_named(container, *arguments)
        if container is damaged.notes and not moved:
            moved.append(await damaged.notes.create_item(document))
            await damaged.archive.delete_item("d", partition_key=WORKSPACE)
        return found

    moved: list[Any] = []
    monkeypatch.setattr(orphans, "deks_named", look_and_move)

    assert await ids_of(damaged.keyring) == [free]
    assert moved


async def test_a_row_of_another_key_is_not_called_unused(damaged: DamagedDocuments) -> None:
    """Documents of another keyring may name it: it is counted."""
    free = await add_row(damaged)
    await add_row(damaged, mekName="another-mek")

    page = await unused(damaged.keyring)

    assert ([orphan.dek_id for orphan in page.orphans], page.foreign) == ([free], 1)


async def test_a_dek_that_writers_find_by_its_id_is_not_called_unused(damaged: DamagedDocuments) -> None:
    """A writer may take it again at any time, whatever its age: it is counted, and only while no document names it."""
    provider, rows = KeyVaultProvider(damaged.local_keyring.mek.client), damaged.keyring.reader_store
    shared = FieldEncryption(provider, rows, None, policy=KeyPolicy(per="partition"))
    policy = FieldPolicy(damaged.notes.id, ["title", "author/name"], deterministic=["title"])
    notes = EncryptedContainer(damaged.notes, shared, policy)
    await notes.create_item({"id": "d", "workspaceId": WORKSPACE, "title": "t", "author": {"name": "n"}})

    before = await unused(damaged.keyring)
    await damaged.notes.delete_item("d", partition_key=WORKSPACE)
    after = await unused(damaged.keyring)

    assert (before.scanned, before.shared, before.orphans, before.counts) == (2, 0, [], [])
    assert (after.scanned, after.shared, after.orphans, after.counts) == (2, 2, [], [])


async def test_unused_rows_are_counted_by_version_and_age(damaged: DamagedDocuments) -> None:
    """By what the row says of its creation; one that does not say is as old as its last change."""
    version = (await damaged.local_keyring.mek.client.newest_enabled()).version
    days = [0.9, 1.1, 6, 8, 29, 31, 89, 91, 364, 366, 4000]
    for age in days:
        await add_row(damaged, createdAt=(LATER - timedelta(days=age)).isoformat())
    await add_row(damaged, createdAt=..., mekVersion=...)

    page = await unused(damaged.keyring)

    counted = {1: 2, 7: 2, 30: 2, 90: 2, 365: 2}
    expected = [UnusedCount(mek_version=version, older_than_days=age, rows=rows) for age, rows in counted.items()]
    first = UnusedCount(mek_version=version, older_than_days=0, rows=1)
    unlabelled = [count for count in page.counts if count.mek_version is None]
    assert [count for count in page.counts if count.mek_version] == [first, *expected]
    assert [(count.older_than_days in (0, 1), count.rows) for count in unlabelled] == [(True, 1)]
    assert sum(count.rows for count in page.counts) == len(page.orphans) == len(days) + 1
    assert {orphan.mek_version for orphan in page.orphans} == {version, None}


async def test_the_answer_says_that_it_is_no_permission(damaged: DamagedDocuments) -> None:
    """Keyturn does not see every document, so its answer must not be read as "may be deleted"."""
    page = await unused(damaged.keyring)
    missing = await scan_orphans(damaged.keyring, OrphanRequest(kind="missing_deks"), now=LATER)

    assert page.caution is not None
    assert "do not delete" in page.caution
    assert missing.caution is None

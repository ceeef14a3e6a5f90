"""Orphans: found on both sides, in bounded steps, and never where an item is only young."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.diagnosis import feed_scan, orphans
from keyturn.diagnosis.orphans import OrphanRequest, scan_orphans
from keyturn.errors import CallerError, InvalidRequestError, PermissionMissingError
from keyturn.keyring_clients import KeyringClients
from tests.keyturn.diagnosis.damaged_documents import DamagedDocuments

pytestmark = pytest.mark.usefixtures("mixed_types")

LATER = datetime.now(UTC) + timedelta(days=1)


async def scanned(keyring: KeyringClients, kind: Any, now: datetime = LATER) -> list[orphans.OrphanPage]:
    """Return the answers of a whole scan."""
    pages = [await scan_orphans(keyring, OrphanRequest(kind=kind), now=now)]
    while (token := pages[-1].token) is not None:
        pages.append(await scan_orphans(keyring, OrphanRequest(kind=kind, token=token), now=now))
    return pages


def found_in(pages: list[orphans.OrphanPage]) -> set[tuple[str, str | None, str | None]]:
    """Return what the answers name."""
    return {(found.dek_id, found.container, found.document_id) for page in pages for found in page.orphans}


async def lose_row(damaged: DamagedDocuments, document: dict[str, Any]) -> str:
    """Delete the row of a document's DEK and return the dekId."""
    dek_id = str(document["title"]["dekId"])
    await damaged.local_keyring.container.delete_item(dek_id, partition_key=dek_id)
    return dek_id


async def test_documents_that_name_missing_deks_are_found(damaged: DamagedDocuments) -> None:
    """In every container, with the place and the dekId; documents whose rows are there are not."""
    for _ in range(3):
        await damaged.add()
    first, second = await damaged.add(), await damaged.add(damaged.archive)
    lost = [await lose_row(damaged, document) for document in (first, second)]

    pages = await scanned(damaged.keyring, "missing_deks")

    expected = {(lost[0], damaged.notes.id, first["id"]), (lost[1], damaged.archive.id, second["id"])}
    assert found_in(pages) == expected
    assert sum(page.scanned for page in pages) == 5


async def test_a_dek_id_that_nothing_can_have_is_missing(damaged: DamagedDocuments) -> None:
    """It is not asked for, and is named."""
    document = await damaged.add()
    await damaged.change(document, dekId="a/b?#")

    assert ("a/b?#", damaged.notes.id, document["id"]) in found_in(await scanned(damaged.keyring, "missing_deks"))


async def test_rows_that_nothing_names_are_found(damaged: DamagedDocuments) -> None:
    """A DEK that any field of any container names is in use."""
    first = await damaged.add()
    await damaged.add(damaged.archive)
    await damaged.notes.replace_item(first["id"], {**first, "title": "plain again"})
    unused = (
        await damaged.local_keyring.add((await damaged.row(first | {"title": first["author"]["name"]}))["mekVersion"])
    ).id

    pages = await scanned(damaged.keyring, "unused_deks")

    assert found_in(pages) == {(unused, None, None)}
    assert sum(page.scanned for page in pages) == 3


async def test_what_is_young_is_left_out(damaged: DamagedDocuments) -> None:
    """A row is younger than its document; both are left to the next scan."""
    await lose_row(damaged, await damaged.add())
    version = (await damaged.local_keyring.mek.client.newest_enabled()).version
    now = datetime.now(UTC)
    await damaged.local_keyring.add(version, createdAt=now.isoformat())

    for kind in ("missing_deks", "unused_deks"):
        pages = await scanned(damaged.keyring, kind, now)

        assert found_in(pages) == set()
        assert sum(page.too_young for page in pages) == 1


async def test_a_rewrap_does_not_make_a_row_young(damaged: DamagedDocuments) -> None:
    """Its age is that of its creation, where it tells it."""
    version, created = (await damaged.local_keyring.mek.client.newest_enabled()).version, "2026-11-01T00:00:00+00:00"
    ref = await damaged.local_keyring.add(version, createdAt=created)

    pages = await scanned(damaged.keyring, "unused_deks", datetime.now(UTC))

    assert found_in(pages) == {(ref.id, None, None)}


async def test_a_scan_goes_on_where_it_stopped(damaged: DamagedDocuments, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little a call looks at, every item is looked at once, over all partitions and containers."""
    monkeypatch.setattr(orphans, "ITEMS_MAX", 2)
    monkeypatch.setattr(feed_scan, "ITEMS_PAGE", 2)
    documents = [await damaged.add(place) for place in (damaged.notes, damaged.archive) for _ in range(5)]
    lost = {await lose_row(damaged, document) for document in documents}

    pages = await scanned(damaged.keyring, "missing_deks")

    assert {dek_id for dek_id, _, _ in found_in(pages)} == lost
    assert sum(page.scanned for page in pages) == 10
    assert len(pages) >= 5


async def test_a_split_loses_nothing(damaged: DamagedDocuments, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that is split between two calls is read to its end, once."""
    monkeypatch.setattr(orphans, "ITEMS_MAX", 1)
    monkeypatch.setattr(feed_scan, "ITEMS_PAGE", 1)
    version = (await damaged.local_keyring.mek.client.newest_enabled()).version
    unused = {ref.id for ref in await damaged.local_keyring.add_many(12, version)}

    first = await scan_orphans(damaged.keyring, OrphanRequest(kind="unused_deks"), now=LATER)
    damaged.local_keyring.split("0")
    pages = [first]
    while (token := pages[-1].token) is not None:
        pages.append(await scan_orphans(damaged.keyring, OrphanRequest(kind="unused_deks", token=token), now=LATER))

    assert {dek_id for dek_id, _, _ in found_in(pages)} == unused


@pytest.mark.parametrize("token", ["", "?", "e30=", "é"])
async def test_a_token_that_is_none_is_refused(damaged: DamagedDocuments, token: str) -> None:
    """The error names the parameter."""
    with pytest.raises(InvalidRequestError) as refused:
        await scan_orphans(damaged.keyring, OrphanRequest(kind="unused_deks", token=token), now=LATER)

    assert refused.value.facts["field"] == "token"


async def test_a_token_of_another_scan_is_refused(damaged: DamagedDocuments, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token goes on with what it was given for."""
    monkeypatch.setattr(orphans, "ITEMS_MAX", 1)
    await damaged.add()
    page = await scan_orphans(damaged.keyring, OrphanRequest(kind="unused_deks"), now=LATER)
    assert page.token is not None

    with pytest.raises(InvalidRequestError):
        await scan_orphans(damaged.keyring, OrphanRequest(kind="missing_deks", token=page.token), now=LATER)


WHOLE = {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}
ONE_PART = {"v": "v2", "rid": "r", "continuation": [{"token": '"1"', "range": WHOLE}]}
# Position by what is wrong with it: a range as text, and a cursor, which the SDK writes as base64 of JSON.
FORGED_RANGES = {
    "no JSON": "x",
    "no object": "1",
    "too deep": "[" * 20_000,
    "too long a number": "1" * 5_000,
    "no range": "{}",
    "a range that is none": '{"Range": 1}',
    "half a range": '{"Range": {"min": "", "max": "FF"}}',
    "numbers": json.dumps({"Range": {**WHOLE, "min": 1, "max": 2}}),
    "upside down": json.dumps({"Range": {**WHOLE, "min": "FF", "max": ""}}),
    "no hex digits": json.dumps({"Range": {**WHOLE, "min": "zz"}}),
}
FORGED_CURSORS: dict[str, object] = {
    "no object": [],
    "nothing in it": {},
    "of no container": {"v": "v2", "containerRid": "r", "mode": "LatestVersion", "continuation": ONE_PART},
    "no parts": {"v": "v2", "continuation": {}},
    "parts that are none": {"v": "v2", "continuation": {"continuation": 1}},
}


async def _refusal(damaged: DamagedDocuments, **position: object) -> CallerError:
    made_up = {"kind": "missing_deks", "container": damaged.notes.id, "range": json.dumps({"Range": WHOLE})}
    token = base64.urlsafe_b64encode(json.dumps({**made_up, **position}).encode()).decode()
    with pytest.raises(CallerError) as refused:
        await scan_orphans(damaged.keyring, OrphanRequest(kind="missing_deks", token=token), now=LATER)
    return refused.value


@pytest.mark.parametrize("wrong", FORGED_RANGES)
async def test_a_token_with_a_range_that_was_made_up_is_refused(damaged: DamagedDocuments, wrong: str) -> None:
    """Whatever stands in it: it is the caller's mistake, not the app's."""
    assert (await _refusal(damaged, range=FORGED_RANGES[wrong])).facts["field"] == "token"


@pytest.mark.parametrize("wrong", FORGED_CURSORS)
async def test_a_token_with_a_cursor_that_was_made_up_is_refused(damaged: DamagedDocuments, wrong: str) -> None:
    """The same where the range is right."""
    cursor = base64.b64encode(json.dumps(FORGED_CURSORS[wrong]).encode()).decode()

    assert (await _refusal(damaged, cursor=cursor)).facts["field"] == "token"


async def test_a_store_that_is_away_is_no_mistake_of_the_callers(damaged: DamagedDocuments) -> None:
    """A token that holds is good for another attempt."""
    damaged.local_keyring.cosmos.fault(operation="change_feed", kind="status", status=403, count=None)
    position = {"kind": "missing_deks", "container": damaged.notes.id, "range": json.dumps({"Range": WHOLE})}
    token = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()

    with pytest.raises(PermissionMissingError):
        await scan_orphans(damaged.keyring, OrphanRequest(kind="missing_deks", token=token), now=LATER)


async def test_without_a_container_no_row_is_called_unused(damaged: DamagedDocuments) -> None:
    """Where nothing can be looked up, every row would look unused."""
    with pytest.raises(InvalidRequestError) as refused:
        await scan_orphans(damaged.resources(documents=[]), OrphanRequest(kind="unused_deks"), now=LATER)

    assert "KEYTURN_DOCUMENTS" in str(refused.value)

"""Pages of rows found in the change feed: which rows, how many, and none lost between two pages."""

import asyncio
from typing import Literal

import pytest

from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import PAGE_BYTES_MAX, ScanInput, ScanResult
from keyturn.cosmos.client import list_feed_ranges
from keyturn.deks import scan as scan_module
from keyturn.deks.scan import scan
from tests.keyturn.local_keyring import OLD, ROTATION, TARGET, LocalKeyring, plain_row

Selection = Literal["stale", "rewrapped"]


def request(feed_range: str, cursor: str | None, page_rows: int, selection: Selection = "stale") -> ScanInput:
    """Return a scan's input."""
    return ScanInput(
        run=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1),
        target_version=TARGET,
        selection=selection,
        range=feed_range,
        cursor=cursor,
        page_rows=page_rows,
    )


async def pages_of(local_keyring: LocalKeyring, page_rows: int, selection: Selection = "stale") -> list[ScanResult]:
    """Scan every range to its end."""
    pages: list[ScanResult] = []
    for feed_range in await list_feed_ranges(local_keyring.container):
        cursor = None
        while not pages or not pages[-1].drained or cursor is None:
            pages.append(await scan(local_keyring.store, request(feed_range, cursor, page_rows, selection)))
            cursor = pages[-1].cursor
    return pages


def found(pages: list[ScanResult]) -> list[str]:
    """Return the ids that the pages name, in order."""
    return sorted(ref.id for page in pages for ref in page.refs)


async def test_a_sweep_looks_at_every_row_that_is_neither_current_nor_foreign(local_keyring: LocalKeyring) -> None:
    """Stale, unlabelled and malformed rows are found once each; foreign rows are only counted, current ones are not."""
    wanted = (
        await local_keyring.fill(7)
        | await local_keyring.fill(5, mekVersion=...)
        | await local_keyring.fill(3, wrappedDek="!")
    )
    await local_keyring.fill(6, mekVersion=TARGET)
    await local_keyring.fill(4, mekName="other-mek")
    wanted |= await local_keyring.fill(2, mekVersion=TARGET, wrappedDek=None)

    pages = await pages_of(local_keyring, 10)

    assert found(pages) == sorted(wanted)
    assert (sum(page.scanned for page in pages), sum(page.foreign for page in pages)) == (27, 4)


async def test_a_sample_is_the_same_at_every_run(local_keyring: LocalKeyring) -> None:
    """A share of the rewrapped rows is drawn by their ids: about as many as asked for, and again the same ones."""
    rewrapped = await local_keyring.fill(200, mekVersion=TARGET, rotationId=ROTATION)
    asked = [
        request(feed_range, None, 250, "rewrapped").model_copy(update={"sample_share": 0.3})
        for feed_range in await list_feed_ranges(local_keyring.container)
    ]

    first, again = [found([await scan(local_keyring.store, page) for page in asked]) for _ in range(2)]

    assert first == again
    assert set(first) < rewrapped
    assert 28 <= len(first) <= 92  # five standard deviations about the mean


async def test_a_proof_opens_what_was_rewrapped(local_keyring: LocalKeyring) -> None:
    """Also what a rotation put onto the target that this one has adopted; not rows that were created there."""
    wanted = await local_keyring.fill(5, mekVersion=TARGET, rotationId=ROTATION)
    wanted |= await local_keyring.fill(3, mekVersion=TARGET, rotationId="notes.20250101T000000Z.000000")
    await local_keyring.fill(3, mekVersion=OLD, rotationId=ROTATION)
    await local_keyring.fill(3, mekVersion=TARGET)

    assert found(await pages_of(local_keyring, 4, "rewrapped")) == sorted(wanted)


@pytest.mark.parametrize("page_rows", [1, 3, 10, 250])
async def test_no_page_is_larger_than_asked_for_and_none_is_lost(local_keyring: LocalKeyring, page_rows: int) -> None:
    """Dense and sparse stretches of the feed are cut into pages that never overflow."""
    wanted = await local_keyring.fill(25)
    await local_keyring.fill(40, mekVersion=TARGET)
    wanted |= await local_keyring.fill(9)

    pages = await pages_of(local_keyring, page_rows)

    assert found(pages) == sorted(wanted)
    assert max(len(page.refs) for page in pages) <= page_rows


async def test_a_page_of_long_ids_fits_an_event(local_keyring: LocalKeyring) -> None:
    """Ids as long as the service allows make smaller pages, never one over the limit of an event."""
    rows = [plain_row(f"{number:04}" + "x" * 1000, mekName=local_keyring.mek.name) for number in range(120)]
    await asyncio.gather(*(local_keyring.container.create_item(row) for row in rows))

    pages = await pages_of(local_keyring, 250)

    assert sorted(row["id"] for row in rows) == found(pages)
    assert max(sum(len(ref.model_dump_json()) for ref in page.refs) for page in pages) <= PAGE_BYTES_MAX


async def test_an_activity_reports_back_after_a_bounded_number_of_rows(
    local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long stretch with nothing to do is read in several activities, each going on where the last one stopped."""
    monkeypatch.setattr(scan_module, "SCANNED_MAX", 10)
    await local_keyring.fill(60, mekVersion=TARGET)

    pages = await pages_of(local_keyring, 5)

    assert sum(page.scanned for page in pages) == 60
    assert len(pages) > 4


async def test_a_scan_follows_the_tail(local_keyring: LocalKeyring) -> None:
    """A row that is written after the range was drained is found from the last cursor on."""
    cursors = dict.fromkeys(await list_feed_ranges(local_keyring.container))
    await local_keyring.fill(5, mekVersion=TARGET)
    drained = {name: await scan(local_keyring.store, request(name, cursor, 10)) for name, cursor in cursors.items()}
    late = await local_keyring.fill(6)

    tail = [await scan(local_keyring.store, request(name, page.cursor, 10)) for name, page in drained.items()]

    assert sorted(late) == found(tail)

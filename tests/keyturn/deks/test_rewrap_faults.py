"""A page of rows rewrapped while the store or the vault throttles, fails or refuses, and while the process dies."""

import asyncio
import base64
import logging
from typing import Any

import pytest

from field_encrypt.dek import Dek
from field_encrypt.row_states import Row
from keyturn.contracts.pages import RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.errors import KeyturnError, OperatorError, PermissionMissingError, UnavailableError
from tests.keyturn.clocks import ManualClock
from tests.keyturn.deks.pages import Sink, dependencies, interfere, page_of
from tests.keyturn.local_keyring import LocalKeyring, encoded


@pytest.fixture
async def versions(local_keyring: LocalKeyring) -> tuple[str, str]:
    """An older version and the target, in the order of their creation."""
    return await local_keyring.mek.create(), await local_keyring.mek.create()


async def test_a_throttled_vault_slows_the_page_down(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """429 without Retry-After is counted and waited for, and every row is rewrapped in the end."""
    old, target = versions
    refs = await local_keyring.add_many(12, old)
    local_keyring.mek.fault(operation="unwrap", kind="throttle", count=5)
    clock = ManualClock()

    result = await rewrap_page(page_of(refs, target, rate=50), dependencies(local_keyring, Sink(), clock=clock))

    assert (result.changed, result.throttled, result.vault_operations) == (12, 5, 18)
    assert clock.elapsed >= 18 / 50 - 0.1


async def test_a_page_keeps_its_pace(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """However many rows are in flight, the vault is asked no faster than the page may."""
    old, target = versions
    refs = await local_keyring.add_many(20, old)
    clock = ManualClock()

    await rewrap_page(page_of(refs, target, rate=4), dependencies(local_keyring, Sink(), clock=clock))

    assert clock.elapsed >= 19 / 4 - 0.01


@pytest.mark.parametrize(
    ("service", "fault", "expected"),
    [
        ("store", {"operation": "read", "status": 503, "body": {}}, UnavailableError),
        ("store", {"operation": "patch", "status": 403, "body": {}}, PermissionMissingError),
        ("vault", {"operation": "unwrap", "status": 403, "body": {}}, PermissionMissingError),
        ("vault", {"operation": "get", "status": 409, "body": {}}, UnavailableError),
    ],
)
async def test_what_is_not_the_rows_fault_ends_the_page(
    local_keyring: LocalKeyring,
    versions: tuple[str, str],
    service: str,
    fault: dict[str, Any],
    expected: type[KeyturnError],
) -> None:
    """No row is quarantined for it; the page fails by who must act, and its next run does all that is left."""
    old, target = versions
    refs = await local_keyring.add_many(3, old)
    sink = Sink()
    if service == "store":
        local_keyring.cosmos.fault(kind="status", count=None, match=local_keyring.container.id, **fault)
    else:
        local_keyring.mek.fault(kind="status", count=None, **fault)

    with pytest.raises(expected):
        await rewrap_page(page_of(refs, target), dependencies(local_keyring, sink))

    local_keyring.cosmos.clear_faults()
    local_keyring.mek.vault.control("DELETE", "faults")
    result = await rewrap_page(page_of(refs, target), dependencies(local_keyring, sink))
    assert (result.changed + result.unchanged, sink.rows) == (3, [])


async def test_bad_rows_are_named_although_the_page_fails(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """What was found out about a row is not lost with the page."""
    old, target = versions
    bad, good = await local_keyring.add(old, wrappedDek="!"), await local_keyring.add(old)
    local_keyring.mek.fault(operation="unwrap", kind="status", status=403, count=None, body={})
    sink = Sink()

    with pytest.raises(PermissionMissingError):
        await rewrap_page(page_of([bad, good], target), dependencies(local_keyring, sink))

    assert list(sink.named) == [bad.id]


async def test_nothing_is_wrapped_under_a_target_that_is_disabled(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """A target that somebody disabled stops the page before any row is changed."""
    old, target = versions
    ref = await local_keyring.add(old)
    await local_keyring.mek.change(target, enabled=False)

    with pytest.raises(OperatorError, match="it is disabled"):
        await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    assert (await local_keyring.item(ref))["mekVersion"] == old


async def test_a_page_that_dies_anywhere_leaves_every_row_readable(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled page leaves rows that are whole, under the one version or the other, and its next run finishes."""
    old, target = versions
    refs = await local_keyring.add_many(30, old)
    some_written = asyncio.Event()
    written = 0

    async def count(_row: Row) -> None:
        nonlocal written
        written += 1
        if written == 5:
            some_written.set()

    interfere(local_keyring, monkeypatch, count, times=30)
    running = asyncio.ensure_future(rewrap_page(page_of(refs, target), dependencies(local_keyring, Sink())))
    await some_written.wait()
    running.cancel()
    await asyncio.wait([running])

    for ref in refs:
        assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]
    result = await rewrap_page(page_of(refs, target), dependencies(local_keyring, Sink()))
    assert result.changed + result.unchanged == 30
    assert {(await local_keyring.item(ref))["mekVersion"] for ref in refs} == {target}


async def test_no_reader_meets_an_unreadable_row(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """While a page runs, whoever follows a row's own label opens it, at every instant that is looked at."""
    old, target = versions
    refs = await local_keyring.add_many(12, old)
    looked = 0

    async def look(running: asyncio.Task[Any]) -> None:
        nonlocal looked
        while not running.done():
            for ref in refs:
                assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]
                looked += 1

    running = asyncio.ensure_future(rewrap_page(page_of(refs, target, rate=25), dependencies(local_keyring, Sink())))
    await look(running)

    assert (await running).changed == 12
    assert looked >= 12


async def test_no_key_material_is_shown(
    local_keyring: LocalKeyring, versions: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither logs at their most talkative, nor errors, nor results and dependencies show a DEK or a wrap."""
    caplog.set_level(logging.DEBUG)
    old, target = versions
    refs = [await local_keyring.add(old), await local_keyring.add(old, keyCheck=encoded(bytes(16)))]
    sink = Sink()
    page, given = page_of(refs, target), dependencies(local_keyring, sink)
    secrets = await _secrets(local_keyring, refs)
    result = await rewrap_page(page, given)
    secrets += await _secrets(local_keyring, refs)
    local_keyring.mek.fault(operation="unwrap", kind="status", status=403, count=None, body={})
    again = await local_keyring.add(old)
    secrets += await _secrets(local_keyring, [again])
    with pytest.raises(PermissionMissingError) as raised:
        await rewrap_page(page_of([again], target), given)

    rows = [await local_keyring.row(ref, target) for ref in (*refs, again)]
    shown = "\n".join(
        [
            caplog.text,
            repr(raised.value.facts),
            *map(repr, (raised.value, result, page, given, rows, raised.value.__cause__)),
        ]
    )
    for secret in secrets:
        assert secret not in shown


async def _secrets(local_keyring: LocalKeyring, refs: list[RowRef]) -> list[str]:
    """Return every text by which the rows' DEKs, wraps and key checks could be shown."""
    found: list[str] = []
    for ref in refs:
        item = await local_keyring.item(ref)
        dek: Dek = local_keyring.deks[ref.id]
        for raw in (dek.reveal(), base64.b64decode(item["wrappedDek"])):
            text = encoded(raw)
            found += [text, text.rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex(), repr(raw)]
    return found

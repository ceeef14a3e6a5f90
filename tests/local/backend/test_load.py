"""The live load: it reads and writes all the time, is changed at run time, and counts what fails."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.backend.running_backend import Backend, LocalKeyring


@pytest.fixture
def busy(local_keyring: LocalKeyring) -> Iterator[Backend]:
    """A backend with a brisk load that asks for the current version at each write."""
    backend = local_keyring.start("--reads-per-second", 40, "--writes-per-second", 40, "--version-max-age", 0)
    yield backend
    backend.service.stop()


async def test_load_reads_and_writes_without_failure(busy: Backend, local_keyring: LocalKeyring) -> None:
    """Notes come into being and are read, part of them through the vault."""
    report = await busy.wait_for(lambda seen: min(seen["reads"]["ok"], seen["writes"]["ok"]) >= 20, "brisk load")

    assert (report["reads"]["failed"], report["writes"]["failed"], report["lastErrors"]) == (0, 0, [])
    assert "unwrap" in local_keyring.vault.operations(f"backend-{local_keyring.mek.name}")
    assert "wrap" not in local_keyring.vault.operations(f"backend-{local_keyring.mek.name}")


async def test_rate_of_zero_pauses(busy: Backend) -> None:
    """Reads and writes are set apart from each other, at run time."""
    await busy.wait_for(lambda seen: seen["writes"]["ok"] >= 1, "first note")
    last = busy.load(writesPerSecond=0)

    def is_still(seen: dict[str, Any]) -> bool:
        nonlocal last
        if seen["writes"]["ok"] > last["writes"]["ok"]:  # those that were in flight
            last = seen
        return bool(seen["reads"]["ok"] >= last["reads"]["ok"] + 40)

    report = await busy.wait_for(is_still, "forty reads without a write, which come as often as reads do")

    assert report["writesPerSecond"] == 0


async def test_load_knows_the_notes_that_exist(local_keyring: LocalKeyring) -> None:
    """A backend that starts on old notes reads them without writing any."""
    first = local_keyring.start("--reads-per-second", 0, "--writes-per-second", 50)
    await first.wait_for(lambda seen: seen["writes"]["ok"] >= 5, "notes")
    first.service.kill()
    second = local_keyring.start("--reads-per-second", 50, "--writes-per-second", 0)

    report = await second.wait_for(lambda seen: seen["reads"]["ok"] >= 10, "reads")

    assert (report["writes"]["ok"], report["reads"]["failed"]) == (0, 0)
    second.service.stop()


async def test_throttled_reads_are_waited_out(busy: Backend, local_keyring: LocalKeyring) -> None:
    """A read that the vault throttles is tried again and does not count as failed."""
    await busy.wait_for(lambda seen: seen["writes"]["ok"] >= 1, "first note")
    busy.load(writesPerSecond=0, coldReadShare=1)
    before = busy.load()["reads"]["ok"]
    local_keyring.mek.fault(operation="unwrap", kind="throttle", count=30)

    report = await busy.wait_for(lambda seen: seen["reads"]["ok"] >= before + 40, "reads after the throttling")

    assert (report["reads"]["failed"], report["lastErrors"]) == (0, [])
    assert local_keyring.vault.control("GET", "faults")[0]["fired"] == 30


async def test_failed_reads_are_counted_and_written_down(busy: Backend, local_keyring: LocalKeyring) -> None:
    """A disabled version fails cold reads: counted, named by type, and told in full in the journal."""
    await busy.wait_for(lambda seen: seen["writes"]["ok"] >= 1, "first note")
    paused = busy.load(writesPerSecond=0, coldReadShare=1)
    await busy.wait_for(lambda seen: seen["reads"]["ok"] >= paused["reads"]["ok"] + 40, "end of writes in flight")
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    report = await busy.wait_for(lambda seen: seen["reads"]["failed"] >= 3, "failed reads")
    event_log = [json.loads(line) for line in (busy.state / "failures.jsonl").read_text().splitlines()]

    assert set(report["lastErrors"]) == {"MekVersionDisabledError"}
    assert {line["kind"] for line in event_log} == {"reads"}
    assert local_keyring.version in event_log[0]["detail"]


async def test_writers_move_to_a_new_version(busy: Backend, local_keyring: LocalKeyring) -> None:
    """Writers that ask often enough write under a new version at once."""
    await busy.wait_for(lambda seen: seen["writes"]["ok"] >= 1, "first note")
    new = await local_keyring.mek.create()
    moved = busy.load()["writes"]["ok"] + 60  # more than can be in flight

    await busy.wait_for(lambda seen: seen["writes"]["ok"] >= moved, "writes after the change")
    versions: list[Any] = [
        version async for version in local_keyring.rows.query_items("SELECT VALUE c.mekVersion FROM c ORDER BY c._ts")
    ]

    assert versions[-1] == new


async def test_pinned_writer_goes_on_under_the_old_version(busy: Backend, local_keyring: LocalKeyring) -> None:
    """A stale writer keeps wrapping under the version it is pinned to until it is let go."""
    new = await local_keyring.mek.create()
    busy.load(pinnedVersion=local_keyring.version)
    before = {row async for row in local_keyring.rows.query_items("SELECT VALUE c.id FROM c")}
    seen = busy.load()["writes"]["ok"]
    await busy.wait_for(lambda report: report["writes"]["ok"] >= seen + 60, "pinned writes")
    pinned = {
        row["id"]: row["mekVersion"]
        async for row in local_keyring.rows.query_items("SELECT c.id, c.mekVersion FROM c")
        if row["id"] not in before
    }

    released = busy.load(pinnedVersion=None)

    assert list(pinned.values()).count(local_keyring.version) >= 10
    assert new not in list(pinned.values())[-5:]
    assert released["pinnedVersion"] is None


def test_bad_change_is_refused(quiet: Backend) -> None:
    """An unknown setting, a negative rate or an unknown version is refused and changes nothing."""
    before = quiet.load()

    for change in ({"readsPerSecond": -1}, {"speed": 3}, {"pinnedVersion": "0" * 32, "readsPerSecond": 9}):
        assert quiet.call("PUT", "/_control/load", json=change).status_code == 400
    assert quiet.load() == before

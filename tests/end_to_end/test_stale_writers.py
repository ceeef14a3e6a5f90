"""A writer that never notices the rotation: for a minute it goes on creating rows under the old version."""

import asyncio
import base64
import random
import time
from pathlib import Path

import pytest

from field_encrypt.dek import Dek, matches_key_check
from field_encrypt.errors import FieldEncryptError
from local.supervisor import LocalAzure, Options
from tests.azure_option import as_asked
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]

NOTES = 40
WRITING_SECONDS = 60
SETTLE_SECONDS = 20
ROWS_PER_SECOND = 20
SETTINGS = {**QUICK, "KEYTURN_SOAK": "PT2S", "KEYTURN_QUIET_INTERVAL": "PT2S", "KEYTURN_TAIL_INTERVAL": "PT3S"}
SAMPLE = 5


class Reader:
    """Reads rows at random all along, each under the label that it has at that instant."""

    def __init__(self, app: AppHarness) -> None:
        self._app = app
        self.unwrapped = 0
        self.failures: list[str] = []

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            known = [str(row) async for row in self._app.rows.query_items("SELECT VALUE c.id FROM c")]
            for row_id in random.sample(known, SAMPLE):
                await self._open(row_id)

    async def _open(self, row_id: str) -> None:
        row = await self._app.row(row_id)
        wrapped, check = (base64.b64decode(row[name]) for name in ("wrappedDek", "keyCheck"))
        try:
            dek = Dek(await self._app.mek.unwrap(wrapped, row["mekVersion"], row["algorithm"]))
        except FieldEncryptError as error:
            self.failures.append(f"{row_id} under {row['mekVersion']}: {type(error).__name__}")
        else:
            self.failures += [] if matches_key_check(dek, check) else [f"{row_id}: another DEK"]
        self.unwrapped += 1


async def write_for_a_minute(app: AppHarness) -> int:
    """Let the pinned writer work for a minute, and return how many rows it created."""
    load = await asyncio.to_thread(app.control, "backend", "PUT", "load", json={"writesPerSecond": ROWS_PER_SECOND})
    ends = time.monotonic() + WRITING_SECONDS
    while time.monotonic() < ends:  # noqa: ASYNC110 - the test is about this time
        await asyncio.sleep(1)
    await asyncio.to_thread(app.control, "backend", "PUT", "load", json={"writesPerSecond": 0})
    async with asyncio.timeout(SETTLE_SECONDS):  # a write that is under way is counted when it has ended
        load = await asyncio.to_thread(app.control, "backend", "GET", "load")
        while (await app.census()).total() != NOTES + load["writes"]["ok"]:
            load = await asyncio.to_thread(app.control, "backend", "GET", "load")
    # It notices at last: a backend that wraps under a disabled version is not ready, and the watch would reinstate.
    await asyncio.to_thread(app.control, "backend", "PUT", "load", json={"pinnedVersion": None})
    assert load["writes"]["failed"] == 0
    return int(load["writes"]["ok"])


@pytest.mark.timeout(300)
async def test_a_writer_under_the_old_version_for_a_minute_keeps_nothing_from_completing(tmp_path: Path) -> None:
    """The rotation completes, no row is left, the writer is reported, and every row opened whenever it was read."""
    options = Options(state=tmp_path, deks=NOTES, bits=2048, vault_limits="off", partitions=2, settings=SETTINGS)
    with LocalAzure(as_asked(options)).running() as azure:
        async with AppHarness(azure) as app:
            old = await app.newest_version()
            app.control("backend", "PUT", "load", json={"pinnedVersion": old})
            reader = Reader(app)
            reading = asyncio.create_task(reader.run())
            run_id = await app.start()
            await app.callers.wait_for(run_id, "sweeping")

            written = await write_for_a_minute(app)
            status = await app.approve(run_id)

            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
            assert reader.failures == []
            assert reader.unwrapped > 100
            assert written > WRITING_SECONDS * ROWS_PER_SECOND / 2  # a busy machine is slower than what was asked for
            assert status["staleWriters"]["count"] == written
            assert await app.census() == {status["targetVersion"]: NOTES + written}
            assert status["retired"] == [old]
            assert await app.unreadable_notes() == []

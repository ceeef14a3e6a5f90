"""What a rotation over a large store leaves in durable history, through the worker: small events, short generations.

That every row is proven is the matter of other tests; here a sample keeps the time within bounds.
"""

from pathlib import Path

import pytest

from local.task_hub.limits import MESSAGE_BYTES
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.bulk import fill
from tests.end_to_end.quick_azure import quick_azure

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]

ROWS = 20_000
NOTES = 20
EVENT_BYTES_MAX = 64 * 1024
EVENTS_MAX = 1_000
RUN_BYTES_MAX = MESSAGE_BYTES * 3 // 4  # a turn travels with its whole history, and must fit with room to spare
LARGE = {"KEYTURN_VAULT_OPERATIONS_PER_SECOND": "100000", "KEYTURN_PROOF": "sample:500", "KEYTURN_PAGE_ROWS": "100"}
SECONDS = 800


@pytest.mark.timeout(SECONDS + 100)
async def test_a_rotation_over_twenty_thousand_rows_leaves_small_events_and_short_generations(tmp_path: Path) -> None:
    """Every row is moved; no event is larger than 64 KiB, and no generation has more than 1,000 events."""
    with quick_azure(tmp_path, deks=NOTES, partitions=4, settings={**QUICK, **LARGE}) as azure:
        async with AppHarness(azure) as app:
            fill(azure, app.mek, await app.mek.newest_enabled(), ROWS)

            status = await app.approve(await app.start(), seconds=SECONDS)
            runs = [run for name in app.instances("") for run in app.history(name)["generations"]]

    assert (status["census"]["onTarget"], status["census"]["stale"]) == (ROWS + NOTES, 0)
    assert status["counts"]["sweep"]["changed"] == ROWS + NOTES
    assert max(event["bytes"] for run in runs for event in run["events"]) <= EVENT_BYTES_MAX
    assert max(len(run["events"]) for run in runs) <= EVENTS_MAX
    assert max(run["bytes"] for run in runs) <= RUN_BYTES_MAX
    assert max(run["generation"] for run in runs) > 0  # a pass did continue as new

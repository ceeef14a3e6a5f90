"""MEK_ROTATION.md is walked from the top, in one shell that was empty.

Between sections the test brings about what the next one is for, and does what other people do meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from field_encrypt.encoding import to_base64
from local.supervisor import LocalAzure
from local.supervisor.environment import KEYRING
from tests.docs.runbook import Runbook
from tests.docs.walk import Walk, checkout_for, walk
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.migrating import bring_back, version_of_rows
from tests.end_to_end.moving_documents import (
    APP,
    RECOVERED,
    RECOVERED_DEKS,
    RECOVERED_MEK,
    all_notes,
    allow,
    deks_of,
    rights,
)
from tests.end_to_end.quick_azure import quick_azure

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("runbooks"), pytest.mark.long]

MINUTES = 20


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """The local Azure that the page tells its reader to start, with short waits."""
    with quick_azure(
        tmp_path_factory.mktemp("azure"),
        deks=30,
        settings={**QUICK, "KEYTURN_POLL": "0.5"},  # the command line's, which is exported with the app's
        drill_vault=True,
        document_migrations=True,
    ) as running:
        yield running


@pytest.fixture
async def walked(azure: LocalAzure, app: AppHarness, tmp_path: Path) -> AsyncIterator[Walk]:
    """The page, and a shell in a checkout beside this local Azure."""
    async with walk(Runbook("MEK_ROTATION.md"), checkout_for(azure, tmp_path)) as opened:
        yield opened


@pytest.mark.timeout(MINUTES * 60)
async def test_the_page_is_walked(azure: LocalAzure, app: AppHarness, walked: Walk, tmp_path: Path) -> None:
    """Every block runs as it stands, in order, and does what its section says."""
    await _rotated(app, walked)
    await _needed_attention(app, walked)
    await _taken_back(app, walked)
    await _restored(app, walked)
    await _moved_by_hand(azure, app, walked)
    await _did_not_decrypt(app, walked)
    await _brought_back(azure, app, walked)
    await _moved_to_another_key(azure, app, walked, tmp_path / "keyturn" / "keyrings.json")


async def _rotated(app: AppHarness, walked: Walk) -> None:
    old = await app.newest_version()

    planned = await walked.through("Pre-flight")
    await walked.through("Rotate")
    rows = await app.census()
    await walked.through("Decide")
    verified = await walked.through("Verify")

    status = await app.callers.status(await walked.value("RUN"))
    assert '"somebody_can_decide"' in planned
    assert set(rows) == {status["targetVersion"]} != {old}
    assert (status["state"], status["retired"]) == ("completed", [old])
    assert "pass  census" in verified
    assert "unbroken" in verified
    findings = "".join(said.err for said in walked.history if said.command.text == "keyturn verify")
    assert "SELECT VALUE COUNT(1) FROM c WHERE" in findings


async def _needed_attention(app: AppHarness, walked: Walk) -> None:
    old = await app.newest_version()
    row_id = await app.add_row(old)
    row = await app.row(row_id)
    await app.rows.replace_item(row_id, {**row, "wrappedDek": to_base64(bytes(256))})
    run_id = await app.start()
    await app.callers.wait_for(run_id, "needs_attention")

    looked = await walked.through("Look")
    await app.rows.replace_item(row_id, row)
    await walked.through("Try again")
    waiting = await app.callers.status(run_id)
    await walked.through("Give up")

    assert await walked.value("DEK") == row_id
    assert "restore the row from a snapshot of the dek store" in looked
    assert waiting["state"] == "awaiting_approval"
    assert (await app.callers.status(run_id))["state"] == "aborted"
    assert (await app.versions())[old]
    await app.delete_row(row_id)


async def _taken_back(app: AppHarness, walked: Walk) -> None:
    await app.rotate()
    old = await version_of_rows(app)
    rotation = await app.rotate()

    await walked.through("Take a retirement back")
    enabled = (await app.versions())[old]
    assert (enabled, set(await app.census())) == (True, {rotation["targetVersion"]})

    await app.rotate()
    before = await version_of_rows(app)
    await app.rotate()
    await walked.through("Rollback")
    assert set(await app.census()) == {before}
    assert await app.unreadable_notes() == []
    await app.rotate()


async def _restored(app: AppHarness, walked: Walk) -> None:
    old, new, backup = await bring_back(app, 5)
    assert len(await app.unreadable_notes()) == len(backup) == 5

    await walked.through("Restore")

    assert set(await app.census()) == {new}
    assert not (await app.versions())[old]
    assert await app.unreadable_notes() == []


async def _moved_by_hand(azure: LocalAzure, app: AppHarness, walked: Walk) -> None:
    await walked.through("Rows lost or damaged")
    for section in ("Move rows by hand", "Without the app"):
        old = await version_of_rows(app)
        await app.keys.create_rsa_key(app.mek_name, size=2048)
        new = await app.newest_version()
        if section == "Without the app":
            azure.processes["functions_host"].kill()
        await walked.through(section)
        assert (await walked.value("OLD"), await walked.value("NEW")) == (old, new)
        assert set(await app.census()) == {new}
        assert (await app.versions())[old]
    await asyncio.to_thread(azure.start, "functions_host")
    assert await app.unreadable_notes() == []
    await app.rotate()


async def _did_not_decrypt(app: AppHarness, walked: Walk) -> None:
    note = next(iter((await all_notes(app)).values()))
    row = await app.row(note["title"]["dekId"])
    await app.delete_row(row["id"])

    followed = await walked.through("A document fails to decrypt")

    assert (await walked.value("NOTE"), await walked.value("DEK")) == (note["id"], row["id"])
    assert "never point the document at another dekId" in followed
    await app.rows.create_item(row)

    before = await all_notes(app)
    await walked.through("A leak")
    assert set(deks_of(await all_notes(app))).isdisjoint(deks_of(before))


async def _brought_back(azure: LocalAzure, app: AppHarness, walked: Walk) -> None:
    await app.rotate()

    restored = await walked.through("Bring the key back")

    assert restored.splitlines()[-1].startswith(f"{azure.layout.url('drill_vault')}/keys/{app.mek_name}/")


async def _moved_to_another_key(azure: LocalAzure, app: AppHarness, walked: Walk, file: Path) -> None:
    await walked.through("Describe both keys")
    described = json.loads(await asyncio.to_thread(file.read_text))
    # The page's own example, on a vault that answers as another host than its challenge names.
    both = [{**keyring, "verifyChallengeResource": False} for keyring in described]
    await app.use(RECOVERED_MEK, RECOVERED_DEKS)
    await app.keys.create_rsa_key(RECOVERED_MEK, size=2048)
    azure.reconfigure({**QUICK, "KEYTURN_KEYRINGS": json.dumps(both)})
    await allow(app, [*app.control("identity", "GET", APP)["roles"], *rights()])
    before = await all_notes(app)

    await walked.through("Re-encrypt")

    moved = await all_notes(app)
    assert set(before) == set(moved)
    assert set(deks_of(moved)).isdisjoint(deks_of(before))
    azure.reconfigure({**QUICK, "KEYTURN_KEYRINGS": json.dumps(both[1:])})
    listed = await walked.through("Take the old keyring out")
    assert (RECOVERED in listed, KEYRING in listed) == (True, False)

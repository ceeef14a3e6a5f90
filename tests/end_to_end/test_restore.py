"""The restore drill: rows come back from a backup after the version that they name was retired."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.migrating import all_rows, begin, bring_back, command, decide, reach
from tests.end_to_end.waits import messages, settled

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


async def test_the_drill(azure: LocalAzure, app: AppHarness) -> None:
    """All notes are readable at the end, on the current version, and the old version is disabled again.

    A dry run and the wait for approval change nothing; the requester cannot approve; crashes change no outcome.
    """
    old, new, backup = await bring_back(app, 20)
    deks = {name: row["keyCheck"] for name, row in backup.items()}
    rows, versions = await all_rows(app), await app.versions()
    assert versions[old] is False
    assert len(await app.unreadable_notes()) == 20

    dry = await reach(app, await begin(app, "/api/restores", dryRun=True), "completed")
    restore_id = await begin(app, "/api/restores", reason="restore drill")
    waiting = await reach(app, restore_id, "awaiting_approval")

    assert dry["detail"] == f"dry run: 20 rows name disabled versions: {old}"
    assert waiting["versions"] == [old]
    assert await all_rows(app) == rows
    assert await app.versions() == versions
    assert await decide(app, restore_id, waiting, approver="dana@example.com") == 403

    for activity in ("enable_temporarily", "rewrap_chosen_page", "disable_again"):
        app.arm("functions_host", operation=activity, kind="kill_after")
    async with app.keep_alive(azure, "functions_host") as restarts:
        assert await decide(app, restore_id, waiting) == 200
        status = await reach(app, restore_id, "completed")

    after = await all_rows(app)
    assert restarts.count >= 1
    assert set(await app.census()) == {new}
    assert await app.versions() == versions
    assert (status["lent"], status["returned"]) == ([old], [old])
    assert {name: after[name]["keyCheck"] for name in backup} == deks
    assert await app.unreadable_notes() == []


async def test_a_row_that_cannot_be_moved_keeps_its_version_enabled(app: AppHarness) -> None:
    """The version stays enabled while a row names it; once the row is gone, another try disables it again."""
    old, new, backup = await bring_back(app, 3)
    spoiled = next(iter(backup))
    await app.rows.upsert_item({**await app.row(spoiled), "keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="})

    restore_id = await begin(app, "/api/restores")
    await decide(app, restore_id, await reach(app, restore_id, "awaiting_approval"))
    status = await reach(app, restore_id, "needs_attention")

    assert [row["id"] for row in status["quarantined"]["named"]] == [spoiled]
    assert (await app.versions())[old] is True
    assert (await app.census())[old] == 1

    await app.rows.upsert_item({name: value for name, value in backup[spoiled].items() if name[0] != "_"})
    await command(app, restore_id, "retry")
    await decide(app, restore_id, await reach(app, restore_id, "awaiting_approval"))
    await reach(app, restore_id, "completed")

    assert (await app.versions())[old] is False
    assert set(await app.census()) == {new}
    assert await app.unreadable_notes() == []


async def test_a_rejected_restore_changes_nothing(app: AppHarness) -> None:
    """After a rejection rows and versions are as they were."""
    await bring_back(app, 3)
    rows, versions = await all_rows(app), await app.versions()
    restore_id = await begin(app, "/api/restores")
    waiting = await reach(app, restore_id, "awaiting_approval")

    await app.callers.decide(restore_id, waiting["evidenceDigest"], decision="reject")
    await reach(app, restore_id, "rejected")

    assert await all_rows(app) == rows
    assert await app.versions() == versions

    again = await begin(app, "/api/restores")
    await decide(app, again, await reach(app, again, "awaiting_approval"))
    await reach(app, again, "completed")


async def test_an_approver_decides_by_the_link(app: AppHarness) -> None:
    """People are told what happens; the approver's message alone has a link, which shows the evidence and decides."""
    old, new, _ = await bring_back(app, 2)
    restore_id = await begin(app, "/api/restores")
    waiting = await reach(app, restore_id, "awaiting_approval")
    await settled(app, restore_id, "approval_wanted")

    [asked] = messages(app, restore_id, "sam@example.com")
    link = urlsplit(asked["message"].split()[-1])
    shown = await app.callers.call("GET", f"{link.path}?{link.query}")
    form = urlencode({"token": parse_qs(link.query)["token"][0], "decision": "approve"}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    decided = await app.callers.call("POST", link.path, data=form, headers=kind)
    status = await reach(app, restore_id, "completed")
    sent_notices = await settled(app, restore_id)

    assert (shown.status, decided.status) == (200, 200)
    assert re.search(rf"{old}</code>, made \d+ \w+ \d{{4}}: 2 rows", shown.body)
    assert waiting["evidenceDigest"] in shown.body
    assert status["decision"]["by"] == "sam@example.com"
    assert [notice["event"] for notice in sent_notices] == ["started", "approval_wanted", "approved", "completed"]
    assert "token" not in str(messages(app, restore_id, "everything"))
    assert set(await app.census()) == {new}
    assert (await app.versions())[old] is False


async def test_without_such_rows_there_is_nothing_to_restore(app: AppHarness) -> None:
    """A restore that finds no row under a disabled version asks nobody, and completes."""
    status = await reach(app, await begin(app, "/api/restores"), "completed")

    assert (status["detail"], status["evidenceDigest"]) == ("no row names a disabled version", None)

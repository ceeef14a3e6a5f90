"""The restore drill: rows come back from a backup after the version that they name was retired."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.migrating import all_rows, begin, command, reach, version_of_rows
from tests.end_to_end.stage import Stage
from tests.end_to_end.test_notifications import messages, settled

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


async def bring_back(stage: Stage, count: int) -> tuple[str, str, dict[str, dict[str, Any]]]:
    """Rotate, and overwrite so many rows with what a backup from before has; returns both versions, and the rows."""
    old = await version_of_rows(stage)
    backup = dict(list((await all_rows(stage)).items())[:count])
    rotation = await stage.rotate()
    for row in backup.values():
        await stage.rows.upsert_item({name: value for name, value in row.items() if not name.startswith("_")})
    return old, str(rotation["targetVersion"]), backup


async def decide(stage: Stage, restore_id: str, status: dict[str, Any], approver: str = "sam@example.com") -> int:
    """Approve the restore's evidence and return the HTTP status."""
    return (await stage.people.decide(restore_id, status["evidenceDigest"], approver=approver)).status


async def test_the_drill(azure: LocalAzure, stage: Stage) -> None:
    """All notes are readable at the end, on the current version, and the old version is disabled again.

    A dry run and the wait for approval change nothing; the requester cannot approve; crashes change no outcome.
    """
    old, new, backup = await bring_back(stage, 20)
    deks = {name: row["keyCheck"] for name, row in backup.items()}
    rows, versions = await all_rows(stage), await stage.versions()
    assert versions[old] is False
    assert len(await stage.unreadable_notes()) == 20

    dry = await reach(stage, await begin(stage, "/api/restores", dryRun=True), "completed")
    restore_id = await begin(stage, "/api/restores", reason="restore drill")
    waiting = await reach(stage, restore_id, "awaiting_approval")

    assert dry["detail"] == f"dry run: 20 rows name disabled versions: {old}"
    assert waiting["versions"] == [old]
    assert await all_rows(stage) == rows
    assert await stage.versions() == versions
    assert await decide(stage, restore_id, waiting, approver="dana@example.com") == 403

    for activity in ("lend_versions", "rewrap_chosen_page", "return_versions"):
        stage.arm("functions_host", operation=activity, kind="kill_after")
    async with stage.keep_alive(azure, "functions_host") as restarts:
        assert await decide(stage, restore_id, waiting) == 200
        status = await reach(stage, restore_id, "completed")

    after = await all_rows(stage)
    assert restarts.count >= 1
    assert set(await stage.census()) == {new}
    assert await stage.versions() == versions
    assert (status["lent"], status["returned"]) == ([old], [old])
    assert {name: after[name]["keyCheck"] for name in backup} == deks
    assert await stage.unreadable_notes() == []


async def test_a_row_that_cannot_be_moved_keeps_its_version_enabled(stage: Stage) -> None:
    """The version stays enabled while a row names it; once the row is gone, another try disables it again."""
    old, new, backup = await bring_back(stage, 3)
    spoiled = next(iter(backup))
    await stage.rows.upsert_item({**await stage.row(spoiled), "keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="})

    restore_id = await begin(stage, "/api/restores")
    await decide(stage, restore_id, await reach(stage, restore_id, "awaiting_approval"))
    status = await reach(stage, restore_id, "needs_attention")

    assert [row["id"] for row in status["quarantined"]["named"]] == [spoiled]
    assert (await stage.versions())[old] is True
    assert (await stage.census())[old] == 1

    await stage.rows.upsert_item({name: value for name, value in backup[spoiled].items() if name[0] != "_"})
    await command(stage, restore_id, "retry")
    await decide(stage, restore_id, await reach(stage, restore_id, "awaiting_approval"))
    await reach(stage, restore_id, "completed")

    assert (await stage.versions())[old] is False
    assert set(await stage.census()) == {new}
    assert await stage.unreadable_notes() == []


async def test_a_rejected_restore_changes_nothing(stage: Stage) -> None:
    """After a rejection rows and versions are as they were."""
    await bring_back(stage, 3)
    rows, versions = await all_rows(stage), await stage.versions()
    restore_id = await begin(stage, "/api/restores")
    waiting = await reach(stage, restore_id, "awaiting_approval")

    await stage.people.decide(restore_id, waiting["evidenceDigest"], decision="reject")
    await reach(stage, restore_id, "rejected")

    assert await all_rows(stage) == rows
    assert await stage.versions() == versions

    again = await begin(stage, "/api/restores")
    await decide(stage, again, await reach(stage, again, "awaiting_approval"))
    await reach(stage, again, "completed")


async def test_an_approver_decides_by_the_link(stage: Stage) -> None:
    """People are told what happens; the approver's message alone has a link, which shows the evidence and decides."""
    old, new, _ = await bring_back(stage, 2)
    restore_id = await begin(stage, "/api/restores")
    waiting = await reach(stage, restore_id, "awaiting_approval")
    await settled(stage, restore_id, "approval_wanted")

    [asked] = messages(stage, restore_id, "sam@example.com")
    link = urlsplit(asked["message"].split()[-1])
    shown = await stage.people.call("GET", f"{link.path}?{link.query}")
    form = urlencode({"token": parse_qs(link.query)["token"][0], "decision": "approve"}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    decided = await stage.people.call("POST", link.path, data=form, headers=kind)
    status = await reach(stage, restore_id, "completed")
    told = await settled(stage, restore_id)

    assert (200, 200) == (shown.status, decided.status)
    assert f"{old}: 2 rows" in shown.body
    assert waiting["evidenceDigest"] in shown.body
    assert "sam@example.com" == status["decision"]["by"]
    assert ["started", "approval_wanted", "approved", "completed"] == [notice["event"] for notice in told]
    assert "token" not in str(messages(stage, restore_id, "everything"))
    assert {new} == set(await stage.census())
    assert (await stage.versions())[old] is False


async def test_without_such_rows_there_is_nothing_to_restore(stage: Stage) -> None:
    """A restore that finds no row under a disabled version asks nobody, and completes."""
    status = await reach(stage, await begin(stage, "/api/restores"), "completed")

    assert (status["detail"], status["evidenceDigest"]) == ("no row names a disabled version", None)

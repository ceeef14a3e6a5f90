"""The runbook of secrets is walked from the top: what is replaced is accepted, what was replaced is refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from local.callers import POLL_SECONDS
from local.supervisor import LocalAzure
from tests.docs.runbook import Runbook
from tests.docs.walk import Walk, checkout_for, walk
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("runbooks")]

PAGE = "SECRET_MANAGEMENT.md"
LOOKS = 100


async def test_the_page_is_walked(azure: LocalAzure, app: AppHarness, tmp_path: Path) -> None:
    """Every block, in one empty shell; between them the test sets what the vault's secret would have set."""
    run_id = (await app.rotate())["rotationId"]
    folder = checkout_for(azure, tmp_path)
    before = len(app.control("inbox", "GET", "messages")["messages"])
    async with walk(Runbook(PAGE), folder) as walked:
        listed = await walked.through("The operator's machine")
        await _the_secret_is_replaced(azure, walked, folder)
        await walked.through("Are events accepted")
        await _the_receiver_has_them(app, await walked.value("RUN"), folder)
        await walked.through("Is the channel told")
        await _the_channel_was_notified(app, before)
        await walked.through("Is the deleted one refused")
        verified = await walked.through("Two keys at once")
        backups = await walked.through("Is there a backup")
        looked = await walked.through("Are the rights there")
        opened = await walked.through("Does everything open")
        private = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir() if not file.is_symlink()}
        await walked.through("Leave nothing behind")

    assert app.keyring in listed
    assert verified.split() == ["dana"] * 4  # three tokens with both keys, and one of them with the new one alone
    assert run_id in backups
    assert " 0 problem" in looked
    assert "60 opened, and fit their key checks" in opened
    assert {name: mode for name, mode in private.items() if mode & 0o077} == {".local": 0o755}
    assert {file.name for file in folder.iterdir() if not file.is_symlink()} == {".local"}


async def _the_secret_is_replaced(azure: LocalAzure, walked: Walk, folder: Path) -> None:
    """While both are set either is accepted; afterwards the old one is refused."""
    await walked.through("A new secret")
    azure.reconfigure({**QUICK, "APPROVAL_WEBHOOK_SECRETS": (folder / "webhook.both").read_text()})
    await walked.through("Is it accepted")
    azure.reconfigure({**QUICK, "APPROVAL_WEBHOOK_SECRETS": (folder / "webhook.new").read_text()})
    await walked.through("Is the old one refused")
    azure.reconfigure(QUICK)


async def _the_receiver_has_them(app: AppHarness, run_id: str, folder: Path) -> None:
    """As many events as the chain has, the last one to the end."""
    chain = (folder / "events.jsonl").read_text().splitlines()
    for _ in range(LOOKS):
        found = app.control("actiontrail", "GET", "events", params={"subject": run_id})["events"]
        if len(found) == len(chain):
            break
        await asyncio.sleep(POLL_SECONDS)
    assert found[-1]["data"].get("to") == "completed", found
    assert len(found) == len(chain)


async def _the_channel_was_notified(app: AppHarness, before: int) -> None:
    """Of the try, and of the check's begin and end."""
    wanted = {"there is nothing to do", "has begun", "is complete"}
    missing: set[str] = wanted
    for _ in range(LOOKS):
        messages: list[dict[str, Any]] = app.control("inbox", "GET", "messages")["messages"][before:]
        sent = json.dumps([each for each in messages if each["channel"] == "everything"]).lower()
        missing = {text for text in wanted if text not in sent}
        if not missing:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"the channel was not told: {missing}")

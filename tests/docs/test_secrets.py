"""The runbook of secrets is followed: what is replaced is accepted, what was replaced is refused."""

import asyncio
import base64
import secrets
from pathlib import Path

import pytest

from local.callers import POLL_SECONDS
from local.supervisor import LocalAzure
from tests.docs.shell import Shell
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("runbooks")]

NOBODYS = "notelett.20000101T000000Z.000000"


@pytest.fixture
def shell(azure: LocalAzure, tmp_path: Path, app: AppHarness) -> Shell:
    """A desk at which the runbook of secrets is followed."""
    return Shell(azure, tmp_path, "SECRET_MANAGEMENT.md")


async def test_a_webhook_secret_is_replaced(azure: LocalAzure, app: AppHarness, shell: Shell, tmp_path: Path) -> None:
    """While both are set either is accepted; afterwards the old one is refused."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(azure.approval_secret)
    files = {"OLD_FILE": str(old), "NEW_FILE": str(new), "NOBODYS": NOBODYS, "ZEROS": "0" * 64}

    await shell.follow("A new secret", **files)
    azure.reconfigure({**QUICK, "APPROVAL_WEBHOOK_SECRETS": f"{new.read_text()} {old.read_text()}"})
    for file in (new, old):
        await shell.follow("Is it accepted", **{**files, "NEW_FILE": str(file)})
    azure.reconfigure({**QUICK, "APPROVAL_WEBHOOK_SECRETS": new.read_text()})
    await shell.follow("Is it accepted", "Is the old one refused", **files)

    assert new.stat().st_mode & 0o777 == 0o600


async def test_events_are_accepted(app: AppHarness, shell: Shell) -> None:
    """A dry run's events arrive at the receiver."""
    followed = await shell.follow("Are events accepted", give="SEEN")

    run_id = followed.out.splitlines()[-1]
    for _ in range(100):
        found = app.control("actiontrail", "GET", "events", params={"subject": run_id})["events"]
        if found and found[-1]["type"].endswith("state_changed") and found[-1]["data"].get("to") == "completed":
            return
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"the last event did not arrive, but {found}")


async def test_a_function_key_is_told_from_none(app: AppHarness, shell: Shell) -> None:
    """The app's key is accepted, one that was deleted is not."""
    gone = base64.urlsafe_b64encode(secrets.token_bytes(40)).decode()

    await shell.follow("Is a key accepted", NEW_KEY=shell.variables["KEY"], OLD_KEY=gone)


async def test_rights_are_looked_at(shell: Shell) -> None:
    """The doctor finds nothing wrong with the local Azure."""
    followed = await shell.follow("Are the rights there")

    assert "problem" in followed.out


async def test_backups_are_listed(app: AppHarness, shell: Shell) -> None:
    """The backup of a rotation is there."""
    run_id = (await app.rotate())["rotationId"]

    assert run_id in (await shell.follow("Is there a backup")).out

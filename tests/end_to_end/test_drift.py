"""Drift from outside: the tick finds it, people hear of it, and the pasted command of the message fixes it."""

from pathlib import Path
from typing import Any

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import execute, installed, keyturn, operator_environment
from tests.end_to_end.migrating import bring_back, decide, reach
from tests.end_to_end.waits import tick
from tests.invariants.traces import messages_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]


def messages(app: AppHarness) -> list[dict[str, Any]]:
    """Return the messages about drift."""
    wanted = f"Keyturn: drift in {app.keyring}"
    return [item for item in messages_of(app) if item["title"] == wanted and item["channel"] == "everything"]


async def test_drift_is_announced_shown_and_fixed_by_the_pasted_command(
    azure: LocalAzure, app: AppHarness, tmp_path: Path
) -> None:
    """Rows from a backup name a retired version: found, told, in keyrings; afterwards all is readable, and no drift."""
    old, new, _ = await bring_back(app, 5)
    before = len(messages(app))

    await tick(app)
    [message] = messages(app)[before:]
    shown = (await keyturn(azure, "keyrings", "--field", "keyrings.0.drift", "--json")).json
    [command] = [line for line in message["message"].splitlines() if line.startswith("keyturn ")]
    env = {**operator_environment(azure), "PATH": installed(tmp_path)}
    pasted = await execute("sh", "-euc", command, cwd=tmp_path, env=env)
    assert pasted.code == 0, pasted.err
    restore_id = pasted.out.splitlines()[0]
    assert await decide(app, restore_id, await reach(app, restore_id, "awaiting_approval")) == 200
    await reach(app, restore_id, "completed")
    await tick(app)

    assert (shown["rows"], shown["mend"]) == ({old: 5}, command)
    assert f"- {old}: 5 rows" in message["message"]
    assert (set(await app.census()), await app.unreadable_notes()) == ({new}, [])
    assert (await app.versions())[old] is False
    after = (await app.callers.call("GET", "/api/keyrings")).body["keyrings"][0]["drift"]
    assert (after["rows"], after["since"], len(messages(app))) == ({}, None, before + 1)


async def test_a_retired_version_that_is_enabled_by_hand_is_announced_and_retired_again(app: AppHarness) -> None:
    """The message names it; the next rotation disables it."""
    old = str((await app.rotate())["retired"][0])
    await app.keys.update_key_properties(app.mek_name, old, enabled=True)
    before = len(messages(app))

    await tick(app)
    [message] = messages(app)[before:]
    await app.rotate()

    assert f"- {old}" in message["message"].splitlines()
    assert (await app.versions())[old] is False

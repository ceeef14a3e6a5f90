"""What is filed of a real rotation: a bundle of the year, and the chain, held against the head in the vault."""

import asyncio
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import REPOSITORY, Ended, execute, operator_environment
from tests.end_to_end.waits import all_heads

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


async def test_a_year_is_filed_and_holds_against_the_vault(azure: LocalAzure, app: AppHarness, tmp_path: Path) -> None:
    """The vault's head proves the end of a chain; one that was cut off ends with another exit code.

    A run whose version was adopted, and one that made none, are no falsification: the vault has no head of them.
    """
    aborted = await app.start()
    await app.callers.wait_for(aborted, "awaiting_approval")
    await app.callers.command(aborted, "abort")
    await app.callers.wait_for(aborted, "aborted")
    run_id = (await app.rotate())["rotationId"]
    dry = await app.start(dryRun=True)
    await app.callers.wait_for(dry, "completed")
    await all_heads(app, run_id)
    year = (await app.callers.status(run_id))["requestedAt"][:4]
    assert int(year) <= datetime.now(UTC).year

    async def keyturn(*arguments: str) -> Ended:
        command = (sys.executable, "-m", "keyturn.cli", "audit", *arguments)
        return await execute(*command, cwd=REPOSITORY, env=operator_environment(azure))

    bundle, chain = tmp_path / "year.zip", tmp_path / "chain.jsonl"
    filed = await keyturn("bundle", "--year", year, "--keyring", "notelett", "--output", str(bundle))
    exported = await keyturn("export", run_id)
    await asyncio.to_thread(chain.write_text, exported.out)
    whole = await keyturn("verify", str(chain), "--head-from-vault")
    archive = await keyturn("verify", str(bundle))
    anchored = await keyturn("verify", str(bundle), "--head-from-vault")
    await asyncio.to_thread(chain.write_text, "\n".join(exported.out.splitlines()[:-1]))
    cut = await keyturn("verify", str(chain), "--head-from-vault")
    unproven = await keyturn("verify", str(chain))

    codes = (filed.code, whole.code, archive.code, anchored.code, cut.code, unproven.code)
    assert codes == (0, 0, 79, 79, 65, 79), cut.err + archive.err + anchored.err
    assert f"{run_id}: " in archive.out
    assert "truncated" in cut.err
    last = len(exported.out.splitlines())
    assert f", proven up to event {last}\n" in whole.out
    assert f", proven up to event {last}\n" in anchored.out
    assert all(f"{one}: " in anchored.out for one in (aborted, run_id, dry))
    [unproven_runs] = re.findall(r"No version of the key has a head of (.*)", anchored.err)
    assert ({aborted, dry} <= set(unproven_runs.split(", ")), run_id in unproven_runs) == (True, False)
    assert "by" in json.loads(exported.out.splitlines()[-1])["data"]

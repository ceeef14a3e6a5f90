"""What is filed of a real rotation: a bundle of the year, and the chain, held against the head in the vault."""

import asyncio
import json
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
    """The vault's head proves the end of each chain; one that was cut off ends with another exit code."""
    run_id = (await app.rotate())["rotationId"]
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
    await asyncio.to_thread(chain.write_text, "\n".join(exported.out.splitlines()[:-1]))
    cut = await keyturn("verify", str(chain), "--head-from-vault")
    unproven = await keyturn("verify", str(chain))

    assert (filed.code, whole.code, archive.code, cut.code, unproven.code) == (0, 0, 79, 65, 79), cut.err + archive.err
    assert f"{run_id}: " in archive.out
    assert "truncated" in cut.err
    assert "by" in json.loads(exported.out.splitlines()[-1])["data"]

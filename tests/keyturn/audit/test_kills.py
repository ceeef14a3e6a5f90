"""A process that dies while it appends leaves one unbroken chain, and the next one goes on with it."""

import asyncio
import os
import sys

from azure.cosmos.aio import ContainerProxy

from keyturn.audit.chain import event_id
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.audit.chains import fresh_rotation, lines
from tests.local.services import REPOSITORY

KILLS = 30
DATABASE = "keyturn"


async def test_thirty_kills_leave_one_unbroken_chain(
    audit: AuditLog, cosmos: LocalCosmos, container: ContainerProxy
) -> None:
    """After thirty SIGKILLs in the middle of appends, every event that was acknowledged is there once, in order."""
    run_id, key = fresh_rotation(), (cosmos._state / "master_key").read_text()
    arguments = [cosmos.url, DATABASE, container.id, run_id, str(KILLS)]

    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.keyturn.audit.killed_appender", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COSMOS_MASTER_KEY": key.strip()},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    acknowledged = int(output)
    found = await audit.read_chain(run_id)
    verified = verify_chain(lines(found), await audit.head(run_id))

    assert process.returncode == 0
    assert acknowledged >= KILLS
    # The last child may have died between the write and its report.
    assert len(found) in {acknowledged, acknowledged + 1}
    assert (len(found), None) == (verified.events, verified.broken)
    assert [event_id(run_id, f"test:{number}") for number in range(len(found))] == [item["id"] for item in found]

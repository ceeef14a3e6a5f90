"""Appends to a chain in child processes that are killed at random moments: ``URL DATABASE CONTAINER ROTATION KILLS``.

A child appends event after event, each in a request of its own, and reports every one that was acknowledged. Its
successor begins with the event that the killed child may have been writing, as an activity that is run again does.
Writes to its output how many events were acknowledged in all.
"""

import asyncio
import os
import random
import signal
import sys
import time

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient

from keyturn.audit.log import AuditLog
from keyturn.cosmos.state_container import StateContainer
from tests.keyturn.audit.chains import event

SEED = 20261124
LONGEST_SECONDS = 0.15  # some fifteen appends


async def append_from(number: int, acknowledged: int) -> None:
    """Append one event after another, for ever."""
    url, database, container, run_id = sys.argv[1:5]
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
    async with CosmosClient(
        url, os.environ["COSMOS_MASTER_KEY"], transport=AioHttpTransport(session=session)
    ) as client:
        audit = AuditLog(StateContainer(client.get_database_client(database).get_container_client(container)))
        while True:
            await audit.append(run_id, [event(number)])
            os.write(acknowledged, b".")
            number += 1


def main() -> None:
    """Kill as many children as were asked for, each after a random time from its first append on."""
    moments = random.Random(SEED)  # noqa: S311 - repeatable on purpose, no security rests on it
    number = 0
    for _ in range(int(sys.argv[5])):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            asyncio.run(append_from(number, writing))
        os.close(writing)
        number += len(os.read(reading, 1))  # it is at work
        time.sleep(moments.uniform(0, LONGEST_SECONDS))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while seen := os.read(reading, 4096):
            number += len(seen)
        os.close(reading)
    sys.stdout.write(str(number))


if __name__ == "__main__":
    main()

"""Re-encrypts a container in child processes that are killed at random moments; arguments are JSON in ``SCENE``.

A child is a worker as the app has it: it scans the container's change feed and works on the pages that it finds, with
the production clients, until a whole pass changes nothing. It is killed a random time after a random one of its
rows was created, which is before that row's document is replaced, while it is, or after. Its successor begins again,
knowing nothing. After the kills a last child works to the end. Writes to its output how many were killed at work.
"""

import asyncio
import json
import os
import random
import signal
import ssl
import sys
import time
from typing import Any, ClassVar, override

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential

from field_encrypt import DekStore, KeyVaultProvider, MekClient, RowDefaults, WrappedDek
from field_encrypt.errors import DekExistsError
from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import ScanInput
from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.state_container import StateContainer
from keyturn.documents.dek_ids import DekIds, open_dek_ids
from keyturn.documents.operations import reencrypt_page
from keyturn.documents.page import DocumentDependencies, KeyAndRows
from keyturn.documents.store import DocumentStore, NewDeks, scan_documents, under_other_deks
from keyturn.settings import DocumentContainer
from tests.keyturn.deks.pages import held
from tests.keyturn.documents.harness import FIELDS, MIGRATION, NAME, page_of

SEED = 20261124
PAGE = 8
ROWS_MAX = 3  # created before a kill
# That a child creates if its kill comes late, on a machine on which it is faster than its parent: fifty times as many
# are fewer than there are documents, so that they last for all kills.
ROWS_A_CHILD = 5
DOCUMENTS_MAX = 1_000
LONGEST_SECONDS = 0.02
GIVEN: dict[str, Any] = json.loads(os.environ["SCENE"])


def transport() -> Any:
    """Return a transport that trusts the services' certificate."""
    context = ssl.create_default_context(cafile=GIVEN["authority"])
    return AioHttpTransport(session=aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))


class ToldRows(DekStore):
    """Tells the parent of every row that is created, and in the end waits for the kill."""

    reported: int
    left: ClassVar[asyncio.Semaphore]  # rows that this process may create

    @override
    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Create the row, and say so."""
        await ToldRows.left.acquire()
        try:
            await super().create(dek_id, wrapped, key_check)
        except DekExistsError:  # of a child that was killed before it replaced the document
            ToldRows.left.release()
            raise
        os.write(self.reported, b".")


async def work() -> None:
    """Open the clients, as a worker does, and re-encrypt to the end; every row that is created is reported."""
    async with (
        DefaultAzureCredential() as credential,
        CosmosClient(GIVEN["cosmos"], GIVEN["key"], transport=transport()) as client,
        mek_of("source", credential) as source,
        mek_of("target", credential) as target,
    ):
        database = client.get_database_client(GIVEN["database"])

        def rows(side: str, mek: MekClient) -> ToldRows:
            return ToldRows(database.get_container_client(GIVEN[side]["rows"]), RowDefaults(mek_name=mek.mek_name))

        documents = DocumentStore(
            database.get_container_client(GIVEN["documents"]), DocumentContainer(name=NAME, fields=FIELDS)
        )
        records = StateContainer(database.get_container_client(GIVEN["records"]))
        ids = await open_dek_ids(records, "notes", MIGRATION, KeyVaultProvider(target))
        sides = KeyAndRows(source, rows("source", source)), KeyAndRows(target, rows("target", target))
        await migrate(DocumentDependencies(documents, *sides, refuse, held), ids)


def mek_of(side: str, credential: DefaultAzureCredential) -> MekClient:
    """Return a client of the side's key."""
    return MekClient(
        GIVEN["vault"], GIVEN[side]["mek"], credential, verify_challenge_resource=False, transport=transport()
    )


async def refuse(rows: object) -> None:
    """Nothing is to be quarantined here."""
    raise AssertionError(rows)


async def migrate(dependencies: DocumentDependencies, ids: DekIds) -> None:
    """Make passes until one changes nothing."""
    chosen = under_other_deks(NewDeks(dependencies.documents, ids, None, one_key=False))
    moved = True
    while moved:
        moved = False
        for feed_range in await list_feed_ranges(dependencies.documents.container):
            cursor, drained = None, False
            while not drained:
                request = ScanInput(
                    run=RunRef(run_id=MIGRATION, keyring=MIGRATION, fencing_token=1),
                    target_version=MIGRATION,
                    selection="chosen",
                    range=feed_range,
                    cursor=cursor,
                    page_rows=PAGE,
                )
                scanned = await scan_documents(dependencies.documents, request, chosen)
                cursor, drained = scanned.cursor, scanned.drained
                if scanned.refs:
                    done = await reencrypt_page(page_of(scanned.refs), ids, dependencies)
                    moved = moved or done.changed > 0


def main() -> None:
    """Kill as many children as were asked for, then let one finish."""
    moments = random.Random(SEED)  # noqa: S311 - repeatable on purpose, no security rests on it
    killed = 0
    for _ in range(int(sys.argv[1])):
        child, reading = fork(ROWS_A_CHILD)
        for _ in range(moments.randint(1, ROWS_MAX)):
            os.read(reading, 1)
        time.sleep(moments.uniform(0, LONGEST_SECONDS))
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        os.close(reading)
    child, _ = fork(DOCUMENTS_MAX)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.stdout.write(str(killed))
    sys.exit(code)


def fork(rows: int) -> tuple[int, int]:
    """Start a child at work that creates at most so many rows; returns its process id and where it reports its rows."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        ToldRows.reported, ToldRows.left = writing, asyncio.Semaphore(rows)
        asyncio.run(work())
        os._exit(0)
    os.close(writing)
    return child, reading


if __name__ == "__main__":
    main()

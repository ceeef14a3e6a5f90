"""What Keyturn assumes of Cosmos DB, tried in a throw-away container."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.core.pipeline import PipelineResponse
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy

from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.client import list_feed_ranges, read_feed_page
from keyturn.cosmos.session_tokens import SESSION_TOKEN, feed_range_text
from keyturn.doctor.checks import BROKEN, DoctorContext, expect, status_of
from keyturn.preflight.context import unused_name
from keyturn.preflight.results import CheckResult, ok, problem, unchecked

RIGHTS = (
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/write and delete in Azure Resource Manager, "
    "and a data role on the account"
)
PARTITION = "one"  # of every document here: they share a partition key value
BATCH = 50
NO_TOKEN_CREATES = 5300  # substatus of a 403
RETRY_AFTER = "x-ms-retry-after-ms"
BURST_BYTES, BURST_WRITES, BURST_WAVES = 200_000, 10, 3  # far beyond the least throughput, 400 RU/s
SESSION_TRIES = 20


@dataclass
class ThrowawayContainer:
    """A container that nothing else uses."""

    account: CosmosAccount
    database: DatabaseProxy
    container: ContainerProxy
    again: ContainerProxy  # the same, by a client that has seen nothing of the other one's writes
    throttled: list[dict[str, str]]  # headers of every 429 that ``again`` was answered with


@asynccontextmanager
async def throwaway_container(context: DoctorContext, account: CosmosAccount) -> AsyncIterator[ThrowawayContainer]:
    """Make the container in the keyring's database; at the end, delete it."""
    name, database = unused_name("doctor"), context.keyring.keyring.cosmos_database
    endpoint, credential = context.settings.cosmos_endpoint, context.resources.credential
    throttled: list[dict[str, str]] = []

    def watch(answer: PipelineResponse[Any, Any]) -> None:
        """Keep the headers of a throttled answer, which the SDK waits out without a word."""
        if answer.http_response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            throttled.append({header.lower(): value for header, value in answer.http_response.headers.items()})

    await account.create_container(database, name, "/partition")
    try:
        async with CosmosClient(endpoint, credential, raw_response_hook=watch) as other:
            ours = context.resources.database(database)
            again = other.get_database_client(database).get_container_client(name)
            yield ThrowawayContainer(account, ours, ours.get_container_client(name), again, throttled)
    finally:
        await account.delete_container(database, name)


async def feed_latest_version(made: ThrowawayContainer) -> CheckResult:
    """The feed shows each document once, as it is now, in the order of the changes; what was deleted it does not."""
    for name in ("a", "b", "c"):
        await made.container.create_item(_document(name))
    await made.container.replace_item("a", {**_document("a"), "changed": True})
    await made.container.delete_item("b", PARTITION)
    found, _ = await _feed(made)
    return expect([item["id"] for item in found], ["c", "a"], "latest versions only, own writes at the tail")


async def feed_end(made: ThrowawayContainer) -> CheckResult:
    """The feed ends with 304, and goes on from there."""
    _, cursor = await _feed(made)
    await made.container.create_item(_document("late"))
    found, _ = await _feed(made, cursor)
    return expect([item["id"] for item in found], ["late"], "304 ends the feed, and its cursor goes on")


async def feed_transactions(made: ThrowawayContainer) -> CheckResult:
    """Documents that were written together come in one page, however small pages are asked for."""
    _, cursor = await _feed(made)
    operations = [("create", (_document(f"batch-{number}"),)) for number in range(BATCH)]
    await made.container.execute_item_batch(operations, PARTITION)
    feed_range = await _feed_range(made)
    page = await read_feed_page(made.container, feed_range, cursor, 1)
    return expect(len(page.items), BATCH, f"{BATCH} documents of one batch came in one page")


async def session_reads(made: ThrowawayContainer) -> CheckResult:
    """A read with the token of a write sees it, in another client."""
    for number in range(SESSION_TRIES):
        headers: dict[str, str] = {}
        written = _document(f"session-{number}")
        await made.container.create_item(written, response_hook=lambda answered, _, kept=headers: kept.update(answered))
        if SESSION_TOKEN not in headers:
            return unchecked("no write was answered with a session token")
        read = made.again.read_item(written["id"], PARTITION, session_token=headers[SESSION_TOKEN])
        if (status := (await status_of(read))[0]) != HTTPStatus.OK:
            return problem(f"a read with the token of a write was answered with {status}", BROKEN)
    return ok(f"{SESSION_TRIES} writes were seen by another client with their tokens")


async def conditional_writes(made: ThrowawayContainer) -> CheckResult:
    """A stale ETag and a condition that does not hold give 412 and change nothing."""
    stored = await made.container.create_item(_document("conditional"))
    as_read = {"etag": stored["_etag"], "match_condition": MatchConditions.IfNotModified}
    found = []
    for value, condition in ((1, as_read), (2, as_read), (3, {"filter_predicate": 'FROM c WHERE c["value"] = 0'})):
        change = [{"op": "set", "path": "/value", "value": value}]
        found.append((await status_of(made.container.patch_item(stored["id"], PARTITION, change, **condition)))[0])
    found.append((await made.container.read_item(stored["id"], PARTITION))["value"])
    return expect(tuple(found), (200, 412, 412, 1), "a patch holds to its condition")


async def no_containers_by_token(made: ThrowawayContainer) -> CheckResult:
    """No access token makes a container through the data plane."""
    name = unused_name("doctor")
    found = await status_of(made.database.create_container(name, PartitionKey("/partition")))
    if found[0] != HTTPStatus.OK:
        return expect(found, (HTTPStatus.FORBIDDEN, NO_TOKEN_CREATES), "a token makes no container")
    await made.account.delete_container(made.database.id, name)
    return problem("an access token made a container", BROKEN)


async def batch_all_or_nothing(made: ThrowawayContainer) -> CheckResult:
    """Where one condition of a batch does not hold, nothing of it is written."""
    stored = await made.container.create_item(_document("lease"))
    stale = {"if_match_etag": '"stale"'}
    operations: list[tuple[Any, ...]] = [
        ("create", (_document("record"),)),
        ("replace", (stored["id"], _document("lease")), stale),
    ]
    status, _ = await status_of(made.container.execute_item_batch(operations, PARTITION))
    absent = (await status_of(made.container.read_item("record", PARTITION)))[0] == HTTPStatus.NOT_FOUND
    return expect((status, absent), (HTTPStatus.PRECONDITION_FAILED, True), "a batch is all or nothing")


async def throttle_answer(made: ThrowawayContainer) -> CheckResult:
    """A throttled write is told how long to wait."""
    for wave in range(BURST_WAVES):
        writes = (
            made.again.create_item({**_document(f"burst-{wave}-{number}"), "text": "x" * BURST_BYTES})
            for number in range(BURST_WRITES)
        )
        await asyncio.gather(*writes, return_exceptions=True)  # what matters is what they were answered with
        if made.throttled:
            silent = sum(RETRY_AFTER not in headers for headers in made.throttled)
            return expect(silent, 0, f"429 with {RETRY_AFTER}, waited out by the SDK")
    return unchecked(f"{BURST_WAVES * BURST_WRITES} large writes were not throttled")


def _document(name: str) -> dict[str, Any]:
    return {"id": name, "partition": PARTITION, "value": 0}


async def _feed(made: ThrowawayContainer, cursor: str | None = None) -> tuple[list[dict[str, Any]], str]:
    """Read the feed of the documents here to its end."""
    feed_range = await _feed_range(made)
    found: list[dict[str, Any]] = []
    while True:
        page = await read_feed_page(made.container, feed_range, cursor, 10)
        found, cursor = [*found, *page.items], page.cursor
        if page.drained:
            return found, cursor


async def _feed_range(made: ThrowawayContainer) -> str:
    """Return the range that the documents here are in: a new container may have several, as the account is set up."""
    point = await made.container.feed_range_from_partition_key(PARTITION)
    ranges = await list_feed_ranges(made.container)
    held = [one for one in ranges if await made.container.is_feed_range_subset(json.loads(one), point)]
    return held[0] if held else feed_range_text(point)


DATABASE_PROBES: dict[str, Callable[[ThrowawayContainer], Awaitable[CheckResult]]] = {
    "cosmos_feed_latest_version": feed_latest_version,
    "cosmos_feed_end": feed_end,
    "cosmos_feed_transactions": feed_transactions,
    "cosmos_session_reads": session_reads,
    "cosmos_conditional_writes": conditional_writes,
    "cosmos_no_containers_by_token": no_containers_by_token,
    "cosmos_batch_all_or_nothing": batch_all_or_nothing,
    "cosmos_throttle_answer": throttle_answer,
}

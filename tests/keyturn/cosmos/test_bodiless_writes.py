"""A write without an answer's body makes azure-cosmos mix up the sessions of containers: the product makes none.

The SDK keeps tokens by the container's resource id, which it takes from the answer's body. Where there is none, and the
client has not read from the container yet, the tokens of all such containers share one place: a read of one is then
sent with another's, and answered with 404 and substatus 1002.
"""

import ast
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosHttpResponseError

from field_encrypt.rewrapping import NewWrap
from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import RowRef
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.store import DekStore, Outcome
from keyturn.documents.store import DocumentStore
from keyturn.errors import FencedError
from keyturn.runs.lease import Hold
from keyturn.settings import DocumentContainer
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.keyturn.local_keyring import OLD, ROTATION, TARGET, keyring_of, plain_row

REPOSITORY = Path(__file__).parents[3]
DEPLOYED = ("keyturn", "field_encrypt", "activities", "orchestrators", "triggers", "local/backend")
# The option of a write, of a client, and of the client's policy.
BODILESS = ("no_response", "no_response_on_write", "ResponsePayloadOnWriteDisabled", "responsePayloadOnWriteDisabled")
BUSY, QUIET = 10, 1

# Writes an item by the first container, of a client that has read nothing, after it was made and read by the second.
Writer = Callable[[ContainerProxy, ContainerProxy], Awaitable[str]]


async def rewrap(mine: ContainerProxy, other: ContainerProxy) -> str:
    """Write a row of a dek store."""
    row_id = str((await other.create_item(plain_row()))["id"])
    row = await DekStore(other, keyring_of()).read(RowRef(id=row_id, partition=row_id), TARGET)
    assert row is not None
    wrap = NewWrap(
        version=TARGET, wrapped=b"a wrap", algorithm="RSA-OAEP-256", key_check=bytes(16), old_version=OLD,
        run_id=ROTATION, fence=1, rewrapped_at=datetime.now(UTC),
    )  # fmt: skip
    assert (await DekStore(mine, keyring_of()).rewrap(row, wrap)).outcome is Outcome.CHANGED
    return row_id


async def replace(mine: ContainerProxy, other: ContainerProxy) -> str:
    """Write a document."""
    document = dict(await other.create_item({"id": uuid.uuid4().hex}))
    description = DocumentContainer.model_validate({"name": "notes", "fields": ["title"]})
    assert (await DocumentStore(mine, description).replace(document)).outcome is Outcome.CHANGED
    return str(document["id"])


async def find_the_lease_lost(mine: ContainerProxy, other: ContainerProxy) -> str:
    """Look at a lease that another run holds, which leaves a mark on it."""
    lease = await other.upsert_item({"id": "lease", "holder": "another", "fencingToken": 2})
    with pytest.raises(FencedError):
        await Hold(StateContainer(mine), RunRef(run_id=ROTATION, keyring="lease", fencing_token=1)).check(
            time.monotonic()
        )
    return str(lease["id"])


@pytest.mark.parametrize("last", [rewrap, replace, find_the_lease_lost])
@pytest.mark.parametrize("first", [rewrap, replace])
async def test_what_one_container_was_written_is_not_asked_of_another(
    cosmos: LocalCosmos, cosmos_client: CosmosClient, first: Writer, last: Writer
) -> None:
    """Ten writes to one container and one to another, by a new client: the other one is read."""
    others = [await new_container(cosmos_client, kind) for kind in ("busy", "quiet")]
    async with cosmos.client() as client:
        busy, quiet = [client.get_database_client(DATABASE).get_container_client(one.id) for one in others]
        for _ in range(BUSY):
            await first(busy, others[0])
        written = await last(quiet, others[1])

        assert (await quiet.read_item(written, written))["id"] == written


async def bodiless(mine: ContainerProxy) -> None:
    """Write an item without an answer's body."""
    await mine.create_item({"id": uuid.uuid4().hex}, no_response=True)


async def refused(mine: ContainerProxy) -> None:
    """Have a write refused, whose answer names no container either."""
    with pytest.raises(CosmosAccessConditionFailedError):
        await mine.patch_item(
            "known", "known", [{"op": "set", "path": "/n", "value": 1}], filter_predicate="FROM c WHERE false"
        )


@pytest.mark.parametrize("write", [bodiless, refused])
async def test_the_sdk_mixes_up_sessions(
    cosmos: LocalCosmos, cosmos_client: CosmosClient, write: Callable[[ContainerProxy], Awaitable[None]]
) -> None:
    """Once this fails, the SDK has been put right, and writes may go without a body again.

    A refused write is left: the product reads from a container before it writes there, all but for the lease's, and a
    read that is refused for its session is tried again.
    """
    others = [await new_container(cosmos_client, kind) for kind in ("busy", "quiet")]
    for other, items in zip(others, (BUSY, QUIET), strict=True):
        for name in ["known", *map(str, range(items))]:
            await other.create_item({"id": name})
    async with cosmos.client() as client:
        for other, times in zip(others, (BUSY, QUIET), strict=True):
            mine = client.get_database_client(DATABASE).get_container_client(other.id)
            for _ in range(times):
                await write(mine)

        with pytest.raises(CosmosHttpResponseError) as raised:
            await mine.read_item("known", "known")

    assert (raised.value.status_code, raised.value.sub_status) == (404, 1002)


def test_nothing_that_is_deployed_writes_without_a_body() -> None:
    """No call passes one of the SDK's options for bodiless answers, by keyword or by name."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}"
        for folder in DEPLOYED
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if _names_bodiless(node)
    ]

    assert found == []


def _names_bodiless(node: Any) -> bool:
    match node:
        case ast.keyword(arg=name) | ast.Attribute(attr=name) | ast.Constant(value=name):
            return name in BODILESS
    return False

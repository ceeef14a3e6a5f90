"""Armed faults, provisioned throughput, durability."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosBatchOperationError, CosmosHttpResponseError
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed, new_container, start_account


@pytest.fixture
def account(tmp_path: Path, signing_key: rsa.RSAPrivateKey) -> Iterator[LocalCosmos]:
    """An account of its own, for a test that kills it or changes its settings."""
    alone = start_account(tmp_path, signing_key)
    yield alone
    alone.service.stop()


async def test_armed_throttle_is_waited_out(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """A throttled request is tried again by the SDK after the time that the answer names."""
    cosmos.arm(kind="throttle", operation="create", match=container.id, delayMs=5, count=2)

    created = await container.create_item({"id": "a", "pk": "p"})

    (rule,) = cosmos.get("faults")

    assert created["id"] == "a"
    assert rule["fired"] == 2


async def test_what_was_held_meets_the_other_rules_when_it_is_released(
    cosmos: LocalCosmos, container: ContainerProxy
) -> None:
    """A held request waits until its kind of rule is cleared; a rule of another kind, armed meanwhile, stays."""
    rule = {"operation": "create", "match": container.id}
    cosmos.arm(kind="hold", **rule)
    creating = asyncio.ensure_future(container.create_item({"id": "a", "pk": "p"}))
    async with asyncio.timeout(60):
        while not any(  # noqa: ASYNC110 - a rule tells that it has fired only when it is asked
            found["kind"] == "hold" and found["fired"] for found in cosmos.get("faults")
        ):
            await asyncio.sleep(0.01)
    cosmos.arm(kind="status", status=403, **rule)
    held = not creating.done()

    cosmos.release()

    with pytest.raises(CosmosHttpResponseError) as refused:
        await creating
    assert (held, refused.value.status_code) == (True, 403)
    assert await listed(container.read_all_items()) == []


@pytest.mark.parametrize("operation", ["replace", "patch", "batch"])
async def test_etag_race_makes_a_current_etag_stale(
    cosmos: LocalCosmos, container: ContainerProxy, operation: str
) -> None:
    """Another writer gets in between read and write: 412, and the item holds what the other writer left."""
    created = await container.create_item({"id": "a", "pk": "p", "n": 1})
    cosmos.arm(kind="etag_race", operation=operation, match=container.id)
    with pytest.raises((CosmosAccessConditionFailedError, CosmosBatchOperationError)) as refused:
        await _set(container, operation, created["_etag"])
    raced = await container.read_item("a", "p")

    await _set(container, operation, raced["_etag"])

    assert refused.value.status_code == 412
    assert created["_etag"] != raced["_etag"]
    assert raced["n"] == 1


async def _set(container: ContainerProxy, operation: str, etag: str) -> None:
    item = {"id": "a", "pk": "p", "n": 2}
    operations = [{"op": "set", "path": "/n", "value": 2}]
    match operation:
        case "replace":
            await container.replace_item("a", item, etag=etag, match_condition=MatchConditions.IfNotModified)
        case "patch":
            await container.patch_item("a", "p", operations, etag=etag, match_condition=MatchConditions.IfNotModified)
        case _:
            await container.execute_item_batch([("patch", ("a", operations), {"if_match_etag": etag})], "p")


async def test_reset_after_the_effect_leaves_the_write_done(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """A connection that breaks after a conditional write: the SDK tries again and is told 412 on its own success."""
    created = await container.create_item({"id": "a", "pk": "p", "n": 1})
    cosmos.arm(kind="reset_after", operation="patch", match=container.id)

    with pytest.raises(CosmosAccessConditionFailedError):
        await _set(container, "patch", created["_etag"])

    assert (await container.read_item("a", "p"))["n"] == 2


async def test_throughput_is_refused_beyond_the_budget(account: LocalCosmos) -> None:
    """With 20 RU/s a handful of writes runs into 429 with substatus 3200; without a limit none does."""
    async with account.client(retry_throttle_total=-1) as client:
        container = await new_container(client)
        account.post("settings", throughput=20)
        with pytest.raises(CosmosHttpResponseError) as refused:
            await _upsert(container, 20)
        account.post("settings", throughput=None)
        await _upsert(container, 20)

    assert (refused.value.status_code, refused.value.sub_status) == (429, 3200)
    assert 0 < int(refused.value.headers["x-ms-retry-after-ms"]) < 2000


async def _upsert(container: ContainerProxy, times: int) -> None:
    for _ in range(times):
        await container.upsert_item({"id": "a", "pk": "p"})


async def test_acknowledged_writes_survive_a_kill(account: LocalCosmos) -> None:
    """After SIGKILL and a new start every acknowledged write is there, with its ETag and its place in the feed."""
    async with account.client() as client:
        container = await new_container(client)
        name = container.id
        written = [await container.create_item({"id": f"i{n}", "pk": "p", "n": n}) for n in range(50)]
        await container.delete_item("i7", "p")
        key = account.key
        account.service.kill()
    account.service.start()

    async with CosmosClient(account.service.url, key) as client:
        container = client.get_database_client(DATABASE).get_container_client(name)
        feed = await listed(container.query_items_change_feed(start_time="Beginning", partition_key="p"))
        added = await container.create_item({"id": "later", "pk": "p"})
        tail = await listed(container.query_items_change_feed(start_time="Beginning", partition_key="p"))

    assert [one["_etag"] for one in written if one["id"] != "i7"] == [one["_etag"] for one in feed]
    assert tail[-1]["id"] == added["id"]
    assert tail[-1]["_lsn"] > feed[-1]["_lsn"] + 1


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("settings", {"replicaLagMs": 60_001}, "replicaLagMs"),
        ("settings", {"throughput": 0}, "throughput"),
        ("settings", {"unknown": 1}, "unknown"),
        ("split", {"database": DATABASE, "container": "none", "partitionKeyRangeId": "0"}, "none"),
    ],
)
def test_control_endpoints_refuse_bad_input_by_name(
    cosmos: LocalCosmos, path: str, body: dict[str, Any], named: str
) -> None:
    """What a control endpoint cannot do is refused with the field that is wrong."""
    url = f"{cosmos.service.url}/_control/{path}"
    answer = requests.post(url, json=body, verify=str(cosmos.ca), timeout=60)

    assert answer.status_code in (400, 404)
    assert named in answer.text

"""One row read and rewritten: conditionally, once, and never brought back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from keyturn.contracts.pages import RowRef
from keyturn.deks.rows import RowKind
from keyturn.deks.store import DekStore, NewWrap, WriteOutcome
from keyturn.errors import PermissionMissingError, ResourceMissingError, UnavailableError
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.world import OLD, ROTATION, TARGET, World, encoded, keyring_of, plain_row

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW_WRAP, CHECK = b"a new wrap", bytes(range(16))
NOTHING_OF_THE_SERVICE = ("_etag", "_ts", "_rid", "_self", "_attachments")


def new_wrap(old_version: str = OLD) -> NewWrap:
    """Return a wrap under the target version."""
    return NewWrap(
        version=TARGET,
        wrapped=NEW_WRAP,
        algorithm="RSA-OAEP-256",
        key_check=CHECK,
        old_version=old_version,
        run_id=ROTATION,
        rewrapped_at=NOW,
    )


async def put(world: World, **properties: Any) -> RowRef:
    """Store a row and return its reference."""
    item = plain_row(mekName=world.mek.name, **properties)
    await world.container.create_item(item)
    return RowRef(id=item["id"], partition=item["id"])


async def stored(world: World, ref: RowRef) -> dict[str, Any]:
    """Return the item without the service's own properties."""
    return {name: value for name, value in (await world.item(ref)).items() if name not in NOTHING_OF_THE_SERVICE}


async def test_a_rewrap_changes_everything_at_once_and_nothing_else(world: World) -> None:
    """Wrap, label, name, algorithm and key check change together, the old wrap is kept, unknown properties stay."""
    ref = await put(world, algorithm="RSA-OAEP", keyCheck=..., note="of another program")
    before = await stored(world, ref)

    written = await world.store.rewrap(await world.row(ref, TARGET), new_wrap())

    assert WriteOutcome.WRITTEN == written.outcome
    assert {
        **before,
        "wrappedDek": encoded(NEW_WRAP),
        "mekVersion": TARGET,
        "algorithm": "RSA-OAEP-256",
        "keyCheck": encoded(CHECK),
        "previousWrap": {"mekVersion": OLD, "wrappedDek": before["wrappedDek"], "algorithm": "RSA-OAEP"},
        "rotationId": ROTATION,
        "rewrappedAt": "2026-11-24T12:00:00.000+00:00",
    } == await stored(world, ref)


async def test_a_write_tells_its_session_token_and_charge(world: World) -> None:
    """What was written can be read by another client with the token, and its price is known."""
    ref = await put(world)

    written = await world.store.rewrap(await world.row(ref, TARGET), new_wrap())

    assert written.session_token is not None
    assert "#" in written.session_token
    assert written.request_units > 1


async def test_a_row_keeps_the_form_of_its_label(world: World) -> None:
    """A row that is labelled with a whole key id gets a whole key id: its readers know no other form."""
    ref = await put(world, mekVersion=f"{world.keyring.kid_prefix}{OLD}")

    await world.store.rewrap(await world.row(ref, TARGET), new_wrap())

    item = await stored(world, ref)
    assert f"{world.keyring.kid_prefix}{TARGET}" == item["mekVersion"]
    assert f"{world.keyring.kid_prefix}{OLD}" == item["previousWrap"]["mekVersion"]
    assert RowKind.CURRENT == (await world.row(ref, TARGET)).kind


async def test_a_lost_race_changes_nothing(world: World) -> None:
    """A row that changed since it was read stays as the other writer left it."""
    ref = await put(world)
    row = await world.row(ref, TARGET)
    await world.container.upsert_item({**await stored(world, ref), "note": "changed meanwhile"})
    between = await world.item(ref)

    written = await world.store.rewrap(row, new_wrap())

    assert WriteOutcome.LOST_RACE == written.outcome
    assert between == await world.item(ref)


async def test_a_deleted_row_stays_deleted(world: World) -> None:
    """A row that was deleted since it was read is gone, and no write brings it back."""
    ref = await put(world)
    row = await world.row(ref, TARGET)
    await world.container.delete_item(ref.id, partition_key=ref.partition)

    written = await world.store.rewrap(row, new_wrap())

    assert WriteOutcome.GONE == written.outcome
    assert await world.store.read(ref, TARGET) is None


async def test_a_row_that_was_deleted_and_made_again_is_another_row(world: World) -> None:
    """A row of the same id that somebody made anew is not overwritten with what was read of the old one."""
    ref = await put(world)
    row = await world.row(ref, TARGET)
    await world.container.delete_item(ref.id, partition_key=ref.partition)
    await put(world, row_id=ref.id, note="made anew")

    written = await world.store.rewrap(row, new_wrap())

    assert WriteOutcome.LOST_RACE == written.outcome


async def test_restoring_puts_the_old_wrap_back(world: World) -> None:
    """A restored row is what it was, but for the key check that the rewrap added."""
    ref = await put(world, algorithm="RSA-OAEP")
    before = await stored(world, ref)
    await world.store.rewrap(await world.row(ref, TARGET), new_wrap())
    row = await world.row(ref, TARGET)

    written = await world.store.restore(row)

    assert WriteOutcome.WRITTEN == written.outcome
    assert {**before, "keyCheck": encoded(CHECK)} == await stored(world, ref)


async def test_restoring_an_unlabelled_row_labels_it(world: World) -> None:
    """The version that unwrapped an unlabelled row is known since, so restoring names it."""
    ref = await put(world, mekVersion=...)
    await world.store.rewrap(await world.row(ref, TARGET), new_wrap(old_version=OLD))

    await world.store.restore(await world.row(ref, TARGET))

    assert OLD == (await stored(world, ref))["mekVersion"]


async def test_a_lost_race_restores_nothing(world: World) -> None:
    """A row that changed since it was read is not restored."""
    ref = await put(world)
    await world.store.rewrap(await world.row(ref, TARGET), new_wrap())
    row = await world.row(ref, TARGET)
    await world.container.patch_item(ref.id, ref.id, [{"op": "set", "path": "/note", "value": "new"}])

    written = await world.store.restore(row)

    assert WriteOutcome.LOST_RACE == written.outcome
    assert TARGET == (await stored(world, ref))["mekVersion"]


@pytest.mark.parametrize("tenant", ["a", 7, 1.5, True, False, None, ...])
async def test_any_partition_key_value_finds_its_row(cosmos_client: CosmosClient, tenant: Any) -> None:
    """A row is read and rewritten whatever its partition key's value is, null and absent included."""
    container = await new_container(cosmos_client, "tenants", "/tenant")
    store = DekStore(container, keyring_of(rowNames={"partitionKey": "tenant"}))
    await container.create_item(plain_row("dek-1", tenant=tenant))
    ref = RowRef(id="dek-1", partition=None if tenant is ... else tenant)
    row = await store.read(RowRef.from_payload(json.loads(ref.model_dump_json())), TARGET)
    assert row is not None

    written = await store.rewrap(row, new_wrap())

    assert WriteOutcome.WRITTEN == written.outcome


async def test_a_property_with_a_slash_in_its_name_is_written(cosmos_client: CosmosClient) -> None:
    """Names of properties are taken literally, not as paths."""
    container = await new_container(cosmos_client, "names")
    store = DekStore(container, keyring_of(rowNames={"mekVersion": "key/version~1"}))
    await container.create_item({**plain_row("dek-1"), "key/version~1": OLD})
    row = await store.read(RowRef(id="dek-1", partition="dek-1"), TARGET)
    assert row is not None

    await store.rewrap(row, new_wrap())

    assert TARGET == (await container.read_item("dek-1", partition_key="dek-1"))["key/version~1"]


async def test_a_missing_container_is_not_a_missing_row(world: World) -> None:
    """Rows are not taken for deleted because their container is."""
    ref = await put(world)
    database = world.cosmos.client()
    async with database as client:
        gone = client.get_database_client("notes").get_container_client("no-such-container")

        with pytest.raises(ResourceMissingError) as raised:
            await DekStore(gone, world.keyring).read(ref, TARGET)

    assert "the dek store" == raised.value.facts["resource"]


@pytest.mark.parametrize(
    ("status", "expected"), [(403, PermissionMissingError), (500, UnavailableError), (408, UnavailableError)]
)
async def test_failures_are_told_apart_by_who_must_act(world: World, status: int, expected: type[Exception]) -> None:
    """A refused write is for the operator, a failing service for a later attempt."""
    ref = await put(world)
    row = await world.row(ref, TARGET)
    world.cosmos.fault(operation="patch", kind="status", status=status, count=None, body={"message": "no"})

    with pytest.raises(expected):
        await world.store.rewrap(row, new_wrap())

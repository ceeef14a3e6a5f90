"""One row read and rewritten: conditionally, once, and never brought back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import FieldEncryption, KeyVaultProvider, RowDefaults
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import Row, RowKind, kid_prefix
from keyturn.contracts.pages import RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.store import DekStore, Outcome
from keyturn.errors import PermissionMissingError, ResourceMissingError, UnavailableError
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.deks.pages import Sink, dependencies, page_of
from tests.keyturn.local_keyring import OLD, ROTATION, TARGET, LocalKeyring, encoded, keyring_of, plain_row

pytestmark = pytest.mark.usefixtures("mixed_types")

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW_WRAP, CHECK = b"a new wrap", bytes(range(16))
NOTHING_OF_THE_SERVICE = ("_etag", "_ts", "_rid", "_self", "_attachments")


def rewrapped(row: Row) -> Row:
    """Return the row as if it had a previous wrap."""
    previous = {"mekVersion": OLD, "wrappedDek": encoded(NEW_WRAP), "algorithm": "RSA-OAEP-256"}
    return replace(row, raw={**row.raw, "previousWrap": previous})


def new_wrap(old_version: str = OLD) -> NewWrap:
    """Return a wrap under the target version."""
    return NewWrap(
        version=TARGET,
        wrapped=NEW_WRAP,
        algorithm="RSA-OAEP-256",
        key_check=CHECK,
        old_version=old_version,
        run_id=ROTATION,
        fence=1,
        rewrapped_at=NOW,
    )


async def put(local_keyring: LocalKeyring, **properties: Any) -> RowRef:
    """Store a row and return its reference."""
    item = plain_row(mekName=local_keyring.mek.name, **properties)
    await local_keyring.container.create_item(item)
    return RowRef(id=item["id"], partition=item["id"])


async def stored(local_keyring: LocalKeyring, ref: RowRef) -> dict[str, Any]:
    """Return the item without the service's own properties."""
    return {
        name: value for name, value in (await local_keyring.item(ref)).items() if name not in NOTHING_OF_THE_SERVICE
    }


async def test_a_rewrap_changes_everything_at_once_and_nothing_else(local_keyring: LocalKeyring) -> None:
    """Wrap, label, name, algorithm and key check change together, the old wrap is kept, unknown properties stay."""
    ref = await put(local_keyring, algorithm="RSA-OAEP", keyCheck=..., note="of another program")
    before = await stored(local_keyring, ref)

    written = await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())

    assert written.outcome == Outcome.CHANGED
    assert {
        **before,
        "wrappedDek": encoded(NEW_WRAP),
        "mekVersion": TARGET,
        "algorithm": "RSA-OAEP-256",
        "keyCheck": encoded(CHECK),
        "previousWrap": {"mekVersion": OLD, "wrappedDek": before["wrappedDek"], "algorithm": "RSA-OAEP"},
        "rotationId": ROTATION,
        "rewrappedAt": "2026-11-24T12:00:00.000+00:00",
        "fence": 1,
    } == await stored(local_keyring, ref)


async def test_a_write_tells_its_session_token_and_charge(local_keyring: LocalKeyring) -> None:
    """What was written can be read by another client with the token, and its price is known."""
    ref = await put(local_keyring)

    written = await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())

    assert written.session_token is not None
    assert "#" in written.session_token


async def test_a_row_keeps_the_form_of_its_label(local_keyring: LocalKeyring) -> None:
    """A row that is labelled with a whole key id gets a whole key id: its readers know no other form."""
    ref = await put(local_keyring, mekVersion=f"{kid_prefix(local_keyring.keyring)}{OLD}")

    await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())

    item = await stored(local_keyring, ref)
    assert item["mekVersion"] == f"{kid_prefix(local_keyring.keyring)}{TARGET}"
    assert item["previousWrap"]["mekVersion"] == f"{kid_prefix(local_keyring.keyring)}{OLD}"
    assert (await local_keyring.row(ref, TARGET)).kind == RowKind.CURRENT


async def test_a_lost_race_changes_nothing(local_keyring: LocalKeyring) -> None:
    """A row that changed since it was read stays as the other writer left it."""
    ref = await put(local_keyring)
    row = await local_keyring.row(ref, TARGET)
    await local_keyring.container.upsert_item({**await stored(local_keyring, ref), "note": "changed meanwhile"})
    between = await local_keyring.item(ref)

    written = await local_keyring.store.rewrap(row, new_wrap())

    assert written.outcome == Outcome.AGAIN
    assert await local_keyring.item(ref) == between


async def test_a_deleted_row_stays_deleted(local_keyring: LocalKeyring) -> None:
    """A row that was deleted since it was read is gone, and no write brings it back."""
    ref = await put(local_keyring)
    row = await local_keyring.row(ref, TARGET)
    await local_keyring.container.delete_item(ref.id, partition_key=ref.partition)

    written = await local_keyring.store.rewrap(row, new_wrap())

    assert written.outcome == Outcome.GONE
    assert await local_keyring.store.read(ref, TARGET) is None


async def test_a_row_that_was_deleted_and_made_again_is_another_row(local_keyring: LocalKeyring) -> None:
    """A row of the same id that somebody made anew is not overwritten with what was read of the old one."""
    ref = await put(local_keyring)
    row = await local_keyring.row(ref, TARGET)
    await local_keyring.container.delete_item(ref.id, partition_key=ref.partition)
    await put(local_keyring, row_id=ref.id, note="made anew")

    written = await local_keyring.store.rewrap(row, new_wrap())

    assert written.outcome == Outcome.AGAIN


async def test_an_exchange_puts_the_old_wrap_back_and_keeps_the_other(local_keyring: LocalKeyring) -> None:
    """The row is what it was, with the key check that the rewrap added, and no wrap is thrown away."""
    ref = await put(local_keyring, algorithm="RSA-OAEP")
    before = await stored(local_keyring, ref)
    await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())
    row = await local_keyring.row(ref, TARGET)

    written = await local_keyring.store.exchange(row, 1)

    assert written.outcome == Outcome.CHANGED
    kept = {"mekVersion": TARGET, "wrappedDek": encoded(NEW_WRAP), "algorithm": "RSA-OAEP-256"}
    expected = {**before, "keyCheck": encoded(CHECK), "previousWrap": kept, "fence": 1}
    assert await stored(local_keyring, ref) == expected


async def test_an_exchange_labels_an_unlabelled_row(local_keyring: LocalKeyring) -> None:
    """The version that unwrapped an unlabelled row is known since, so the exchange names it."""
    ref = await put(local_keyring, mekVersion=...)
    await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap(old_version=OLD))

    await local_keyring.store.exchange(await local_keyring.row(ref, TARGET), 1)

    assert (await stored(local_keyring, ref))["mekVersion"] == OLD


async def test_a_lost_race_exchanges_nothing(local_keyring: LocalKeyring) -> None:
    """A row that changed since it was read keeps its wrap."""
    ref = await put(local_keyring)
    await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())
    row = await local_keyring.row(ref, TARGET)
    await local_keyring.container.patch_item(ref.id, ref.id, [{"op": "set", "path": "/note", "value": "new"}])

    written = await local_keyring.store.exchange(row, 1)

    assert written.outcome == Outcome.AGAIN
    assert (await stored(local_keyring, ref))["mekVersion"] == TARGET


@pytest.mark.parametrize("found", [2, 3.5])
async def test_the_store_refuses_a_run_that_was_overtaken(local_keyring: LocalKeyring, found: float) -> None:
    """A row that a later run has changed is not written, also where the ETag is the one that was read."""
    ref = await put(local_keyring, fence=found)
    before = await stored(local_keyring, ref)
    row = await local_keyring.row(ref, TARGET)

    written = [await local_keyring.store.rewrap(row, new_wrap()), await local_keyring.store.exchange(rewrapped(row), 1)]

    assert [one.outcome for one in written] == [Outcome.AGAIN] * 2
    assert await stored(local_keyring, ref) == before


@pytest.mark.parametrize("found", [..., 1, 0, "2", None])
async def test_a_fence_that_is_absent_or_not_greater_lets_a_run_write(local_keyring: LocalKeyring, found: Any) -> None:
    """The row has the writer's fence afterwards; what is no number was not written by a run."""
    ref = await put(local_keyring, fence=found)

    written = await local_keyring.store.rewrap(await local_keyring.row(ref, TARGET), new_wrap())

    assert written.outcome == Outcome.CHANGED
    assert (await stored(local_keyring, ref))["fence"] == 1


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

    assert written.outcome == Outcome.CHANGED


async def test_a_property_with_a_slash_in_its_name_is_written(cosmos_client: CosmosClient) -> None:
    """Names of properties are taken literally, not as paths."""
    container = await new_container(cosmos_client, "names")
    store = DekStore(container, keyring_of(rowNames={"mekVersion": "key/version~1"}))
    await container.create_item({**plain_row("dek-1"), "key/version~1": OLD})
    row = await store.read(RowRef(id="dek-1", partition="dek-1"), TARGET)
    assert row is not None

    await store.rewrap(row, new_wrap())

    assert (await container.read_item("dek-1", partition_key="dek-1"))["key/version~1"] == TARGET


async def test_a_missing_container_is_not_a_missing_row(local_keyring: LocalKeyring) -> None:
    """Rows are not taken for deleted because their container is."""
    ref = await put(local_keyring)
    database = local_keyring.cosmos.client()
    async with database as client:
        gone = client.get_database_client("notes").get_container_client("no-such-container")

        with pytest.raises(ResourceMissingError) as raised:
            await DekStore(gone, local_keyring.keyring).read(ref, TARGET)

    assert raised.value.facts["resource"] == "the dek store"


@pytest.mark.parametrize(
    ("status", "expected"), [(403, PermissionMissingError), (500, UnavailableError), (408, UnavailableError)]
)
async def test_failures_are_distinguished_by_who_must_act(
    local_keyring: LocalKeyring, status: int, expected: type[Exception]
) -> None:
    """A refused write is for the operator, a failing service for a later attempt."""
    ref = await put(local_keyring)
    row = await local_keyring.row(ref, TARGET)
    local_keyring.cosmos.fault(operation="patch", kind="status", status=status, count=None, body={"message": "no"})

    with pytest.raises(expected):
        await local_keyring.store.rewrap(row, new_wrap())


@pytest.mark.parametrize("spelled", [str.upper, str.swapcase])
async def test_a_row_in_other_letters_opens_before_and_after_its_rewrap(
    local_keyring: LocalKeyring, spelled: Callable[[str], str]
) -> None:
    """The row keeps its spelling, and readers with either spelling in their settings open it, on either version."""
    mek, key_id = local_keyring.mek, spelled(kid_prefix(local_keyring.keyring))
    old, rows = await mek.create(), ReaderStore(local_keyring.container, RowDefaults(mek_name=mek.name))
    ours = FieldEncryption(KeyVaultProvider(mek.client), rows, None)
    note: dict[str, Any] = await ours.encrypt_fields("notes", "note", {"id": "note", "title": "t"}, ["title"])
    ref = RowRef(id=note["title"]["dekId"], partition=note["title"]["dekId"])
    names = [("mekName", spelled(mek.name)), ("mekVersion", f"{key_id}{old}")]
    await local_keyring.container.patch_item(
        ref.id, ref.partition, [{"op": "set", "path": f"/{name}", "value": value} for name, value in names]
    )
    target = await mek.create()
    async with mek.new_client(spelled(mek.name)) as client:
        others = FieldEncryption(KeyVaultProvider(client), rows, None)
        for version in (old, target):
            if version == target:
                result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))
                assert result.changed == 1
            item = await local_keyring.item(ref)
            assert (item["mekName"], item["mekVersion"]) == (spelled(mek.name), f"{key_id}{version}")
            for reader in (ours, others):
                assert (await reader.decrypt_fields("notes", "note", note, ["title"]))["title"] == "t"

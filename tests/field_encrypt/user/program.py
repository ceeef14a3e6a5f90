"""A user's program over the whole surface of the library; mypy checks it against the wheel, with no Any allowed."""

# ruff: noqa: T201, S608 - a program that prints; the condition in its query is the library's, its value a parameter

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt import (
    STANDARD_CODECS,
    UNSTATED,
    BlockingFieldEncryption,
    CallerError,
    Codecs,
    Condition,
    DekCache,
    DekStore,
    EncryptedContainer,
    EnvProvider,
    FieldCodec,
    FieldEncryptError,
    FieldEncryption,
    FieldPlace,
    FieldPolicy,
    KeyPolicy,
    MekClient,
    MekProvider,
    OperatorError,
    PartitionKeyValue,
    QuarantineReason,
    RetryError,
    RewrapProgress,
    RewrapResult,
    RowCodec,
    RowDefaults,
    RowNames,
    WrappedDek,
    looks_encrypted,
    open_for_rewrap,
    rewrap_all,
)


@dataclass(frozen=True)
class Money:
    """A value of the application."""

    cents: int


def money(value: object) -> Money:
    """Read what was written."""
    if not isinstance(value, int):
        raise TypeError("cents")
    return Money(value)


class Rows:
    """Rows of another form."""

    def item_id(self, dek_id: str) -> str:
        """Return the item's id."""
        return f"key:{dek_id}"

    def read(self, item: Mapping[str, object]) -> Mapping[str, object]:
        """Return the row."""
        return {"id": str(item["id"])[4:], "wrappedDek": item["blob"]}

    def write(self, row: Mapping[str, object], item: Mapping[str, object]) -> Mapping[str, object]:
        """Return the item's own properties."""
        return {"blob": row["wrappedDek"], "owner": item.get("owner")}


class Fields:
    """Fields of another form."""

    def claims(self, stored: object) -> bool:
        """Tell whether this is one."""
        return isinstance(stored, str) and stored.startswith("mine:")

    def dek_id(self, stored: object, document: Mapping[str, object]) -> str:  # noqa: ARG002 - the protocol's signature
        """Return the DEK's id."""
        return str(document["key"])

    def open(self, stored: object, document: Mapping[str, object], *, key: bytes, place: FieldPlace) -> object:
        """Decrypt."""
        return f"{stored}{len(document)}{len(key)}{place.document_id}"


ROW_CODEC: RowCodec = Rows()
FIELD_CODECS: list[FieldCodec] = [Fields()]
CODECS: Codecs = STANDARD_CODECS.adding("money", Money, lambda value: value.cents, money)
POLICY = KeyPolicy(per="partition", max_uses=1_000_000, max_documents=None, max_age=timedelta(days=90))
NOTES = FieldPolicy("notes", ["title", "email"], optional=["price"], deterministic=["email"])
HIERARCHICAL: PartitionKeyValue = ["tenant", 1, None, NonePartitionKeyValue]
ROWS: tuple[RowDefaults, RowNames] = (RowDefaults(mek_name="mek"), RowNames(wrapped_dek="w"))


async def use(encryption: FieldEncryption) -> dict[str, object]:
    """Call everything."""
    notes: EncryptedContainer = encryption.container(NOTES, context={"tenant": "t"})
    note = {"id": "1", "workspaceId": "w", "title": "t", "email": "e", "price": Money(5)}
    created = await notes.create_item(note)
    await notes.upsert_item(created)
    await notes.replace_item("1", note, etag=str(created["_etag"]))
    await notes.patch_item("1", "w", [{"op": "set", "path": "/title", "value": "new"}])
    await notes.execute_item_batch([("read", ("1",)), ("upsert", (note,))], "w")
    equal: Condition = await notes.equals("email", "e")
    async for found in notes.query_items(f"SELECT * FROM c WHERE {equal.text}", parameters=equal.parameters):
        title: object = found["title"]
        print(title)
    async for found in notes.read_all_items(max_item_count=5):
        print(found["id"])
    stored = await encryption.encrypt_fields("notes", "1", note, ["title"], partition_key=HIERARCHICAL)
    await encryption.encrypt_fields("notes", "1", note, ["title"], partition_key=UNSTATED, previous=stored)
    moved = await encryption.reencrypt_fields("notes", "1", stored, None, source=encryption)
    many = await encryption.encrypt_documents("notes", [note], ["title"], partition_key_paths=["/workspaceId"])
    await encryption.decrypt_documents("notes", many, None, partition_key_paths=["/workspaceId"])
    return await encryption.decrypt_fields("notes", "1", moved, ["title"], context={"tenant": "t"})


async def move(env: Mapping[str, str]) -> str:
    """Move every row, and say which did not move."""
    tokens: list[str] = []

    def keep(progress: RewrapProgress) -> None:
        tokens.append(progress.token)

    pair: tuple[DekStore, MekClient]
    async with open_for_rewrap(env, codec=ROW_CODEC) as pair:
        store, mek = pair
        result: RewrapResult = await rewrap_all(store, mek, unwraps_per_second=20, on_progress=keep)
        if not result.is_complete:
            result = await rewrap_all(store, mek, unwraps_per_second=20, resume=tokens[-1], prove=False)
    refused = [row.id for row in result.quarantined if row.reason is QuarantineReason.UNWRAP_REFUSED]
    return f"{result.rewrapped} {result.counted} {refused} {looks_encrypted('vault:v1:')}"


async def main(env: Mapping[str, str]) -> None:
    """Open, and tell the families of errors apart."""
    try:
        print(await move(env))
        async with FieldEncryption.open(
            env, policy=POLICY, codecs=CODECS, field_codecs=FIELD_CODECS, row_codec=ROW_CODEC
        ) as encryption:
            print(await use(encryption))
    except (CallerError, OperatorError) as error:
        print(error)
    except RetryError as error:
        print(error)
    except FieldEncryptError as error:
        print(error)


def blocking(env: Mapping[str, str], provider: MekProvider, wrapped: WrappedDek, cache: DekCache) -> str:
    """The same without a line of asynchronous code."""
    with BlockingFieldEncryption.open(env, policy=POLICY, codecs=CODECS) as encryption:
        notes = encryption.container(NOTES)
        notes.create_item({"id": "1", "workspaceId": "w", "title": "t"})
        items = [item["title"] for item in notes.query_items("SELECT * FROM c")]
        stored = encryption.encrypt_fields("notes", "1", {"title": "t"}, ["title"], partition_key="w")
        encryption.decrypt_fields("notes", "1", stored, ["title"], partition_key="w")
    return f"{items} {len(cache)} {isinstance(provider, EnvProvider)} {wrapped.mek_version}"


if __name__ == "__main__":
    asyncio.run(main(os.environ))

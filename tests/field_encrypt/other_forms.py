"""The forms of another system's fields and rows, with their codecs, and a document and a row of that system."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from azure.cosmos.aio import ContainerProxy, CosmosClient
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from field_encrypt import (
    DekCache,
    DekStore,
    FieldEncryption,
    FieldPlace,
    KeyPolicy,
    KeyVaultProvider,
    RowDefaults,
)
from field_encrypt.dek import Dek
from field_encrypt.encoding import to_base64
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import Mek

VALUE = {"title": "An older title", "pages": 7}


class NestedRows:
    """``{"id": "key:<dekId>", "wrap": {"version", "data": "<base64url>", "check": "<hex>"}}``."""

    def item_id(self, dek_id: str) -> str:
        """Return the item's id."""
        return f"key:{dek_id}"

    def read(self, item: Mapping[str, Any]) -> dict[str, object]:
        """Return the row in the library's form."""
        wrap, check = item["wrap"], item["wrap"].get("check")
        return {
            "id": item["id"].removeprefix("key:"),
            "mekVersion": wrap["version"],
            "wrappedDek": to_base64(base64.urlsafe_b64decode(wrap["data"])),
            "keyCheck": None if check is None else to_base64(bytes.fromhex(check)),
            "createdAt": item.get("made"),
        }

    def write(self, row: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, object]:
        """Return the wrap, and keep what is inside it beside the row."""
        wrap = {
            **item.get("wrap", {}),
            "version": row["mekVersion"],
            "data": base64.urlsafe_b64encode(base64.b64decode(row["wrappedDek"])).decode(),
            "check": base64.b64decode(row["keyCheck"]).hex(),
        }
        return {"wrap": wrap, "made": row["createdAt"]}


class TextFields:
    """``mine:<hex of nonce, ciphertext and tag>``; the document holds the dekId."""

    def claims(self, stored: object) -> bool:
        """Tell by the prefix."""
        return isinstance(stored, str) and stored.startswith("mine:")

    def dek_id(self, stored: object, document: Mapping[str, Any]) -> str:  # noqa: ARG002 - the protocol's signature
        """Look it up in the document."""
        return document["keys"]["body"]  # type: ignore[no-any-return] # a malformed document is part of the tests

    def open(
        self,
        stored: Any,
        document: Mapping[str, Any],  # noqa: ARG002 - the protocol's signature
        *,
        key: bytes,
        place: FieldPlace,
    ) -> object:
        """Decrypt, bound to the document's id."""
        raw = bytes.fromhex(stored.removeprefix("mine:"))
        return json.loads(AESGCM(key).decrypt(raw[:12], raw[12:], place.document_id.encode()))


@dataclass
class OtherSystem:
    """A key, a store of nested rows, and a document of another system under a DEK in it."""

    mek: Mek
    old: str
    rows: ContainerProxy
    store: DekStore
    cache: DekCache
    dek: Dek

    @classmethod
    async def create(cls, mek: Mek, client: CosmosClient) -> Self:
        """Write one row."""
        rows, old, dek = await new_container(client, "deks"), await mek.create(), Dek.generate()
        wrapped = mek.client.wrap(dek.reveal(), await mek.client.get_version(old))
        wrap = {"version": old, "data": base64.urlsafe_b64encode(wrapped).decode(), "owner": "billing"}
        await rows.create_item({"id": "key:k-1", "wrap": wrap})
        store = DekStore(rows, RowDefaults(mek_name=mek.name), codec=NestedRows())
        return cls(mek, old, rows, store, DekCache(), dek)

    def encryption(self, policy: KeyPolicy | None = None) -> FieldEncryption:
        """Return the library with both codecs."""
        provider = KeyVaultProvider(self.mek.client)
        policy = policy or KeyPolicy()
        return FieldEncryption(provider, self.store, self.cache, policy=policy, field_codecs=[TextFields()])

    def document(self, document_id: str = "note-1") -> dict[str, Any]:
        """Encrypt a document as the other system does."""
        iv = os.urandom(12)
        sealed = AESGCM(self.dek.reveal()).encrypt(iv, json.dumps(VALUE).encode(), document_id.encode())
        return {"id": document_id, "body": f"mine:{(iv + sealed).hex()}", "keys": {"body": "k-1"}}

    async def item(self, item_id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        return dict(await self.rows.read_item(item_id, partition_key=item_id))

"""What two other systems have written into the containers of the README: rows and a document each, in their forms."""

import base64
import json
import os

from azure.cosmos.aio import DatabaseProxy
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.field_encrypt.local_vault import Mek

NODE_NOTE, TEXT_NOTE = "node-1", "text-1"
VALUE = "An older title"


async def write_node(database: DatabaseProxy, mek: Mek, version: str) -> None:
    """A nested wrap in base64url under the whole key id; a field in hexadecimal, whose dekId the document holds."""
    key, iv = os.urandom(32), os.urandom(12)
    wrapped = mek.client.wrap(key, await mek.client.get_version(version))
    wrap = {
        "kid": f"{mek.vault.url}/keys/{mek.name}/{version}",
        "data": base64.urlsafe_b64encode(wrapped).decode(),
        "owner": "billing",
    }
    rows, notes = (database.get_container_client(name) for name in ("dek_store", "notes"))
    await rows.create_item({"id": "key:k-1", "type": "key", "wrap": wrap})
    sealed = AESGCM(key).encrypt(iv, VALUE.encode(), NODE_NOTE.encode())
    field = {"v": 1, "iv": iv.hex(), "data": sealed[:-16].hex(), "tag": sealed[-16:].hex()}
    await notes.create_item({"id": NODE_NOTE, "workspaceId": "w", "title": field, "keys": {"title": "k-1"}})


async def write_text(database: DatabaseProxy, mek: Mek, version: str) -> None:
    """A row of other names in hexadecimal; a field that is one text."""
    key, iv = os.urandom(32), os.urandom(12)
    wrapped = mek.client.wrap(key, await mek.client.get_version(version))
    rows, notes = (database.get_container_client(name) for name in ("dek_store", "notes"))
    await rows.create_item({"id": "t-1", "kek": version, "blob": wrapped.hex()})
    sealed = AESGCM(key).encrypt(iv, json.dumps(VALUE).encode(), None)
    text = f"enc:v1:t-1:{base64.urlsafe_b64encode(iv + sealed).decode()}"
    await notes.create_item({"id": TEXT_NOTE, "workspaceId": "w", "title": text})

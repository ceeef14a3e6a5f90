"""Very many rows for the dek store of a local Azure, in seconds."""

import base64
import uuid
from collections.abc import Iterator
from typing import Any

from field_encrypt.dek import Dek, key_check
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_versions import MekVersion
from local.supervisor import LocalAzure
from local.supervisor.bulk import put_items
from local.supervisor.environment import DEK_CONTAINER


def fill(azure: LocalAzure, mek: MekClient, version: MekVersion, count: int) -> None:
    """Store so many rows of new DEKs under the version."""
    put_items(azure, DEK_CONTAINER, _rows(mek, version, count))


def _rows(mek: MekClient, version: MekVersion, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        dek = Dek.generate()
        yield {
            "id": str(uuid.uuid4()),
            "wrappedDek": base64.b64encode(mek.wrap(dek.reveal(), version, "RSA-OAEP-256")).decode(),
            "mekName": version.mek_name,
            "mekVersion": version.version,
            "algorithm": "RSA-OAEP-256",
            "createdAt": "2026-01-01T00:00:00.000+00:00",
            "keyCheck": base64.b64encode(key_check(dek)).decode(),
        }

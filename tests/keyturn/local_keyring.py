"""A dek store and its MEK as a rotation meets them: real rows, wrapped under real versions, in the local services."""

import asyncio
import base64
import uuid
from datetime import UTC, datetime
from typing import Any

import requests
from azure.cosmos.aio import ContainerProxy

from field_encrypt.dek import Dek, key_check
from field_encrypt.row_states import Row
from keyturn.contracts.pages import RowRef
from keyturn.deks.store import DekStore
from keyturn.settings import Keyring
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos
from tests.field_encrypt.local_vault import SECONDS, Mek

ROTATION = "notes.20261124T120000Z.abcdef"
OLD, TARGET = "0" * 32, "f" * 32  # version ids for tests that need no vault


def keyring_of(
    mek_name: str = "notelett-mek", vault_url: str = "https://notes.vault.azure.net", **more: Any
) -> Keyring:
    """Return a keyring."""
    values = {"name": "notes", "vaultUrl": vault_url, "mekName": mek_name, "cosmosDatabase": DATABASE, **more}
    return Keyring.model_validate(values)


def encoded(raw: bytes) -> str:
    """Return base64 as rows hold it."""
    return base64.b64encode(raw).decode()


def plain_row(row_id: str | None = None, **properties: Any) -> dict[str, Any]:
    """Return a row that is well-formed but wraps nothing real; a property of ``...`` is left out."""
    row = {
        "id": row_id or str(uuid.uuid4()),
        "wrappedDek": encoded(b"no real wrap"),
        "mekName": "notelett-mek",
        "mekVersion": OLD,
        "algorithm": "RSA-OAEP-256",
        "createdAt": "2026-11-01T00:00:00.000+00:00",
        "keyCheck": encoded(bytes(16)),
        **properties,
    }
    return {name: value for name, value in row.items() if value is not ...}


class LocalKeyring:
    """A store, a MEK, and what tests do with both."""

    def __init__(self, mek: Mek, cosmos: LocalCosmos, container: ContainerProxy) -> None:
        self.mek = mek
        self.cosmos = cosmos
        self.container = container
        self.keyring = keyring_of(mek.name, mek.vault.url, verifyChallengeResource=False)
        self.store = DekStore(container, self.keyring)
        self.deks: dict[str, Dek] = {}

    async def add(self, version: str, wrap_with: str = "RSA-OAEP-256", **properties: Any) -> RowRef:
        """Store a row of a new DEK that really is wrapped under the version; ``...`` leaves a property out."""
        dek = Dek.generate()
        wrapped = self.mek.client.wrap(dek.reveal(), await self.mek.client.get_version(version), wrap_with)
        values = {
            "wrappedDek": encoded(wrapped),
            "mekName": self.mek.name,
            "mekVersion": version,
            "algorithm": wrap_with,
            "createdAt": datetime.now(UTC).isoformat(),
            "keyCheck": encoded(key_check(dek)),
        }
        row = plain_row(**{**values, **properties})
        await self.container.create_item(row)
        self.deks[row["id"]] = dek
        return RowRef(id=row["id"], partition=row["id"])

    async def fill(self, count: int, **properties: Any) -> set[str]:
        """Store so many rows that wrap nothing real, and return their ids."""
        rows = [plain_row(**{"mekName": self.mek.name, **properties}) for _ in range(count)]
        await asyncio.gather(*(self.container.create_item(row) for row in rows))
        return {row["id"] for row in rows}

    async def add_many(self, count: int, version: str) -> list[RowRef]:
        """Store so many rows under the version."""
        return [await self.add(version) for _ in range(count)]

    async def item(self, ref: RowRef) -> dict[str, Any]:
        """Return the stored item."""
        return dict(await self.container.read_item(ref.id, partition_key=ref.partition))

    async def row(self, ref: RowRef, target_version: str) -> Row:
        """Return the row, which must be there."""
        row = await self.store.read(ref, target_version)
        assert row is not None
        return row

    async def unwrapped(self, ref: RowRef) -> Dek:
        """Return the DEK that the row gives to a reader who follows the row's own label and algorithm."""
        item = await self.item(ref)
        wrapped = base64.b64decode(item["wrappedDek"])
        return Dek(await self.mek.client.unwrap(wrapped, item["mekVersion"], item["algorithm"]))

    def control_cosmos(self, path: str, **body: Any) -> Any:
        """Post to a control endpoint of the account."""
        url = f"{self.cosmos.url}/_control/{path}"
        answer = requests.post(url, json=body, verify=str(self.mek.vault.authority), timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def split(self, range_id: str) -> list[str]:
        """Split a physical partition of the store."""
        answer = self.control_cosmos(
            "split", database=DATABASE, container=self.container.id, partitionKeyRangeId=range_id
        )
        return list(answer["partitionKeyRangeIds"])

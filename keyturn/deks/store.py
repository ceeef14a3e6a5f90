"""Reads and rewrites single rows: by one conditional patch of everything that belongs together, which never creates."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from azure.core import MatchConditions
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosHttpResponseError
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt.encoding import to_base64
from keyturn.contracts.pages import RowRef
from keyturn.cosmos.client import cosmos_failures, is_absent_item
from keyturn.cosmos.session_tokens import SESSION_TOKEN
from keyturn.deks.rows import FENCE, PREVIOUS_WRAP, REWRAPPED_AT, ROTATION_ID, Row, classify, label_like
from keyturn.settings import Keyring

RESOURCE = "the dek store"


class Outcome(StrEnum):
    """What became of a conditional write, or of one attempt at an item."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"  # the item was deleted
    QUARANTINED = "quarantined"
    AGAIN = "again"  # the item is not what it was when it was read, or could not be seen yet


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a conditional write; the token is set if the row was written."""

    outcome: Outcome
    partition_key: Any
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class NewWrap:
    """A row's DEK under another version, and what is written with it."""

    version: str
    wrapped: bytes = field(repr=False)
    algorithm: str
    key_check: bytes = field(repr=False)
    old_version: str  # the version that unwrapped the row, which an unlabelled row does not name
    run_id: str
    fence: int
    rewrapped_at: datetime


async def conditional_write(resource: str, partition_key: Any, written: Awaitable[CosmosDict]) -> WriteResult:
    """Return what became of a write that depends on the ETag; raises KeyturnError of the kind that a failure means."""
    async with cosmos_failures(resource, "write"):
        try:
            headers = (await written).get_response_headers()
        except CosmosAccessConditionFailedError:
            return WriteResult(Outcome.AGAIN, partition_key)
        except CosmosHttpResponseError as error:
            if is_absent_item(error):
                return WriteResult(Outcome.GONE, partition_key)
            raise
    return WriteResult(Outcome.CHANGED, partition_key, headers.get(SESSION_TOKEN))


async def read_item(container: ContainerProxy, ref: RowRef, resource: str) -> dict[str, Any] | None:
    """Return an item as it is now, None if it is gone; raises KeyturnError of the kind that a failure means."""
    async with cosmos_failures(resource, "read"):
        for partition_key in [ref.partition] if ref.partition is not None else [None, NonePartitionKeyValue]:
            try:
                return dict(await container.read_item(ref.id, partition_key=partition_key))
            except CosmosHttpResponseError as error:
                if not is_absent_item(error):
                    raise
    return None


class DekStore:
    """The rows of one keyring's dek store."""

    def __init__(self, container: ContainerProxy, keyring: Keyring) -> None:
        self.container = container
        self.keyring = keyring

    async def read(self, ref: RowRef, target_version: str) -> Row | None:
        """Return the row as it is now, told apart for a rotation to the target version, or None if it is gone."""
        item = await read_item(self.container, ref, RESOURCE)
        return None if item is None else classify(item, self.keyring, target_version)

    async def rewrap(self, row: Row, new: NewWrap) -> WriteResult:
        """Put the new wrap into the row if it is still as it was read; the old one is kept beside it."""
        names = self.keyring.row_names
        values = {
            names.wrapped_dek: to_base64(new.wrapped),
            names.mek_version: label_like(row.raw.get(names.mek_version), new.version, self.keyring),
            names.mek_name: row.raw.get(names.mek_name) or self.keyring.mek_name,
            names.algorithm: new.algorithm,
            names.key_check: to_base64(new.key_check),
            PREVIOUS_WRAP: self._wrap_of(row, new.old_version),
            ROTATION_ID: new.run_id,
            REWRAPPED_AT: new.rewrapped_at.isoformat(timespec="milliseconds"),
        }
        return await self._patch(row, [_set(name, value) for name, value in values.items()], new.fence)

    async def exchange(self, row: Row, fence: int) -> WriteResult:
        """Put the row's previous wrap back in place of its wrap, which is kept, if the row is still as it was read.

        The row is stale again afterwards. Its key check stays: a next rewrap is measured against it. Raises KeyError
        for a row that has no whole previous wrap.
        """
        names = self.keyring.row_names
        previous = row.raw[PREVIOUS_WRAP]
        operations = [
            _set(names.wrapped_dek, previous["wrappedDek"]),
            _set(names.mek_version, previous["mekVersion"]),
            _set(names.algorithm, previous["algorithm"]),
            _set(PREVIOUS_WRAP, self._wrap_of(row)),
            *({"op": "remove", "path": _pointer(name)} for name in (ROTATION_ID, REWRAPPED_AT) if name in row.raw),
        ]
        return await self._patch(row, operations, fence)

    def _wrap_of(self, row: Row, version: str | None = None) -> dict[str, Any]:
        """Return the row's wrap as the next one keeps it; ``version`` is what unwrapped a row without a label."""
        names = self.keyring.row_names
        label = row.raw.get(names.mek_version)
        return {
            "mekVersion": label if version is None else label_like(label, version, self.keyring),
            "wrappedDek": row.raw.get(names.wrapped_dek),
            "algorithm": row.algorithm,
        }

    async def _patch(self, row: Row, operations: list[dict[str, Any]], fence: int) -> WriteResult:
        """Change the row if it is as it was read, and if no later run has changed it: the store itself decides."""
        partition_key = self._partition_key(row)
        patched = self.container.patch_item(
            row.id,
            partition_key,
            [*operations, _set(FENCE, fence)],
            filter_predicate=f"FROM c WHERE NOT IS_NUMBER(c.{FENCE}) OR c.{FENCE} <= {int(fence)}",
            etag=row.etag,
            match_condition=MatchConditions.IfNotModified,
        )
        return await conditional_write(RESOURCE, partition_key, patched)

    def _partition_key(self, row: Row) -> Any:
        absent = row.partition is None and row.raw.get(self.keyring.row_names.partition_key, "") is not None
        return NonePartitionKeyValue if absent else row.partition


def _set(name: str, value: Any) -> dict[str, Any]:
    return {"op": "set", "path": _pointer(name), "value": value}


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")

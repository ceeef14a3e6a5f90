"""The one conditional patch by which a row changes: everything that belongs together, and never a row that is gone."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt.encoding import to_base64
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import FENCE, PREVIOUS_WRAP, ROTATION_ID, Row, RowSettings, label_like
from field_encrypt.rows import REWRAPPED_AT, RowCodec

Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowPatch:
    """A patch of one row as it was read; the store refuses it for a row that was changed or deleted since."""

    row: Row
    partition_key: Any
    operations: list[Operation]
    filter_predicate: str | None

    def send(self, container: ContainerProxy) -> Awaitable[CosmosDict]:
        """Send it: a patch creates nothing, and If-Match refuses what is not as it was read; raises AzureError."""
        return container.patch_item(
            self.row.id,
            self.partition_key,
            self.operations,
            etag=self.row.etag,
            match_condition=MatchConditions.IfNotModified,
            filter_predicate=self.filter_predicate,
        )


def rewrap_patch(row: Row, new: NewWrap, settings: RowSettings, codec: RowCodec | None = None) -> RowPatch:
    """Return the patch that puts the new wrap into the row; the old one is kept beside it."""
    names = settings.row_names
    values = {
        names.wrapped_dek: to_base64(new.wrapped),
        names.mek_version: label_like(row.raw.get(names.mek_version), new.version, settings),
        names.mek_name: row.raw.get(names.mek_name) or settings.mek_name,
        names.algorithm: new.algorithm,
        names.key_check: to_base64(new.key_check),
    }
    beside = {
        PREVIOUS_WRAP: _wrap_of(row, settings, new.old_version),
        REWRAPPED_AT: new.rewrapped_at.isoformat(timespec="milliseconds"),
    }
    if new.run_id is not None:
        beside[ROTATION_ID] = new.run_id
    removed = [ROTATION_ID] if new.run_id is None else []  # it would name a run that has not made this wrap
    return _patch(row, {**_stored(row, values, codec), **beside}, removed, settings, new.fence)


def exchange_patch(row: Row, settings: RowSettings, fence: int | None) -> RowPatch:
    """Return the patch that puts the row's previous wrap back in place of its wrap, which is kept.

    The row is stale again afterwards. Its key check stays: a next rewrap is measured against it.

    Raises:
        KeyError: the row has no whole previous wrap.
    """
    names, previous = settings.row_names, row.raw[PREVIOUS_WRAP]
    values = {
        names.wrapped_dek: previous["wrappedDek"],
        names.mek_version: previous["mekVersion"],
        names.algorithm: previous["algorithm"],
    }
    beside = {PREVIOUS_WRAP: _wrap_of(row, settings)}
    return _patch(row, {**values, **beside}, [ROTATION_ID, REWRAPPED_AT], settings, fence)


def _wrap_of(row: Row, settings: RowSettings, version: str | None = None) -> dict[str, Any]:
    """Return the row's wrap as the next one keeps it; ``version`` is what unwrapped a row without a label."""
    names = settings.row_names
    label = row.raw.get(names.mek_version)
    return {
        "mekVersion": label if version is None else label_like(label, version, settings),
        "wrappedDek": row.raw.get(names.wrapped_dek),
        "algorithm": row.algorithm,
    }


def _stored(row: Row, values: Mapping[str, Any], codec: RowCodec | None) -> Mapping[str, Any]:
    """Return the properties by which the store's own form has these values."""
    return values if codec is None else codec.write({**row.raw, **values}, row.item)


def _patch(
    row: Row, values: Mapping[str, Any], removed: list[str], settings: RowSettings, fence: int | None
) -> RowPatch:
    operations = [_set(name, value) for name, value in values.items()]
    operations += [{"op": "remove", "path": _pointer(name)} for name in removed if name in row.item]
    predicate = None
    if fence is not None:  # and if no later run has changed the row: the store itself decides
        operations.append(_set(FENCE, fence))
        predicate = f"FROM c WHERE NOT IS_NUMBER(c.{FENCE}) OR c.{FENCE} <= {int(fence)}"
    return RowPatch(row, partition_key_of(row, settings), operations, predicate)


def partition_key_of(row: Row, settings: RowSettings) -> Any:
    """Return the value by which the service keeps the row."""
    absent = row.partition is None and row.item.get(settings.row_names.partition_key, "") is not None
    return NonePartitionKeyValue if absent else row.partition


def _set(name: str, value: Any) -> Operation:
    return {"op": "set", "path": _pointer(name), "value": value}


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")

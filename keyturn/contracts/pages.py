"""A page of rows: how it is found, and what was done to it."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from keyturn.contracts.base import Payload, RunInput

# The source of a pass that goes over the keyring's dek store; any other is the name of one of its document containers.
DEKS = "~deks"

# A page's references stand in history twice, and a turn with its history must fit a gRPC message of 4 MB: a generation
# of ``row_pass`` holds some 100 pages. Ids are at most 1,023 bytes (Cosmos DB), usually 36: of these 12 KiB hold 127.
PAGE_BYTES_MAX = 12 * 1024

# A soak keeps two cursors and a session token for each physical partition: of so many they fit an event of 64 KiB, also
# if each partition is split once before the next whole pass. 200 partitions hold 10 TB of rows (50 GB each, Cosmos DB
# service limits). Pre-flight refuses a larger store; a run in whose course it grows larger goes on, with larger events.
RANGES_MAX = 200

PACK_BYTES = 4 * 1024  # what is smaller stays as it is, to be read by people


def packed(by_range: Mapping[str, str | None]) -> dict[str, str | None] | str:
    """Return cursors or session tokens by feed range as JSON is to have them: many, which are alike, as packed text."""
    if len(json.dumps(plain := dict(by_range))) < PACK_BYTES:
        return plain
    unpacked = json.dumps({feed_range: _unpacked(value) for feed_range, value in plain.items()})
    return base64.urlsafe_b64encode(zlib.compress(unpacked.encode(), 9)).decode()


def _unpacked(value: str | None) -> str | list[str] | None:
    """Return a cursor in the base64 of which equal texts look different as a list of its text, all else as it is."""
    try:
        text = base64.b64decode(value or "", validate=True).decode()
    except ValueError:
        return value
    return [text] if value == base64.b64encode(text.encode()).decode() else value


def unpacked(value: object) -> object:
    """Return what was packed; raises ValueError for a text that was not."""
    if not isinstance(value, str):
        return value
    try:
        unpacked = json.loads(zlib.decompress(base64.urlsafe_b64decode(value)))
    except zlib.error as error:
        raise ValueError("expected packed cursors") from error
    closed = {feed_range: found[0] for feed_range, found in unpacked.items() if isinstance(found, list)}
    return unpacked | {feed_range: base64.b64encode(text.encode()).decode() for feed_range, text in closed.items()}


_PACKING = (BeforeValidator(unpacked), PlainSerializer(packed))

# By feed range: where reading goes on, None for its beginning; and the token of the newest write.
type Cursors = Annotated[dict[str, str | None], *_PACKING]
type SessionTokens = Annotated[dict[str, str], *_PACKING]

# A partition key's value. None stands for null and for an absent property alike: only a read tells them apart.
type Scalar = str | int | float | bool | None

# The part of the rewrapped rows that a proof takes: above 0, and 1 for all of them.
SampleShare = Annotated[float, Field(gt=0, le=1)]

# Which rows a pass works on: those that are not on the target, those that this run has rewrapped, or those that the
# migration's work names.
type Selection = Literal["stale", "rewrapped", "chosen"]


class RowRef(Payload):
    """A row by id and partition key value: enough to read it again, and nothing about its key."""

    id: str
    partition: Scalar


class RangesInput(RunInput):
    """Input of ``list_ranges``."""

    source: str = DEKS


class ScanInput(RunInput):
    """Input of ``scan_page``: read on from a cursor until a page of selected rows is found or the range is drained."""

    target_version: str
    selection: Selection
    source: str = DEKS
    range: str
    cursor: str | None = None  # None: from the beginning
    page_rows: int
    sample_share: SampleShare = 1.0  # of the rewrapped rows; which ones follows from their ids, the same at every run


class ScanResult(Payload):
    """Answer of ``scan_page``."""

    refs: list[RowRef]
    cursor: str | None
    drained: bool
    scanned: int
    foreign: int = 0


class PageInput(RunInput):
    """Input of an activity that works on a page."""

    target_version: str
    source: str = DEKS
    dry_run: bool = False  # find out what would become of the rows, and write none
    refs: list[RowRef]
    operations_per_second: float
    # Of a pass that meets again what earlier ones quarantined, in the workflow's time; None: its rows are added.
    pass_started_at: datetime | None = None


class QuarantinedRow(Payload):
    """A row or document that cannot be worked on, named with its reason."""

    id: Annotated[str, Field(max_length=1279)]  # of a row, or <container>/<id of the document>
    # A code of QuarantineReason (field_encrypt.row_states) or DocumentReason (documents.reasons).
    reason: Annotated[str, Field(max_length=64)]
    mek_version: Annotated[str, Field(max_length=256)] | None = None


class PageResult(Payload):
    """Answer of an activity that works on a page; quarantined rows are written to the record, here only counted."""

    changed: int = 0  # rewrapped, proven, or what else the operation does
    unchanged: int = 0  # needed nothing: already on the target, or foreign
    gone: int = 0  # deleted since the scan: done
    quarantined: int = 0
    conflicts: int = 0  # lost ETag races, each read again
    throttled: int = 0  # 429 answers of the vault
    vault_operations: int = 0
    stale_writers: int = 0  # rows created under an old version after the new one existed
    last_stale_write: datetime | None = None
    session_tokens: dict[str, str] = Field(default_factory=dict)  # feed range -> token of the newest write in it


def add_results(*parts: PageResult) -> PageResult:
    """Add pages up; session tokens are left out, since only the activity that records progress can merge them."""
    counters = [name for name, field in PageResult.model_fields.items() if field.annotation is int]
    seen = [part.last_stale_write for part in parts if part.last_stale_write is not None]
    return PageResult(
        **{name: sum(getattr(part, name) for part in parts) for name in counters},
        last_stale_write=max(seen, default=None),
    )


class RangesResult(Payload):
    """Answer of ``list_ranges``: the store's feed ranges, one per physical partition, in order."""

    ranges: list[str]  # each the JSON text of a feed range


class UnexplainedRow(Payload):
    """A row that is not as the last rotation left it, and that no run has changed."""

    id: Annotated[str, Field(max_length=1023)]
    reason: Literal["changed", "key_check_missing"]

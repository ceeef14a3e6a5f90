"""One row of the dek store, told apart by what a rewrap has to do with it.

Whether a row is on the target its version label tells alone, because that is all that a query in SQL can see: a row
that is not foreign is on the target or counts as stale. A label is a version id, or the whole key id that some writers
store, ``https://<vault>/keys/<name>/<version>``. Vault hosts and key names are compared without regard to case, as
Azure does: a row of ours that were taken for a foreign one would be left behind under a version that is then disabled.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from field_encrypt.errors import InvalidRowError
from field_encrypt.rows import ID, DekRow, RowCodec, RowDefaults, RowNames, decoded, same_name

type Scalar = str | int | float | bool | None  # a partition key's value

# What a rewrap writes beside REWRAPPED_AT and the properties that have settings for their names.
ROTATION_ID = "rotationId"
PREVIOUS_WRAP = "previousWrap"
FENCE = "fence"  # of the run that last changed the row
ALGORITHMS = frozenset({"RSA-OAEP", "RSA-OAEP-256"})

KEY_ID_SCHEME = "https://"
# Key Vault's version ids are 32 hexadecimal digits today; what matters here is that nothing else than a plain name
# gets into the path of a request.
VERSION_ID = re.compile(r"[0-9A-Za-z-]{1,127}")


class RowSettings(Protocol):
    """What is known of a dek store beside its rows."""

    @property
    def vault_url(self) -> str:
        """The vault of the MEK, ``https://...``."""
        ...

    @property
    def mek_name(self) -> str:
        """The name of the MEK; what rows without a name are under."""
        ...

    @property
    def default_algorithm(self) -> str:
        """The algorithm of rows that name none."""
        ...

    @property
    def row_names(self) -> RowNames:
        """The names of a row's properties."""
        ...


class LabelKind(StrEnum):
    """What a label is."""

    VERSION = "version"
    NONE = "none"
    FOREIGN = "foreign"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Label:
    """A row's version label, read: ``version`` is set for the kind VERSION only."""

    kind: LabelKind
    version: str | None = None


def kid_prefix(settings: RowSettings) -> str:
    """Return the start of every versioned key id of the MEK, for rows that carry a whole id as their label."""
    return f"{settings.vault_url.rstrip('/')}/keys/{settings.mek_name}/"


def read_label(value: object, settings: RowSettings) -> Label:
    """Read the value of the label's property; None stands for a property that is null or absent."""
    if value is None:
        return Label(LabelKind.NONE)
    if not isinstance(value, str):
        return Label(LabelKind.MALFORMED)
    version = value
    if _starts_with(value, KEY_ID_SCHEME):
        if not _starts_with(value, kid_prefix(settings)):
            ours_without_version = same_name(value, kid_prefix(settings).removesuffix("/"))
            return Label(LabelKind.MALFORMED if ours_without_version else LabelKind.FOREIGN)
        version = value[len(kid_prefix(settings)) :]
    if VERSION_ID.fullmatch(version) is None:
        return Label(LabelKind.MALFORMED)
    return Label(LabelKind.VERSION, version)


def label_like(value: object, version: str, settings: RowSettings) -> str:
    """Return the label of another version in the form and spelling that the row has: its readers understand them."""
    whole_key_id = isinstance(value, str) and _starts_with(value, kid_prefix(settings))
    return f"{str(value)[: len(kid_prefix(settings))]}{version}" if whole_key_id else version


def _starts_with(value: str, prefix: str) -> bool:
    return same_name(value[: len(prefix)], prefix)


class RowKind(StrEnum):
    """What a rewrap has to do with a row."""

    CURRENT = "current"  # wrapped by the target version: nothing to do
    STALE = "stale"  # wrapped by another version of our MEK: rewrapped
    UNLABELLED = "unlabelled"  # names no version (older writers): rewrapped once a version is found that unwraps it
    FOREIGN = "foreign"  # names another key or vault: counted, reported, never touched
    MALFORMED = "malformed"  # cannot be rewrapped as it stands: quarantined with its reason


class QuarantineReason(StrEnum):
    """Why a row cannot be rewrapped: short codes for the record and the API."""

    MALFORMED_WRAP = "malformed_wrap"  # the wrapped DEK is absent, empty or no base64
    MALFORMED_LABEL = "malformed_label"  # the version label is no version id and no key id
    MALFORMED_MEK_NAME = "malformed_mek_name"
    MALFORMED_KEY_CHECK = "malformed_key_check"
    UNKNOWN_ALGORITHM = "unknown_algorithm"  # no algorithm that wraps DEKs here
    UNKNOWN_VERSION = "unknown_version"  # our MEK has no such version
    VERSION_DISABLED = "version_disabled"
    UNWRAP_REFUSED = "unwrap_refused"  # no version that the row may mean unwraps it
    INVALID_DEK = "invalid_dek"  # it unwraps, but not to a 256-bit key
    KEY_CHECK_MISMATCH = "key_check_mismatch"  # it unwraps to another DEK than its key check was made with
    TOO_MANY_RACES = "too_many_races"  # other writers changed the row faster than it could be rewrapped


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read; everything that is or reveals key material is left out of its representation."""

    id: str
    partition: Scalar
    etag: str
    kind: RowKind
    reason: QuarantineReason | None
    on_target: bool  # the label names the target version, whatever else is wrong with the row
    version: str | None
    algorithm: str | None
    wrapped: bytes | None = field(repr=False)
    key_check: bytes | None = field(repr=False)
    created_at: datetime | None  # as the row itself says
    changed_at: datetime  # the service's time of the last change, in whole seconds
    run_id: str | None
    fence: int | None
    raw: Mapping[str, Any] = field(repr=False)  # the row in the library's own form
    item: Mapping[str, Any] = field(repr=False)  # as it is stored; the same where the store has that form itself

    @property
    def needs_work(self) -> bool:
        """Whether a rewrap has to look at this row: to move it, or to quarantine it."""
        return self.kind not in (RowKind.CURRENT, RowKind.FOREIGN)


def classify(item: Mapping[str, Any], settings: RowSettings, target_version: str, codec: RowCodec | None = None) -> Row:
    """Read a row and tell what a rewrap under the target version has to do with it."""
    names = settings.row_names
    try:
        row = decoded(item, codec)
    except InvalidRowError:
        row = {ID: item[ID]}  # without a wrap, which makes it a malformed one
    value, mek_name = row.get(names.mek_version), _text(row.get(names.mek_name))
    label = read_label(value, settings)
    foreign = label.kind is LabelKind.FOREIGN or bool(mek_name and not same_name(mek_name, settings.mek_name))
    target_key_id = kid_prefix(settings) + target_version
    names_target = isinstance(value, str) and (value == target_version or same_name(value, target_key_id))
    on_target = names_target and not foreign
    parsed, reason = _parse(row, settings, label.kind)
    return Row(
        id=str(item["id"]),
        partition=scalar(item.get(names.partition_key)),
        etag=str(item["_etag"]),
        kind=_kind(label.kind, reason, foreign=foreign, on_target=on_target),
        reason=None if foreign else reason,
        on_target=on_target,
        version=label.version,
        algorithm=parsed.algorithm if parsed else None,
        wrapped=parsed.wrapped if parsed else None,
        key_check=parsed.key_check if parsed else None,
        created_at=_time(row.get(names.created_at)),
        changed_at=datetime.fromtimestamp(item["_ts"], UTC),
        run_id=_text(item.get(ROTATION_ID)),
        fence=_fence(item.get(FENCE)),
        raw=row,
        item=item,
    )


def before_rewrap(row: Row, settings: RowSettings, target_version: str) -> Row | None:
    """Return the row as it was before it was rewrapped, or None if it does not say."""
    previous = row.raw.get(PREVIOUS_WRAP)
    if not isinstance(previous, dict):
        return None
    names = settings.row_names
    values = {
        names.mek_version: previous.get("mekVersion"),
        names.wrapped_dek: previous.get("wrappedDek"),
        names.algorithm: previous.get("algorithm"),
    }
    return classify({**row.raw, **values}, settings, target_version)


def _kind(label: LabelKind, reason: QuarantineReason | None, *, foreign: bool, on_target: bool) -> RowKind:
    if foreign:
        return RowKind.FOREIGN
    if reason is not None:
        return RowKind.MALFORMED
    if on_target:
        return RowKind.CURRENT
    return RowKind.UNLABELLED if label is LabelKind.NONE else RowKind.STALE


def _parse(
    item: Mapping[str, Any], settings: RowSettings, kind: LabelKind
) -> tuple[DekRow | None, QuarantineReason | None]:
    names = settings.row_names
    if kind is LabelKind.MALFORMED:
        return None, QuarantineReason.MALFORMED_LABEL
    try:
        row = DekRow.parse(item, names, RowDefaults(mek_name=settings.mek_name, algorithm=settings.default_algorithm))
    except InvalidRowError as error:
        reasons = {
            names.mek_version: QuarantineReason.MALFORMED_LABEL,
            names.mek_name: QuarantineReason.MALFORMED_MEK_NAME,
            names.algorithm: QuarantineReason.UNKNOWN_ALGORITHM,
            names.key_check: QuarantineReason.MALFORMED_KEY_CHECK,
        }
        return None, reasons.get(error.property_name, QuarantineReason.MALFORMED_WRAP)
    return row, None if row.algorithm in ALGORITHMS else QuarantineReason.UNKNOWN_ALGORITHM


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def scalar(value: object) -> Scalar:
    """Return a partition key's value; the service takes a list or an object for an absent one."""
    return value if isinstance(value, str | int | float | bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _fence(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

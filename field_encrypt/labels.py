"""The version label of a row: a version id, or the whole key id that some writers store.

A whole key id is ``https://<vault>/keys/<name>/<version>``. Vault hosts and key names are compared without regard to
case, as Azure does: a row of ours that were taken for a foreign one would be left behind under a version that is then
disabled.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from field_encrypt.rows import RowNames, same_name

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

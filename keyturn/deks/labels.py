"""What a row's version label means, and what makes a row foreign.

A label is a version id, or the whole key id (``https://<vault>/keys/<name>/<version>``) that some writers store. Vault
hosts and key names are compared without regard to case, as Azure does: a row of ours that were taken for a foreign one
would be left behind under a version that is then disabled.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from keyturn.settings import Keyring

KEY_ID_SCHEME = "https://"
# Key Vault's version ids are 32 hexadecimal digits today; what matters here is that nothing else than a plain name
# gets into the path of a request.
VERSION_ID = re.compile(r"[0-9A-Za-z-]{1,127}")


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


def read_label(value: object, keyring: Keyring) -> Label:
    """Read the value of the label's property; None stands for a property that is null or absent."""
    if value is None:
        return Label(LabelKind.NONE)
    if not isinstance(value, str):
        return Label(LabelKind.MALFORMED)
    version = value
    if _starts_with(value, KEY_ID_SCHEME):
        if not _starts_with(value, keyring.kid_prefix):
            ours_without_version = same_name(value, keyring.kid_prefix.removesuffix("/"))
            return Label(LabelKind.MALFORMED if ours_without_version else LabelKind.FOREIGN)
        version = value[len(keyring.kid_prefix) :]
    if VERSION_ID.fullmatch(version) is None:
        return Label(LabelKind.MALFORMED)
    return Label(LabelKind.VERSION, version)


def names_version(value: object, version: str, keyring: Keyring) -> bool:
    """Tell whether the label's property names this version, as an id or as a whole key id."""
    return isinstance(value, str) and (value == version or same_name(value, keyring.kid_prefix + version))


def label_like(value: object, version: str, keyring: Keyring) -> str:
    """Return the label of another version in the form that the row has: its readers understand that form."""
    whole_key_id = isinstance(value, str) and _starts_with(value, keyring.kid_prefix)
    return f"{keyring.kid_prefix}{version}" if whole_key_id else version


def names_other_key(value: object, keyring: Keyring) -> bool:
    """Tell whether the property with the MEK's name holds the name of another key."""
    return isinstance(value, str) and bool(value) and not same_name(value, keyring.mek_name)


def same_name(first: str, second: str) -> bool:
    """Tell whether two names or key ids are one; names of vaults and keys are ASCII and ignore case."""
    return first.isascii() and first.lower() == second.lower()


def _starts_with(value: str, prefix: str) -> bool:
    return same_name(value[: len(prefix)], prefix)

"""Telling people apart: whoever asked for a rotation does not decide on it."""

import unicodedata


def same_person(first: str, second: str) -> bool:
    """Tell whether two names differ in no more than case, surrounding space or the way a character is encoded."""
    one, other = (unicodedata.normalize("NFKC", name).strip().casefold() for name in (first, second))
    return one == other


def same_identity(first: str | None, second: str | None) -> bool:
    """Tell whether two object ids of Entra ID are known and the same."""
    return first is not None and second is not None and first.lower() == second.lower()

"""Which fields of a container's documents are encrypted, declared once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from field_encrypt import paths
from field_encrypt.documents import SYSTEM_PROPERTIES
from field_encrypt.encoding import exact
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError
from field_encrypt.fields import is_encrypted
from field_encrypt.places import key_segments

_NEVER = ("id", "ttl", *SYSTEM_PROPERTIES)  # read by Cosmos DB itself

_NAME = "(?:[^/~]|~[01])+"
_PATH = re.compile(rf"(?!\*(?:/|$)){_NAME}(?:/{_NAME})*", re.DOTALL)  # a document is no list of which * is an element


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """The encrypted fields of one container, as paths (see :mod:`field_encrypt.paths`).

    ``fields`` are in every document; those of ``optional`` may be absent. Neither is ever stored in plaintext.

    ``deterministic`` are those of them that can be compared in queries. WHAT THIS GIVES AWAY: equal values are equal in
    store, so everyone who can read the container sees which documents share a value, and how often each value occurs. A
    value out of few (a country, a yes or no) or known from elsewhere is then as good as read. And such a field is bound
    to its container and path only: copied into another document it opens there. Choose it for identifiers with many
    values, such as an e-mail address, and for nothing else.
    """

    container: str
    fields: Sequence[str]
    optional: Sequence[str] = ()
    deterministic: Sequence[str] = ()
    may_look_encrypted: Sequence[str] = ()  # those whose plaintext may look like another system's ciphertext

    def __post_init__(self) -> None:
        """Check the paths.

        Raises:
            InvalidSettingError: paths are a single text or malformed, name what Cosmos DB reads, or cannot be compared.
        """
        if not isinstance(self.container, str):
            raise InvalidSettingError("container", "the container's name, a text")
        object.__setattr__(self, "container", exact(self.container))
        named = {"fields": self.fields, "optional": self.optional, "deterministic": self.deterministic}
        named["may_look_encrypted"] = self.may_look_encrypted
        for name, given in named.items():
            try:
                patterns = paths.listed(given)
            except InvalidFieldPathError as error:
                raise InvalidSettingError(name, error.expected) from None
            object.__setattr__(self, name, patterns)  # for good: a list may be changed, an iterator is used up
            for pattern in patterns:
                if _PATH.fullmatch(pattern) is None:  # an optional one would silently name nothing
                    raise InvalidSettingError(
                        name, f"names joined by slashes, as author/name or parts/*/text; {pattern!r} is not"
                    )
                if pattern.split("/")[0] in _NEVER:
                    raise InvalidSettingError(name, f"paths of your own properties; Cosmos DB reads {pattern}")
        for pattern in self.deterministic:
            if pattern not in self.patterns or any(_is_element(segment) for segment in pattern.split("/")):
                expected = f"paths of fields or optional, and none into a list; {pattern} is not"
                raise InvalidSettingError("deterministic", expected)

    @property
    def patterns(self) -> tuple[str, ...]:
        """All paths."""
        return (*self.fields, *self.optional)

    def in_document(self, document: Mapping[str, object]) -> list[str]:
        """Return the concrete paths of a whole document.

        Raises:
            InvalidFieldPathError: a field that is not optional is not there.
        """
        optional = paths.present(document, self.optional)
        return paths.expand(document, (*self.fields, *optional))

    def in_result(self, result: Mapping[str, object]) -> list[str]:
        """Return the concrete paths in a result of a query, which may hold a part of a document.

        Raises:
            InvalidFieldPathError: something encrypted stands under another name than its own.
        """
        found = paths.present(result, self.patterns)
        for path in paths.find(result, is_encrypted):
            if path not in found:
                expected = "an encrypted field under its own name: a ciphertext is bound to its path"
                raise InvalidFieldPathError(path, expected)
        return found

    def require_apart_from(self, partition_key_paths: Sequence[str]) -> None:
        """Check that nothing of the partition key is encrypted.

        Raises:
            InvalidSettingError: a field is part of the partition key.
        """
        for key in partition_key_paths:
            segments = key_segments(key)
            for pattern in self.patterns:
                if all(one == other for one, other in zip(paths.segments_of(pattern), segments, strict=False)):
                    raise InvalidSettingError("fields", f"no path of the partition key, {key}: Cosmos DB reads it")


def _is_element(segment: str) -> bool:
    return segment == paths.EVERY_ELEMENT or segment.isdecimal()

"""Which fields of a container's documents are encrypted, declared once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from field_encrypt import paths
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError
from field_encrypt.fields import is_encrypted

_NEVER = ("id", "_etag", "_rid", "_self", "_ts", "_attachments", "ttl")  # read by Cosmos DB itself


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """The encrypted fields of one container, as paths (see :mod:`field_encrypt.paths`).

    ``fields`` are in every document; those of ``optional`` may be absent. Neither is ever stored in plaintext.
    """

    container: str
    fields: Sequence[str]
    optional: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the paths.

        Raises:
            InvalidSettingError: ``fields`` or ``optional`` is a single text, or names something that Cosmos DB reads.
        """
        for name, patterns in (("fields", self.fields), ("optional", self.optional)):
            if isinstance(patterns, str):
                raise InvalidSettingError(name, f'a list of paths: ["{patterns}"] was meant')
            for pattern in patterns:
                if pattern.split("/")[0] in _NEVER:
                    raise InvalidSettingError(name, f"paths of your own properties; Cosmos DB reads {pattern}")

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
            segments = key.replace('"', "").lstrip("/").split("/")
            for pattern in self.patterns:
                if all(one == other for one, other in zip(pattern.split("/"), segments, strict=False)):
                    raise InvalidSettingError("fields", f"no path of the partition key, {key}: Cosmos DB reads it")

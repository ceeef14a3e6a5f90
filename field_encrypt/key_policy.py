"""How far one DEK reaches: the scope that shares it, and how many uses, documents and days it may serve.

The rows of the dek store, and so the length of a rotation, grow with the policy, not with the writes. Format 2 makes
every encryption safe whatever their number; a bound limits what one leaked DEK opens.

Under ``document`` a DEK has a random id, and a save finds it by the document. A DEK that documents share is found by
its id, which is computed from the scope and a generation: the first process that needs a generation creates its row,
and every other one, whose create is refused, takes that row. Ids of shared DEKs can therefore be foreseen: who may
create rows in the dek store can put a DEK there that they know. README.md says what that means.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

from field_encrypt import paths
from field_encrypt.encoding import to_canonical_json
from field_encrypt.errors import InvalidPlaceError, InvalidSettingError
from field_encrypt.fields import DETERMINISTIC_ALGORITHM, FORMAT, is_encrypted
from field_encrypt.places import UNSTATED, DocumentPlace, FieldPlace, partition_components

Reach = Literal["document", "partition", "container"]
AGE_MIN = timedelta(minutes=1)  # a DEK that were too old before its first use would be made again without end
DOCUMENTS_MAX = 10_000  # ten million documents are then a thousand rows
_SHARED_ID = re.compile(r"(?:partition|container|deterministic)\.[0-9a-f]{32}\.[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPolicy:
    """How far a DEK reaches; None is no bound.

    A use is the encryption of one field. ``max_documents`` counts the documents that were first saved under a DEK, and
    bounds nothing per document. A DEK is left behind at its bounds, and when its row is not under the current version
    of the MEK.
    """

    per: Reach = "document"
    max_uses: int | None = None
    max_documents: int | None = DOCUMENTS_MAX
    max_age: timedelta | None = None

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            InvalidSettingError: a bound is too small or of another type, or ``per`` is none of the three.
        """
        if self.per not in ("document", "partition", "container"):
            raise InvalidSettingError("per", '"document", "partition" or "container"')
        for name, bound in (("max_uses", self.max_uses), ("max_documents", self.max_documents)):
            if bound is not None and (type(bound) is not int or bound < 1):
                raise InvalidSettingError(name, "a positive integer, or None for no bound")
        if self.max_age is not None and not _is_age(self.max_age):
            raise InvalidSettingError("max_age", "a timedelta of a minute or more, or None for no bound")

    @property
    def documents_bound(self) -> int | None:
        """How many documents a DEK may serve where documents share it."""
        return None if self.per == "document" else self.max_documents

    @property
    def looks_at_the_stored(self) -> bool:
        """Tell whether a save has to know the document that it replaces: its DEK, or its place in a count, is kept."""
        return self.per == "document" or self.documents_bound is not None

    def misfits(self, place: DocumentPlace, document: Mapping[str, object]) -> list[str]:
        """Return the paths of a stored document's fields that a re-encryption under this policy has to change.

        They are in format 1, or their DEK reaches further or less far. Deterministic fields are under no policy.

        Raises:
            InvalidPlaceError: the policy is per partition, and the partition key is not stated or can be none.
        """
        scope = Scope.of(self, place)
        fields = {path: paths.get(document, path) for path in paths.find(document, is_encrypted)}
        return [
            path
            for path, held in fields.items()
            if held.get("alg") != DETERMINISTIC_ALGORITHM
            and (held["enc"] != FORMAT or not scope.owns(str(held["dekId"])))
        ]

    def rows_of(self, documents: int, partitions: int) -> int:
        """Return about how many rows of the dek store so many documents of one container take."""
        if self.per == "document":
            return documents
        scopes = partitions if self.per == "partition" else min(1, documents)
        return scopes + (documents // self.max_documents if self.max_documents else 0)


def _is_age(value: object) -> bool:
    return isinstance(value, timedelta) and value >= AGE_MIN


@dataclass(frozen=True, slots=True)
class Scope:
    """The documents that share DEKs; ``name`` is None where each document has its own."""

    name: str | None

    @classmethod
    def of(cls, policy: KeyPolicy, place: DocumentPlace) -> Self:
        """Return the scope of a document.

        Raises:
            InvalidPlaceError: the policy is per partition, and the partition key is not stated.
        """
        if policy.per == "document":
            return cls(None)
        shared: dict[str, object] = {"container": place.container}
        if policy.per == "partition":
            if place.partition_key is UNSTATED:
                raise InvalidPlaceError("partition key", "to be stated under a key policy per partition")
            shared["partitionKey"] = partition_components(place.partition_key)
        return cls(f"{policy.per}.{hashlib.sha256(to_canonical_json(shared)).hexdigest()[:32]}")

    def dek_id(self, generation: int) -> str:
        """Return the id of a generation of the scope's DEK; generations begin at 0 and leave none out."""
        return f"{self.name}.{generation}"

    def owns(self, dek_id: str) -> bool:
        """Tell whether a DEK that a document is under may go on to serve it, as far as its reach is concerned."""
        if self.name is None:
            return not is_shared(dek_id)
        return dek_id.rpartition(".")[0] == self.name


def is_shared(dek_id: str) -> bool:
    """Tell whether writers compute this id: they may take its DEK, or make one under it, at any time."""
    return _SHARED_ID.fullmatch(dek_id) is not None


def deterministic_dek_id(place: FieldPlace) -> str:
    """Return the id of the one DEK of a deterministic field, which no policy replaces: equality would end with it."""
    field = {"container": place.container, "fieldPath": place.field_path}
    return f"deterministic.{hashlib.sha256(to_canonical_json(field)).hexdigest()[:32]}.0"

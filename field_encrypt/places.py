"""Where a field stands, as the canonical JSON that a ciphertext is bound to.

A partition key value is written as the array of its components, one for each path of the container's partition key:
``"a"`` is ``["a"]``, a hierarchical value ``["a", 1]`` is itself, JSON's null is ``[null]``, and a property that the
document does not have is ``[{}]``, which is how Cosmos DB itself writes it. So no two values share a text.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from field_encrypt.encoding import LARGEST_EXACT_INTEGER, plain, to_canonical_json
from field_encrypt.errors import InvalidFieldPathError, InvalidPlaceError

# NonePartitionKeyValue is Azure's own name for "the document lacks the property"; None is JSON's null.
PartitionComponent = str | float | bool | type[NonePartitionKeyValue] | type[NullPartitionKeyValue] | None
PartitionKeyValue = PartitionComponent | Sequence[PartitionComponent]

_SEGMENT = re.compile(r'/("[^"]+"|[^/"]+)')


class Unstated(Enum):
    """The type of :data:`UNSTATED`."""

    UNSTATED = "unstated"


UNSTATED: Final = Unstated.UNSTATED  # the caller did not say the partition key: a field is then not bound to one
StatedPartitionKey = PartitionKeyValue | Unstated


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlace:
    """Where a field stands; a ciphertext is bound to it. Format 1 binds neither partition key nor context."""

    container: str
    document_id: str
    field_path: str  # see field_encrypt.paths
    partition_key: StatedPartitionKey = UNSTATED
    context: Mapping[str, object] | None = None  # the caller's own; an empty one is none

    def additional_data(self, dek_id: str) -> bytes:
        """Return the bytes that are authenticated beside the ciphertext.

        Raises:
            InvalidFieldPathError: a part of the place is no valid Unicode.
            InvalidPlaceError: container or document id is no text; the partition key value or the context is nothing
                that JSON can carry.
        """
        bound: dict[str, object] = {}
        if self.partition_key is not UNSTATED:
            bound["partitionKey"] = partition_components(self.partition_key)
        return self._canonical({**self._own(dek_id), **bound, **_checked_context(self.context)})

    def deterministic_data(self, dek_id: str) -> bytes:
        """Return what a deterministic field is bound to: container, field path and context, the same in all documents.

        Raises:
            InvalidFieldPathError: a part of the place is no valid Unicode.
            InvalidPlaceError: container is no text; the context is nothing that JSON can carry.
        """
        own = self._own(dek_id)
        del own["documentId"]
        return self._canonical({**own, **_checked_context(self.context)})

    def additional_data_of_format_1(self, dek_id: str) -> bytes:
        """Return what format 1 authenticates: neither the partition key nor the context.

        Raises:
            InvalidFieldPathError: a part of the place is no valid Unicode.
        """
        return self._canonical(self._own(dek_id))

    def _own(self, dek_id: str) -> dict[str, object]:
        for part, name in (("container", self.container), ("document id", self.document_id)):
            if not isinstance(name, str):  # bound to anything else, it would open for no reader who gives the text
                raise InvalidPlaceError(part, "a text")
        return {
            "container": self.container,
            "documentId": self.document_id,
            "fieldPath": self.field_path,
            "dekId": dek_id,
        }

    def _canonical(self, parts: Mapping[str, object]) -> bytes:
        try:
            return to_canonical_json(dict(parts))
        except ValueError as error:
            expected = "valid Unicode in it and in the names of container, document and DEK"
            raise InvalidFieldPathError(self.field_path, expected) from error


@dataclass(frozen=True, slots=True)
class DocumentPlace:
    """Where a document stands, and so each of its fields."""

    container: str
    document_id: str
    partition_key: StatedPartitionKey = UNSTATED
    context: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        """Keep what the caller may change while a DEK is fetched: the place is the one that was named in the call.

        Raises:
            InvalidPlaceError: it is nested too deeply, or in itself.
        """
        for name in ("partition_key", "context"):
            try:
                object.__setattr__(self, name, plain(getattr(self, name)))
            except ValueError:
                raise InvalidPlaceError(name.replace("_", " "), "JSON values that are not nested too deeply") from None

    def of(self, field_path: str) -> FieldPlace:
        """Return the place of one of its fields."""
        return FieldPlace(
            container=self.container,
            document_id=self.document_id,
            field_path=field_path,
            partition_key=self.partition_key,
            context=self.context,
        )

    def check(self) -> None:
        """Check that a ciphertext can be bound to the place.

        Raises:
            InvalidFieldPathError, InvalidPlaceError: as :meth:`FieldPlace.additional_data` does.
        """
        self.of("").additional_data("")


def partition_components(value: PartitionKeyValue) -> list[object]:
    """Return the components of a partition key value as they are authenticated.

    Cosmos DB's numbers are doubles: an integer that a double cannot hold is the double that Cosmos DB makes of it.

    Raises:
        InvalidPlaceError: the value is none that a partition key can have.
    """
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    if not values:
        raise InvalidPlaceError("partition key", "a component for each path of the partition key")
    return [_component(component) for component in values]


def partition_key_of(document: Mapping[str, object], paths: Sequence[str]) -> PartitionKeyValue:
    """Return the partition key value of a document; ``paths`` are the container's, such as ``/workspaceId``.

    Raises:
        InvalidPlaceError: a path is malformed.
    """
    found = [_at(document, path) for path in paths]
    return found[0] if len(found) == 1 else found


def to_sdk(value: PartitionKeyValue) -> Any:
    """Return a partition key value as the SDK takes it, which writes no component that a document lacks.

    Its types are narrower than what it takes.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [{} if component is NonePartitionKeyValue else component for component in value]
    return value


def stated_partition_key(document: Mapping[str, object], paths: Sequence[str] | None) -> StatedPartitionKey:
    """Return the partition key value of a document, or that it is not stated where no paths are given.

    Raises:
        InvalidPlaceError: a path is malformed.
    """
    return UNSTATED if paths is None else partition_key_of(document, paths)


def key_segments(path: str) -> list[str]:
    """Return the names in a path of a partition key, which may stand in quotation marks.

    Raises:
        InvalidPlaceError: the path is malformed.
    """
    segments = _SEGMENT.findall(path)
    if not segments or "".join(f"/{segment}" for segment in segments) != path:
        raise InvalidPlaceError("partition key path", "slashes in front of names, such as /workspaceId")
    return [segment.strip('"') for segment in segments]


def _at(document: Mapping[str, object], path: str) -> PartitionComponent:
    value: object = document
    for name in key_segments(path):
        if isinstance(value, Mapping) and any(not isinstance(one, str) for one in value):
            raise InvalidPlaceError("partition key", "names that are texts in the object that has it")
        if not isinstance(value, Mapping) or name not in value:
            return NonePartitionKeyValue
        value = value[name]
    return value  # type: ignore[return-value]  # of any type here; partition_components refuses what no key can be


def _component(value: object) -> object:
    if value is NonePartitionKeyValue:
        return {}
    if value is None or value is NullPartitionKeyValue:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_EXACT_INTEGER:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    allowed = isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    if not allowed or (isinstance(value, str) and not _is_unicode(value)):
        expected = (
            "a text of valid Unicode, a finite number, a boolean, None, NonePartitionKeyValue, or a list of these"
        )
        raise InvalidPlaceError("partition key", expected)
    return value


def _checked_context(context: Mapping[str, object] | None) -> dict[str, object]:
    """Return the member that binds the context, if any; the error of what canonical JSON cannot carry is about it."""
    try:
        if context is None or isinstance(context, Mapping):
            checked = dict(context or {})
            to_canonical_json(checked)
            return {"context": checked} if checked else {}
    except ValueError:
        pass  # its text can quote the value; the error below has no cause and no context
    expected = "an object of JSON values: finite numbers, integers within 2^53, texts of valid Unicode"
    raise InvalidPlaceError("context", expected)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

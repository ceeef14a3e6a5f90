"""The vectors: the library gives exactly the outcome of each, names what was changed, and there is no other outcome."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.partition_key import NonePartitionKeyValue
from pydantic import BaseModel, ConfigDict

from field_encrypt import DekStore, EnvProvider, FieldEncryption, RowDefaults
from field_encrypt.codecs import split
from field_encrypt.dek import Dek
from field_encrypt.errors import (
    DekNotFoundError,
    FieldEncryptError,
    InvalidDekError,
    InvalidFieldError,
    InvalidRowError,
    KeyCheckMismatchError,
    TamperedFieldError,
)
from field_encrypt.fields import EncryptedField, open_field
from field_encrypt.mek_errors import ForeignMekError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.places import UNSTATED, FieldPlace
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.local.services import REPOSITORY
from tests.vectors.field_vectors import DEK
from tests.vectors.field_vectors_2 import GOOD, GOOD_DATA, LABEL, SALT, hkdf
from tests.vectors.generate import FILES, FOLDER, text_of

FieldOutcome = Literal["decrypted", "invalid_field", "tampered_field"]
RowOutcome = Literal[
    "decrypted",
    "dek_not_found",
    "foreign_mek",
    "invalid_dek",
    "invalid_row",
    "key_check_mismatch",
    "tampered_field",
    "unwrap_refused",
    "version_not_found",
]
ERRORS: dict[str, type[FieldEncryptError]] = {
    "dek_not_found": DekNotFoundError,
    "foreign_mek": ForeignMekError,
    "invalid_dek": InvalidDekError,
    "invalid_field": InvalidFieldError,
    "invalid_row": InvalidRowError,
    "key_check_mismatch": KeyCheckMismatchError,
    "tampered_field": TamperedFieldError,
    "unwrap_refused": UnwrapRefusedError,
    "version_not_found": MekVersionNotFoundError,
}


class Strict(BaseModel):
    """Nothing unknown stands in a vector, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class FieldVector(Strict):
    """A vector of ``fields.json`` or ``fields_2.json``."""

    name: str
    container: str
    documentId: str  # noqa: N815 - a property of the file
    fieldPath: str  # noqa: N815 - a property of the file
    dek: str
    stored: Any
    outcome: FieldOutcome
    value: Any = None
    property: str | None = None
    additionalData: str | None = None  # noqa: N815 - a property of the file
    partitionKey: list[Any] | None = None  # noqa: N815 - a property of the file
    context: dict[str, Any] | None = None
    codec: str | None = None

    def place(self) -> FieldPlace:
        """Return the place; ``{}`` stands for a component that the document lacks, and no list for no statement."""
        stated = self.partitionKey
        return FieldPlace(
            container=self.container,
            document_id=self.documentId,
            field_path=self.fieldPath,
            partition_key=UNSTATED
            if stated is None
            else [NonePartitionKeyValue if one == {} else one for one in stated],
            context=self.context,
        )


class RowVector(Strict):
    """A vector of ``rows.json``."""

    name: str
    row: dict[str, Any] | None
    stored: dict[str, Any]
    outcome: RowOutcome
    value: Any = None
    property: str | None = None


def load(file: str) -> dict[str, Any]:
    """Return a file's content."""
    content: dict[str, Any] = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    return content


FIELDS, FIELDS_2, ROWS = load("fields.json"), load("fields_2.json"), load("rows.json")


def assert_named(error: FieldEncryptError, wanted: dict[str, Any]) -> None:
    """Check that the error says what was found to be wrong."""
    assert {name: getattr(error, name) for name in wanted} == wanted
    assert all(str(value) in str(error) for value in wanted.values())


@pytest.mark.parametrize("raw", FIELDS["vectors"] + FIELDS_2["vectors"], ids=lambda raw: raw["name"])
def test_field(raw: dict[str, Any]) -> None:
    """The field reads as its value, or ends in the error of its outcome, which names it."""
    vector = FieldVector.model_validate(raw)
    place = vector.place()

    def read() -> Any:
        field = EncryptedField.parse(vector.stored, vector.fieldPath)
        if vector.additionalData is not None:
            assert vector.additionalData.encode() == place.additional_data(field.dek_id)
        plaintext = open_field(field, dek=Dek(base64.b64decode(vector.dek)), place=place)
        codec, value = split(plaintext, vector.fieldPath)
        assert vector.codec == codec
        return value

    if vector.outcome == "decrypted":
        assert (vector.value, type(vector.value)) == (value := read(), type(value))
        return
    with pytest.raises(FieldEncryptError) as failed:
        read()
    assert ERRORS[vector.outcome] is type(failed.value)
    if vector.outcome == "invalid_field":
        assert_named(failed.value, {"field_path": vector.fieldPath, "property_name": vector.property})
    else:
        place_and_dek = {"container": vector.container, "document_id": vector.documentId}
        assert_named(failed.value, {**place_and_dek, "field_path": vector.fieldPath, "dek_id": vector.stored["dekId"]})


@pytest.fixture(scope="module")
async def rows(cosmos: LocalCosmos) -> AsyncIterator[ContainerProxy]:
    """A dek store that holds one row at a time."""
    async with cosmos.client() as client:
        yield await new_container(client, "deks")


@pytest.mark.parametrize("raw", ROWS["vectors"], ids=lambda raw: raw["name"])
async def test_row(raw: dict[str, Any], rows: ContainerProxy) -> None:
    """Reading through the row gives the field's value, or ends in the error of its outcome, which names the row."""
    vector = RowVector.model_validate(raw)
    store = DekStore(rows, RowDefaults(mek_name="env", algorithm="A256KW"))
    reader = FieldEncryption(EnvProvider(ROWS["key"]), store, None)
    dek_id = vector.stored["dekId"]
    async for old in rows.query_items("SELECT c.id FROM c"):
        await rows.delete_item(old["id"], partition_key=old["id"])
    if vector.row is not None:
        await rows.create_item(vector.row)
    document = {ROWS["fieldPath"]: vector.stored}
    reading = reader.decrypt_fields(ROWS["container"], ROWS["documentId"], document, [ROWS["fieldPath"]])

    if vector.outcome == "decrypted":
        assert {ROWS["fieldPath"]: vector.value} == await reading
        return
    with pytest.raises(FieldEncryptError) as failed:
        await reading
    assert ERRORS[vector.outcome] is type(failed.value)
    named = {"property_name": vector.property} if vector.outcome == "invalid_row" else {}
    assert_named(failed.value, {"dek_id": dek_id, **named})


@pytest.mark.parametrize(
    ("content", "outcomes"), [(FIELDS, FieldOutcome), (FIELDS_2, FieldOutcome), (ROWS, RowOutcome)]
)
def test_outcomes_are_closed_and_each_is_used(content: dict[str, Any], outcomes: Any) -> None:
    """The file's list of outcomes is the reader's, and every one of them has a vector."""
    assert list(outcomes.__args__) == content["outcomes"]
    assert set(content["outcomes"]) == {vector["outcome"] for vector in content["vectors"]}


@pytest.mark.parametrize("content", [FIELDS, FIELDS_2, ROWS])
def test_unknown_outcome_fails(content: dict[str, Any]) -> None:
    """A vector whose outcome nobody knows is a failure, never skipped."""
    model = RowVector if content is ROWS else FieldVector

    with pytest.raises(ValueError, match="outcome"):
        model.model_validate({**content["vectors"][0], "outcome": "some_new_outcome"})


@pytest.mark.parametrize("content", [FIELDS, FIELDS_2, ROWS])
def test_names_are_unique(content: dict[str, Any]) -> None:
    """A failure names one vector."""
    assert set(Counter(vector["name"] for vector in content["vectors"]).values()) == {1}


@pytest.mark.parametrize("file", FILES)
def test_files_are_what_the_generator_makes(file: str) -> None:
    """The committed vectors are those of an implementation that does not use the library."""
    assert text_of(FILES[file]()) == (FOLDER / file).read_text(encoding="utf-8")


def test_example_of_the_specification_is_true() -> None:
    """Whoever writes a reader from FORMAT.md can check every step by its example."""
    info = LABEL + hashlib.sha256(GOOD_DATA.encode()).digest()
    specification = (REPOSITORY / "field_encrypt" / "FORMAT.md").read_text(encoding="utf-8")

    for text in (GOOD_DATA, info.hex(), hkdf(DEK, SALT, info).hex(), json.dumps(GOOD)):
        assert f"{text}\n" in specification

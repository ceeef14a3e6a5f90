"""Format 2 by ``node:crypto``, written from FORMAT.md: it reads what the library writes, and the other way round."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from field_encrypt.dek import Dek
from field_encrypt.encoding import to_base64
from field_encrypt.fields import EncryptedField, decrypt_value
from field_encrypt.places import FieldPlace
from tests.field_encrypt.one_field import encrypt_value
from tests.vectors.field_vectors import VALUES
from tests.vectors.generate import FOLDER

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="node is not installed")

DEK = bytes(range(7, 39))
# Longer than the 1,024 bytes that node:crypto allows HKDF's info to have.
PLACE = FieldPlace(
    container="notes",
    document_id="n" * 255,
    field_path="größe/🙂",
    partition_key=["tenant-" + "1" * 1_000, 7, None],
    context={"tenant": "t-1", "Z": [1.5, {"b": None, "a": "é"}], "z": 1e21},
)
IN_JSON = {
    "container": PLACE.container,
    "documentId": PLACE.document_id,
    "fieldPath": PLACE.field_path,
    "partitionKey": PLACE.partition_key,
    "context": PLACE.context,
    "dek": to_base64(DEK),
}
VALUES_OF_ANY_KIND = [value for value, _ in VALUES.values()]


def node(**wanted: Any) -> dict[str, Any]:
    """Have the other implementation work."""
    assert NODE is not None
    ended = subprocess.run(  # noqa: S603 - the script is ours
        [NODE, str(FOLDER / "format_2.mjs")],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_every_vector_has_its_outcome() -> None:
    """The other implementation passes the vectors of format 2, the outcome and the property at fault included."""
    content = json.loads((FOLDER / "fields_2.json").read_text(encoding="utf-8"))
    # It knows neither format 1 nor, because OpenSSL's SIV is not part of node:crypto, deterministic fields.
    vectors = [
        vector
        for vector in content["vectors"]
        if vector["stored"].get("enc") != 1 and not str(vector["stored"].get("alg")).startswith("A256SIV")
    ]
    expected = [
        {name: vector[name] for name in ("outcome", "property", "codec", "value") if name in vector}
        for vector in vectors
    ]

    assert node(open=vectors)["open"] == expected


def test_it_reads_what_the_library_writes() -> None:
    """Whatever the value, and in a place that needs every rule of canonical JSON."""
    stored = [encrypt_value(value, dek=Dek(DEK), place=PLACE) for value in VALUES_OF_ANY_KIND]

    read = node(open=[{**IN_JSON, "stored": field} for field in stored])["open"]

    assert [{"outcome": "decrypted", "value": value} for value in VALUES_OF_ANY_KIND] == read


def test_the_library_reads_what_it_writes() -> None:
    """The other direction."""
    written = node(seal=[{**IN_JSON, "dekId": "dek-1", "value": value} for value in VALUES_OF_ANY_KIND])["seal"]

    read = [
        decrypt_value(EncryptedField.parse(field, PLACE.field_path), dek=Dek(DEK), place=PLACE) for field in written
    ]

    assert read == VALUES_OF_ANY_KIND

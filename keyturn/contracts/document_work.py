"""The work of the migrations of documents."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from keyturn.contracts.base import Payload

type ContainerName = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class DocumentWork(Payload):
    """Work on the documents of some containers of the keyring."""

    containers: Annotated[list[ContainerName], Field(min_length=1, max_length=50)]


class Encrypt(DocumentWork):
    """Encrypt the plaintext fields of existing documents."""

    kind: Literal["encrypt"] = "encrypt"


class Reencrypt(DocumentWork):
    """Put every document under a fresh DEK of a keyring: the documents' own, or another."""

    kind: Literal["re-encrypt"] = "re-encrypt"
    target_keyring: str
    snapshot_reference: Annotated[str, StringConstraints(max_length=500)] | None = None  # where documents came from


class DecryptCheck(DocumentWork):
    """Decrypt every document, and change nothing."""

    kind: Literal["decrypt-check"] = "decrypt-check"

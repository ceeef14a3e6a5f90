"""Request bodies, validated before anything happens; an unknown property is an error, not ignored as Azure does."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from local.key_vault.errors import bad_body

MAX_TAGS = 15  # Key Vault service limits: 15 tags of 256 characters, names and values
TAG_LENGTH = 256

type KeyOperation = Literal["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
type Algorithm = Literal["RSA-OAEP", "RSA-OAEP-256"]

RSA_OPERATIONS: tuple[KeyOperation, ...] = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")

TagText = Annotated[str, StringConstraints(max_length=TAG_LENGTH)]
Tags = Annotated[dict[TagText, TagText], Field(max_length=MAX_TAGS)]


def decode_base64url(text: object) -> bytes:
    """Return the bytes of unpadded base64url text.

    Raises:
        ValueError: it is not base64url.
    """
    if not isinstance(text, str):
        raise ValueError("must be base64url text")  # noqa: TRY004 - pydantic turns ValueError into a body error
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64url text") from error


def encode_base64url(data: bytes) -> str:
    """Return unpadded base64url text, as JSON web keys use it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _each_once(operations: tuple[KeyOperation, ...]) -> tuple[KeyOperation, ...]:
    """Return the operations; RFC 7517 4.3 forbids repeated ones, and a key without any is of no use."""
    if not operations or len(set(operations)) < len(operations):
        raise ValueError("must name at least one operation, and none twice")
    return operations


KeyOperations = Annotated[tuple[KeyOperation, ...], AfterValidator(_each_once)]
Base64Url = Annotated[bytes, BeforeValidator(decode_base64url)]


class Body(BaseModel):
    """What all request bodies share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attributes(Body):
    """The attributes a caller may set; times are Unix times in seconds."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None


class CreateKey(Body):
    """Body of create."""

    kty: Literal["RSA"]
    key_size: Literal[2048, 3072, 4096] = 2048
    public_exponent: Literal[65537] = 65537
    key_ops: KeyOperations = RSA_OPERATIONS
    attributes: Attributes = Attributes()
    tags: Tags = Field(default_factory=dict)


class UpdateKey(Body):
    """Body of update; what is left out stays as it is, tags are replaced as a whole."""

    key_ops: KeyOperations | None = None
    attributes: Attributes = Attributes()
    tags: Tags | None = None


class UseKey(Body):
    """Body of wrap, unwrap, encrypt and decrypt."""

    alg: Algorithm
    value: Base64Url


class RestoreKey(Body):
    """Body of restore."""

    value: Base64Url


def parse[T: Body](model: type[T], body: bytes) -> T:
    """Return the validated body.

    Raises:
        VaultError: 400 BadParameter, naming the property.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise bad_body(error) from error

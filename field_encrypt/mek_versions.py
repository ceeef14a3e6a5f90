"""A version of the MEK as the vault describes it, and whether anything may be wrapped under it."""

from datetime import UTC, datetime
from typing import Any, Self

from azure.keyvault.keys import KeyProperties, KeyVaultKey
from pydantic import BaseModel, ConfigDict

from field_encrypt.mek_errors import MekVersionNotFoundError

RSA_TYPES = ("RSA", "RSA-HSM")
WRAP_OPERATION = "wrapKey"


class MekVersionProperties(BaseModel):
    """Everything about a version but its public key."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    mek_name: str
    version: str
    key_id: str
    enabled: bool
    not_before: datetime | None
    expires_on: datetime | None
    created_on: datetime | None
    tags: dict[str, str]

    @classmethod
    def of(cls, properties: KeyProperties) -> "MekVersionProperties":
        """Take over what a listing of versions says."""
        return MekVersionProperties.model_validate(_described(properties))

    def age_order(self) -> tuple[datetime, str]:
        """Return a sort key, oldest first; versions of the same second are in an order that is at least stable."""
        return self.created_on or datetime.min.replace(tzinfo=UTC), self.version

    def problem(self) -> str | None:
        """Return why nothing may be wrapped under this version now, or None as far as its properties tell."""
        now = datetime.now(UTC)
        if not self.enabled:
            return "it is disabled"
        if self.not_before is not None and now < self.not_before:
            return f"it is not valid before {self.not_before.isoformat()}"
        if self.expires_on is not None and now >= self.expires_on:
            return f"it expired at {self.expires_on.isoformat()}"
        return None


class PublicJwk(BaseModel):
    """The public part of a key as a JSON Web Key; a key that is not RSA has no ``n`` and ``e``."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    kid: str
    kty: str
    key_ops: tuple[str, ...]
    n: bytes | None
    e: bytes | None


class MekVersion(MekVersionProperties):
    """A version with its public key, as it was when it was fetched."""

    jwk: PublicJwk

    @classmethod
    def fetched(cls, key: KeyVaultKey) -> Self:
        """Take over a key that the vault returned."""
        material: Any = key.key  # the SDK's own class sets its attributes dynamically
        jwk = PublicJwk(
            kid=key.id,
            kty=str(getattr(material.kty, "value", material.kty)),
            key_ops=tuple(str(getattr(operation, "value", operation)) for operation in material.key_ops or ()),
            n=material.n,
            e=material.e,
        )
        return cls.model_validate({**_described(key.properties), "jwk": jwk})

    @property
    def key_size(self) -> int | None:
        """The size of an RSA key in bits, None for another kind of key."""
        return None if self.jwk.n is None else int.from_bytes(self.jwk.n).bit_length()

    def wrap_problem(self) -> str | None:
        """Return why nothing may be wrapped under this version now, or None.

        The check is ours because no other part makes it: the vault takes no part in a local wrap, and the SDK never
        looks at ``enabled``.
        """
        if self.jwk.kty not in RSA_TYPES:
            return f"it is a key of type {self.jwk.kty}, not RSA"
        if WRAP_OPERATION not in self.jwk.key_ops:
            return f"its permitted operations lack {WRAP_OPERATION}"
        return self.problem()


def _described(properties: KeyProperties) -> dict[str, Any]:
    if properties.version is None:
        raise MekVersionNotFoundError(properties.name, None, f"the vault described no version in {properties.id}")
    return {
        "mek_name": properties.name,
        "version": properties.version,
        "key_id": properties.id,
        "enabled": bool(properties.enabled),
        "not_before": properties.not_before,
        "expires_on": properties.expires_on,
        "created_on": properties.created_on,
        "tags": properties.tags or {},
    }

"""A key version, and how the service shows it."""

import time
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from local.key_vault.errors import bad_parameter
from local.key_vault.requests import Attributes, CreateKey, KeyOperation, UpdateKey, encode_base64url

RECOVERABLE_DAYS = 90  # soft delete with purge protection, the vault that this product asks for


@dataclass(frozen=True)
class KeyVersion:
    """One version of a key; times are Unix times in seconds."""

    name: str
    version: str
    private_key: RSAPrivateKey = field(repr=False)
    key_ops: tuple[KeyOperation, ...]
    enabled: bool
    nbf: int | None
    exp: int | None
    created: int
    updated: int
    tags: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse a version that expires before it may be used.

        Raises:
            VaultError: 400 BadParameter.
        """
        if self.nbf is not None and self.exp is not None and self.exp < self.nbf:
            raise bad_parameter(f"attributes.exp: {self.exp} must not be before attributes.nbf, {self.nbf}")

    @classmethod
    def new(cls, name: str, wanted: CreateKey, private_key: RSAPrivateKey) -> Self:
        """Return a new version with an id of its own."""
        now = int(time.time())
        return cls(
            name=name,
            version=uuid.uuid4().hex,
            private_key=private_key,
            key_ops=wanted.key_ops,
            enabled=wanted.attributes.enabled is not False,
            nbf=wanted.attributes.nbf,
            exp=wanted.attributes.exp,
            created=now,
            updated=now,
            tags=wanted.tags,
        )

    def changed(self, wanted: UpdateKey) -> Self:
        """Return this version with the caller's changes."""
        given: Attributes = wanted.attributes
        return replace(
            self,
            key_ops=self.key_ops if wanted.key_ops is None else wanted.key_ops,
            enabled=self.enabled if given.enabled is None else given.enabled,
            nbf=self.nbf if given.nbf is None else given.nbf,
            exp=self.exp if given.exp is None else given.exp,
            tags=self.tags if wanted.tags is None else wanted.tags,
            updated=int(time.time()),
        )

    @property
    def size(self) -> int:
        """The key's size in bits, which decides what an operation costs of the vault's limits."""
        return self.private_key.key_size

    def kid(self, vault_url: str) -> str:
        """Return the versioned key identifier."""
        return f"{vault_url}/keys/{self.name}/{self.version}"

    @cached_property
    def _public(self) -> dict[str, str]:
        numbers = self.private_key.public_key().public_numbers()
        return {
            letter: encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for letter, number in (("n", numbers.n), ("e", numbers.e))
        }

    def bundle(self, vault_url: str) -> dict[str, Any]:
        """Return the key bundle: public key, attributes and tags."""
        jwk = {"kid": self.kid(vault_url), "kty": "RSA", "key_ops": list(self.key_ops), **self._public}
        return {"key": jwk, "attributes": self._attributes(), "tags": self.tags}

    def item(self, kid: str) -> dict[str, Any]:
        """Return the entry of a list, which has no public key."""
        return {"kid": kid, "attributes": self._attributes(), "tags": self.tags}

    def _attributes(self) -> dict[str, Any]:
        times = {"nbf": self.nbf, "exp": self.exp}
        return {
            "enabled": self.enabled,
            **{name: value for name, value in times.items() if value is not None},
            "created": self.created,
            "updated": self.updated,
            "recoveryLevel": "Recoverable",
            "recoverableDays": RECOVERABLE_DAYS,
            "exportable": False,
        }

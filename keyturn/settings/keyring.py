"""One rotatable unit: a vault and key, a dek store, and the containers whose documents use it."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

import field_encrypt

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class RowNames(field_encrypt.RowNames):
    """The names of a dek row's properties as ``field_encrypt`` knows them, in the camelCase of our settings."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class DocumentContainer(_Model):
    """A container whose documents hold encrypted fields: canaries are chosen from it."""

    name: str
    fields: Annotated[list[str], Field(min_length=1)]  # top-level properties that are encrypted
    partition_key: str = "id"


class Keyring(_Model):
    """One rotatable unit. Its name is part of every rotation id, so it is short, lower case and without dots."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    encryption_enabled: bool = True
    key_provider: Literal["akv", "env"] = "akv"
    vault_url: Annotated[str, Field(pattern=r"^https://[^/]+/?$")]
    mek_name: Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
    cosmos_database: str
    dek_container: str = "dek_store"
    documents: list[DocumentContainer] = Field(default_factory=list)
    row_names: RowNames = RowNames()
    # Rows of older writers carry no algorithm of their own: this is theirs. New wraps always use RSA-OAEP-256.
    default_algorithm: Literal["RSA-OAEP", "RSA-OAEP-256"] = "RSA-OAEP-256"
    verify_challenge_resource: bool = True
    health_urls: list[str] = Field(default_factory=list)  # the runbook's probes: health, readiness, a note

    @model_validator(mode="after")
    def _only_loopback_is_unverified(self) -> Self:
        host = urlsplit(self.vault_url).hostname
        if not self.verify_challenge_resource and host not in _LOOPBACK:
            message = "verifyChallengeResource may be false only where the vault's host is loopback"
            raise ValueError(message)
        return self

    @property
    def kid_prefix(self) -> str:
        """The start of every versioned key id of this MEK, for rows that carry a whole id as their label."""
        return f"{self.vault_url.rstrip('/')}/keys/{self.mek_name}/"

"""One rotatable unit: a vault and key, a dek store, and the containers whose documents use it."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

import field_encrypt
from keyturn.settings.types import CosmosName, KeyringName, MekName, ProbeUrl, SettingsModel, VaultUrl

_HTTPS_PORT = 443
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def same_vault(url: str, other: str) -> bool:
    """Tell whether two URLs, of vaults or of what is in them, have the same host and port."""
    first, second = urlsplit(url), urlsplit(other)
    return (first.hostname, first.port or _HTTPS_PORT) == (second.hostname, second.port or _HTTPS_PORT)


class RowNames(field_encrypt.RowNames):
    """The names of a dek row's properties as ``field_encrypt`` knows them, in the camelCase of our settings."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class DocumentContainer(SettingsModel):
    """A container whose documents hold encrypted fields, and how its writers encrypt: canaries are chosen from it."""

    name: CosmosName
    # Paths as field_encrypt knows them: title, author/name, parts/*/text.
    fields: Annotated[list[str], Field(min_length=1)]
    partition_key: str = "id"
    binds_partition_key: bool = True  # false where writers do not state it to field_encrypt: copies then open elsewhere
    context: dict[str, JsonValue] = Field(default_factory=dict)  # what writers bind beside the place
    deterministic: list[str] = Field(default_factory=list)  # those of the fields that queries compare

    @model_validator(mode="after")
    def _is_a_field_policy(self) -> Self:
        field_encrypt.FieldPolicy(self.name, self.fields, deterministic=self.deterministic)  # raises a ValueError
        return self


class Keyring(SettingsModel):
    """One rotatable unit. Its name is part of every rotation id, so it is short, lower case and without dots."""

    name: KeyringName
    encryption_enabled: bool = True
    key_provider: Literal["akv", "env"] = "akv"
    vault_url: VaultUrl
    mek_name: MekName
    cosmos_database: CosmosName
    dek_container: CosmosName = "dek_store"
    # As many as the run's record takes of their canaries and probes.
    documents: Annotated[list[DocumentContainer], Field(max_length=50)] = Field(default_factory=list)
    row_names: RowNames = RowNames()
    # Rows of older writers carry no algorithm of their own: this is theirs. New wraps always use RSA-OAEP-256.
    default_algorithm: Literal["RSA-OAEP", "RSA-OAEP-256"] = "RSA-OAEP-256"
    verify_challenge_resource: bool = True
    # The runbook's probes: health, readiness, a note.
    health_urls: Annotated[list[ProbeUrl], Field(max_length=20)] = Field(default_factory=list)

    @field_validator("verify_challenge_resource")
    @classmethod
    def _only_loopback_is_unverified(cls, verify: bool, others: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        host = urlsplit(others.data.get("vault_url", "")).hostname
        if not verify and host not in _LOOPBACK:
            raise ValueError("it may be false only where the vault's host is loopback")
        return verify

"""One rotatable unit: a vault and key, a dek store, and the containers whose documents use it."""

import re
from typing import Annotated, Literal, Self, TypeGuard
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

import field_encrypt
from keyturn.settings.types import (
    CosmosName,
    KeyringName,
    MekName,
    ProbeUrl,
    SettingsModel,
    TokenScope,
    VaultUrl,
    probe_url,
)

_HTTPS_PORT = 443
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, section 5.6.2: token
_APP_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


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


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _APP_SETTING.fullmatch(value) is not None


class HealthProbe(SettingsModel):
    """A request that the backend must answer as expected; a plain text in the setting is a URL to GET."""

    url: ProbeUrl
    method: Literal["GET", "HEAD", "POST"] = "GET"
    # In JSON a header's value names the app setting that holds it; here it is the value: secrets stay out of the JSON.
    headers: Annotated[dict[str, SecretStr], Field(max_length=20)] = Field(default_factory=dict)
    scope: TokenScope | None = None  # the app's identity gets a token for it, sent as Authorization: Bearer
    status: Annotated[int, Field(ge=200, le=599)] = 200
    contains: Annotated[str, Field(min_length=1, max_length=1000)] | None = None  # the body
    # JSON members of the body, nested ones as a.b, and what they must be.
    equals: Annotated[dict[str, JsonValue], Field(max_length=20)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _may_be_a_url(cls, value: object) -> object:
        return {"url": probe_url(value)} if isinstance(value, str) else value

    @field_validator("headers", mode="before")
    @classmethod
    def _values_are_app_settings(cls, names: object, info: ValidationInfo) -> object:
        """Look each value up in the environment, which is the validation's context; nothing that is found is told."""
        if not isinstance(names, dict) or not all(map(_HEADER.fullmatch, names)):
            raise ValueError('expected headers by their names, as {"Authorization": "NAME_OF_AN_APP_SETTING"}')
        values: dict[str, str] = {}
        for header, name in names.items():
            value = (info.context or {}).get(name.upper()) if _is_name(name) else None
            if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
                expected = "the name of an app setting that is set, to one line of ASCII: never the value itself"
                raise ValueError(f"expected at header {header} {expected}")
            values[header] = value
        return values

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        address = urlsplit(self.url)
        if self.scope is not None and any(header.lower() == "authorization" for header in self.headers):
            raise ValueError("expected a scope or the header Authorization, not both")
        if (self.headers or self.scope) and address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise ValueError("expected https:// where headers or a token are sent")
        if self.method == "HEAD" and (self.contains is not None or self.equals):
            raise ValueError("expected GET or POST where the body is checked")
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
    health_urls: Annotated[list[HealthProbe], Field(max_length=20)] = Field(default_factory=list)

    @field_validator("verify_challenge_resource")
    @classmethod
    def _only_loopback_is_unverified(cls, verify: bool, others: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        host = urlsplit(others.data.get("vault_url", "")).hostname
        if not verify and host not in _LOOPBACK:
            raise ValueError("it may be false only where the vault's host is loopback")
        return verify

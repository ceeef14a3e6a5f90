"""The app's settings, read from the environment.

The runbook's own variables (``FIELD_ENCRYPT_*``, ``AZURE_KEYVAULT_URL``) describe one keyring; ``KEYTURN_KEYRINGS``, a
JSON list of keyrings, describes several and then stands alone. Durations are ISO 8601 (``PT24H``) or seconds.
"""

import json
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keyturn.contracts import Policy
from keyturn.errors import SettingsError, UnknownKeyringError
from keyturn.settings.keyring import DocumentContainer, Keyring

POLICY_PREFIX = "KEYTURN_"


def _secrets_of(text: str | None) -> list[str]:
    return [] if text is None else text.split()


class Settings(BaseSettings):
    """Everything the app reads from its environment; fields are named after their variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False)

    # The runbook's variables: one keyring.
    field_encrypt_enabled: bool = False
    field_encrypt_key_provider: str = "akv"
    azure_keyvault_url: str | None = None
    field_encrypt_mek_name: str | None = None

    # Where things are.
    cosmos_endpoint: Annotated[str, Field(pattern=r"^https://")]
    cosmos_database: str | None = None
    dek_container: str = "dek_store"
    keyturn_database: Annotated[
        str | None, Field(validation_alias=AliasChoices("keyturn_database", "cosmos_database"))
    ] = None
    keyturn_container: str = "keyturn"
    keyturn_keyring: str = "default"
    keyturn_documents: Annotated[list[DocumentContainer], NoDecode] = Field(default_factory=list)
    keyturn_health_urls: Annotated[list[str], NoDecode] = Field(default_factory=list)
    keyturn_verify_challenge_resource: bool = True
    keyturn_keyrings: Annotated[list[Keyring], NoDecode] = Field(default_factory=list)

    # Secrets of the approval webhook, several separated by spaces while one replaces another; ``whsec_`` + base64.
    approval_webhook_secrets: SecretStr | None = None

    # When a rotation is due, and how often the timer looks. NCRONTAB, UTC.
    rotation_schedule: str = "0 0 3 1 * *"
    schedule_tick: str = "0 0 5 * * *"

    policy: Policy = Policy()

    @model_validator(mode="before")
    @classmethod
    def _parse_json_lists(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("keyturn_documents", "keyturn_health_urls", "keyturn_keyrings"):
            if isinstance(text := values.get(name), str):
                try:
                    values[name] = json.loads(text)
                except json.JSONDecodeError as error:
                    message = f"{name.upper()} must be a JSON list: {error}"
                    raise ValueError(message) from error
        return values

    @model_validator(mode="after")
    def _has_a_keyring(self) -> Self:
        names = [keyring.name for keyring in self.keyrings]
        if len(set(names)) != len(names):
            message = "KEYTURN_KEYRINGS names a keyring twice"
            raise ValueError(message)
        return self

    @cached_property
    def keyrings(self) -> list[Keyring]:
        """The keyrings that can be rotated: those listed, or the one that the runbook's variables describe."""
        if self.keyturn_keyrings:
            return list(self.keyturn_keyrings)
        return [
            Keyring.model_validate(
                {
                    "name": self.keyturn_keyring,
                    "encryptionEnabled": self.field_encrypt_enabled,
                    "keyProvider": self.field_encrypt_key_provider,
                    "vaultUrl": self.azure_keyvault_url,
                    "mekName": self.field_encrypt_mek_name,
                    "cosmosDatabase": self.cosmos_database,
                    "dekContainer": self.dek_container,
                    "documents": [document.model_dump() for document in self.keyturn_documents],
                    "verifyChallengeResource": self.keyturn_verify_challenge_resource,
                    "healthUrls": self.keyturn_health_urls,
                }
            )
        ]

    def keyring(self, name: str | None) -> Keyring:
        """Return the keyring of that name, or the only one; raises UnknownKeyringError."""
        known = {keyring.name: keyring for keyring in self.keyrings}
        if name is None and len(known) == 1:
            return self.keyrings[0]
        if name not in known:
            raise UnknownKeyringError(
                f"there is no keyring {name!r}" if name else "the request must name one of several keyrings",
                keyring=name,
                known=sorted(known),
            )
        return known[name]

    def approval_secrets(self) -> list[str]:
        """Return the active webhook secrets; empty means that no decision can be taken over the webhook."""
        secret = self.approval_webhook_secrets
        return _secrets_of(secret.get_secret_value() if secret is not None else None)


def load_settings(environment: dict[str, str]) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: names the variable, what it holds (masked where secret) and what was expected.
    """
    values: dict[str, Any] = {key.lower(): value for key, value in environment.items()}
    policy = {
        field: values[name] for field in Policy.model_fields if (name := f"{POLICY_PREFIX}{field}".lower()) in values
    }
    try:
        return Settings.model_validate({**values, "policy": policy})
    except ValidationError as error:
        raise _as_settings_error(error, policy=policy) from None


def _as_settings_error(error: ValidationError, *, policy: dict[str, Any]) -> SettingsError:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    if path[:1] == ["policy"]:
        variable = f"{POLICY_PREFIX}{'_'.join(path[1:2])}".upper()
        value = policy.get(path[1]) if len(path) > 1 else None
    else:
        variable = (path[0] if path else "environment").upper()
        value = first["input"] if isinstance(first["input"], (str, int, float, type(None))) else "(not a plain value)"
    if "SECRET" in variable:
        value = "(masked)"
    return SettingsError(
        f"{variable} is {value!r}: {first['msg']}", variable=variable, value=value, expected=first["msg"]
    )

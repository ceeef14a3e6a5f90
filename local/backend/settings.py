"""The backend's configuration: the runbook's environment variables, by their names."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HTTPS = r"^https://[^/]+/?$"


class BackendSettings(BaseSettings):
    """Everything the backend reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    field_encrypt_enabled: bool
    field_encrypt_key_provider: Literal["akv"]
    field_encrypt_mek_name: str
    azure_keyvault_url: str = Field(pattern=HTTPS)
    cosmos_endpoint: str = Field(pattern=HTTPS)
    cosmos_database: str
    dek_container: str = "dek_store"
    notes_container: str = "notes"
    keyturn_verify_challenge_resource: bool = True  # false is refused for a vault that is not on loopback

    @field_validator("field_encrypt_enabled")
    @classmethod
    def _is_enabled(cls, enabled: bool) -> bool:  # noqa: FBT001 - the signature that pydantic calls
        if not enabled:
            raise ValueError("must be true: this service has no notes without encryption")
        return enabled

"""The runbook's variables, and the settings or the refusal that they and others make."""

from typing import Any

import pytest

from keyturn.errors import SettingsError
from keyturn.settings import Settings, load_settings

RUNBOOK = {
    "FIELD_ENCRYPT_ENABLED": "true",
    "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
    "AZURE_KEYVAULT_URL": "https://notes.vault.azure.net",
    "FIELD_ENCRYPT_MEK_NAME": "notelett-mek",
    "COSMOS_ENDPOINT": "https://notes.documents.azure.com:443/",
    "COSMOS_DATABASE": "notes",
    "KEYTURN_ACCESS": "keys",
}


def settings_of(**more: str) -> Settings:
    """Return the settings of the runbook's variables and these."""
    return load_settings({**RUNBOOK, **more})


def keyring(name: str, **more: Any) -> dict[str, Any]:
    """Return a keyring as KEYTURN_KEYRINGS lists it."""
    mek = {"vaultUrl": "https://notes.vault.azure.net", "mekName": f"{name}-mek"}
    return {"name": name, "cosmosDatabase": "notes", **mek, **more}


def failure(variables: dict[str, str | None]) -> SettingsError:
    """Return the error that these variables, None for one that is not set, cause beside the runbook's."""
    environment = {name: value for name, value in {**RUNBOOK, **variables}.items() if value is not None}
    with pytest.raises(SettingsError) as refused:
        load_settings(environment)
    return refused.value

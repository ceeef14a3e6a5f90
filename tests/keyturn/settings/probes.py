"""Probes as the settings give them."""

import json

from keyturn.settings import HealthProbe, load_settings
from tests.keyturn.settings.environment import RUNBOOK

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://notes.vault.azure.net/secrets/note-probe)"
SECRET = "Bearer s3cr3t-of-the-note"


def probes_of(*probes: object) -> list[HealthProbe]:
    """Return what the app makes of the setting."""
    variables = {"KEYTURN_HEALTH_URLS": json.dumps(probes), "NOTE_TOKEN": SECRET, "TENANT": "blue"}
    named = {"UNRESOLVED": REFERENCE} if "UNRESOLVED" in variables["KEYTURN_HEALTH_URLS"] else {}
    return load_settings({**RUNBOOK, **variables, **named}).keyrings[0].health_urls

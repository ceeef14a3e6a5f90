"""Probes as the settings give them."""

import json

from keyturn.settings import HealthProbe, load_settings
from tests.keyturn.settings.test_app import RUNBOOK

SECRET = "Bearer s3cr3t-of-the-note"


def probes_of(*probes: object) -> list[HealthProbe]:
    """Return what the app makes of the setting."""
    variables = {"KEYTURN_HEALTH_URLS": json.dumps(probes), "NOTE_TOKEN": SECRET, "TENANT": "blue"}
    return load_settings({**RUNBOOK, **variables}).keyrings[0].health_urls

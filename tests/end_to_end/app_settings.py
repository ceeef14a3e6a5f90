"""The app settings that end-to-end tests run on, by name; each other than ``quick`` costs a restart of the host."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from local.supervisor import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER, KEYRING, MEK_NAME, NOTE_FIELDS, NOTES_CONTAINER

# A second keyring beside the local Azure's own, on the same vault and account.
ARCHIVE, ARCHIVE_MEK, ARCHIVE_DEKS = "archive", "archive-mek", "archive_deks"

# Durations of a rotation, as short as the conditions that tests wait for allow.
QUICK = {
    "KEYTURN_SOAK": "PT1S",
    "KEYTURN_QUIET_INTERVAL": "PT0.5S",
    "KEYTURN_TAIL_INTERVAL": "PT0.5S",
    "KEYTURN_WATCH": "PT1S",
    "KEYTURN_WATCH_INTERVAL": "PT0.5S",
    "KEYTURN_CREATION_SETTLE": "PT2S",
    "KEYTURN_PAGE_ROWS": "25",
}

# Seconds for which the backend believes in the current version: less than QUICK's soak, as any writer's must be, or it
# still wraps under a version that is retired, and its readiness fails under the watch.
VERSION_MAX_AGE = 0.5


def _keyrings(azure: LocalAzure) -> dict[str, str]:
    where = {
        "vaultUrl": azure.layout.url("key_vault"),
        "cosmosDatabase": COSMOS_DATABASE,
        "verifyChallengeResource": False,
    }
    documents = [{"name": NOTES_CONTAINER, "fields": NOTE_FIELDS, "partitionKey": "workspaceId"}]
    own = {"name": KEYRING, "mekName": MEK_NAME, "dekContainer": DEK_CONTAINER, "documents": documents}
    archive = {"name": ARCHIVE, "mekName": ARCHIVE_MEK, "dekContainer": ARCHIVE_DEKS}
    return {"KEYTURN_KEYRINGS": json.dumps([{**own, **where}, {**archive, **where}])}


def _due_while_down(_azure: LocalAzure) -> dict[str, str]:
    """Return a yearly schedule with two occurrences: while the host starts again for these settings, or soon after."""
    first = datetime.now(UTC) + timedelta(seconds=1)
    if first.second == 59:  # the second one must be within the same minute
        first += timedelta(seconds=1)
    return {"ROTATION_SCHEDULE": f"{first.second},{first.second + 1} {first:%M %H %d %m} *"}


def _fixed(**settings: str) -> Callable[[LocalAzure], dict[str, str]]:
    return lambda _azure: settings


# Name -> what is set on top of QUICK.
SETTINGS: Mapping[str, Callable[[LocalAzure], dict[str, str]]] = {
    "quick": _fixed(),
    "window shut": _fixed(KEYTURN_WINDOWS='[{"cron": "0 3 29 2 *", "duration": "PT1M", "timeZone": "Europe/Berlin"}]'),
    "long soak": _fixed(KEYTURN_SOAK="PT5S", KEYTURN_QUIET_INTERVAL="PT3S"),
    "sample of ten": _fixed(KEYTURN_PROOF="sample:10"),
    "no proof": _fixed(KEYTURN_PROOF="unsafe_off"),
    "tiny pages": _fixed(KEYTURN_PAGE_ROWS="1", KEYTURN_PROOF="sample:1"),
    "little patience": _fixed(KEYTURN_APPROVAL_REMINDER="PT1S", KEYTURN_APPROVAL_EXPIRY="PT4S"),
    "due while down": _due_while_down,
    "two keyrings": _keyrings,
}


def settings_of(name: str, azure: LocalAzure) -> dict[str, str]:
    """Return the app settings of this name."""
    return {**QUICK, **SETTINGS[name](azure)}

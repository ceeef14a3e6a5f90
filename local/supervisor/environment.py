"""What each process finds in its environment: the app's settings in production's own variables, and nothing else.

There is no variable that says "local": endpoints, an identity endpoint and a CA bundle are what differs.
"""

import json
import os
from pathlib import Path
from typing import Any

from local.backend.seed import note_id, workspace_of
from local.backend.service import AUDIENCE
from local.identity.tokens import person_id
from local.supervisor.layout import REPOSITORY, Layout
from local.supervisor.options import Options

COSMOS_DATABASE = "keyturn"
DEK_CONTAINER = "dek_store"
NOTES_CONTAINER = "notes"
RUN_CONTAINER = "keyturn"
COSMOS_RESOURCE_ID = (
    "/subscriptions/3b8f1c1e-52a4-4d0c-9d5e-7a6b5c4d3e2f/resourceGroups/keyturn-local"  # made up
    "/providers/Microsoft.DocumentDB/databaseAccounts/keyturn"
)
MEK_NAME = "notelett-mek"
KEYRING = "notelett"
APPROVER = "sam@example.com"
NOTE_FIELDS = ["title", "body"]

# What a developer does not wait for; every one is an ordinary setting of the app.
_QUICK = {
    "KEYTURN_SOAK": "PT5S",
    "KEYTURN_QUIET_INTERVAL": "PT3S",
    "KEYTURN_TAIL_INTERVAL": "PT2S",
    "KEYTURN_WATCH": "PT5S",
    "KEYTURN_WATCH_INTERVAL": "PT2S",
    "KEYTURN_CREATION_SETTLE": "PT5S",
    "KEYTURN_STARTS_PER_DAY": "1000",
    "KEYTURN_PAGE_ROWS": "25",  # progress is reported a wave of pages at a time
}


def client_environment(layout: Layout, header: str, ca_bundle: Path) -> dict[str, str]:
    """Return what any SDK client needs to act as the principal with this header secret."""
    return {
        "IDENTITY_ENDPOINT": f"{layout.url('identity')}/msi/token",
        "IDENTITY_HEADER": header,
        "SSL_CERT_FILE": str(ca_bundle),
        "REQUESTS_CA_BUNDLE": str(ca_bundle),
    }


def _process_environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def plain_environment() -> dict[str, str]:
    """Return the environment of a service that calls no other."""
    return _process_environment()


def _encryption(layout: Layout) -> dict[str, str]:
    return {
        "FIELD_ENCRYPT_ENABLED": "true",
        "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
        "FIELD_ENCRYPT_MEK_NAME": MEK_NAME,
        "AZURE_KEYVAULT_URL": layout.url("key_vault"),
        "COSMOS_ENDPOINT": layout.url("cosmos"),
        "COSMOS_DATABASE": COSMOS_DATABASE,
        "DEK_CONTAINER": DEK_CONTAINER,
        "NOTES_CONTAINER": NOTES_CONTAINER,
        "KEYTURN_VERIFY_CHALLENGE_RESOURCE": "false",
    }


def backend_environment(layout: Layout, header: str, ca_bundle: Path) -> dict[str, str]:
    """Return the demo backend's environment."""
    return {**_process_environment(), **client_environment(layout, header, ca_bundle), **_encryption(layout)}


def app_environment(
    layout: Layout, options: Options, header: str, ca_bundle: Path, approval_secret: str
) -> dict[str, str]:
    """Return the function app's environment: its application settings."""
    inbox = f"json://localhost:{layout.ports['inbox']}/channels"
    approver = person_id(APPROVER) if options.sign_in else APPROVER
    documents = [{"name": NOTES_CONTAINER, "fields": NOTE_FIELDS, "partitionKey": "workspaceId"}]
    return {
        **_process_environment(),
        **client_environment(layout, header, ca_bundle),
        **_encryption(layout),
        **_QUICK,
        **({"KEYTURN_KEY_BACKUP_DRILL_VAULT_URL": layout.url("drill_vault")} if options.drill_vault else {}),
        "TASKHUB_NAME": "keyturn",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "65536",
        "KEYTURN_ACCESS": "entra" if options.sign_in else "keys",
        "KEYTURN_LINKS_WITHOUT_SIGN_IN": "true",  # the developer is every person anyway
        "KEYTURN_COSMOS_RESOURCE_ID": COSMOS_RESOURCE_ID,
        "KEYTURN_RESOURCE_MANAGER_URL": layout.url("resource_manager"),
        "KEYTURN_KEYRING": KEYRING,
        "KEYTURN_CONTAINER": RUN_CONTAINER,
        "KEYTURN_KEY_SIZE": str(options.bits),
        "KEYTURN_DOCUMENTS": json.dumps(documents),
        "KEYTURN_HEALTH_URLS": json.dumps(_probes(layout.url("backend"), notes=options.deks)),
        "APPROVAL_WEBHOOK_SECRETS": approval_secret,
        "ACTIONTRAIL_URL": f"{layout.url('actiontrail')}/events",
        "NOTIFICATION_URLS": f"{inbox}/everything",
        "ON_CALL_URLS": f"{inbox}/on-call",
        "APPROVER_URLS": json.dumps({approver: f"{inbox}/{APPROVER}"}),
        "KEYTURN_APPROVERS": json.dumps([approver]),
        "KEYTURN_PUBLIC_URL": layout.url("functions_host"),
        "OUTBOX_TICK": "*/2 * * * * *",
        "ROTATION_SCHEDULE": "0 0 3 1 * *",
        "SCHEDULE_TICK": "0 0 5 * * *",
        **options.settings,
    }


def _probes(backend: str, *, notes: int) -> list[Any]:
    """Return the runbook's three probes: health, readiness, and the authenticated read of a note that was seeded."""
    ready = {"url": f"{backend}/api/diagnostics/readiness", "equals": {"status": "ready"}}
    read = f"{backend}/api/notes/{note_id(0)}?workspaceId={workspace_of(0)}"
    seeded = {"url": read, "scope": f"{AUDIENCE}/.default", "equals": {"id": note_id(0)}}
    return [f"{backend}/health", ready, *([seeded] if notes else [])]

"""The secrets and principals of a state folder, made once."""

import base64
import json
import secrets
import uuid
from pathlib import Path

from local.common.files import write_private
from local.identity.roles import assigned, container
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER, NOTES_CONTAINER, RUN_CONTAINER

# Who there is, and which of Azure's roles each holds on the vault and the database account.
# The app has exactly what infra/ assigns, container by container.
PRINCIPALS: dict[str, tuple[tuple[str, str], ...]] = {
    "keyturn": (
        ("Keyturn rotator", ""),
        ("Keyturn backup check", ""),
        ("Keyturn metadata", ""),
        ("Keyturn dek store", container(COSMOS_DATABASE, DEK_CONTAINER)),
        ("Keyturn records", container(COSMOS_DATABASE, RUN_CONTAINER)),
        ("Keyturn documents", container(COSMOS_DATABASE, NOTES_CONTAINER)),
    ),
    "backend": (("Key Vault Crypto Service Encryption User", ""), ("Cosmos DB Built-in Data Contributor", "")),
    "operator": (
        ("Key Vault Crypto Officer", ""),
        ("Cosmos DB Built-in Data Contributor", ""),
        ("DocumentDB containers", ""),
        ("Keyturn backup check", ""),
    ),
}

# What the app holds as well while documents are encrypted or re-encrypted: documentMigrations in infra/.
DOCUMENT_MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("Keyturn new DEKs", container(COSMOS_DATABASE, DEK_CONTAINER)),
    ("Keyturn document changes", container(COSMOS_DATABASE, NOTES_CONTAINER)),
)

# What the app holds in the drill vault. Rights are not of one vault here, but the other one deletes nothing.
DRILL: tuple[tuple[str, str], ...] = (("Keyturn key drill", ""),)

WEBHOOK_SECRET_BYTES = 32


def ensure_principals(folder: Path, *, document_migrations: bool = False, drill_vault: bool = False) -> dict[str, str]:
    """Write ``principals.json`` where it is missing; return each principal's header secret."""
    path = folder / "principals.json"
    if not path.exists():
        granted = {
            **PRINCIPALS,
            "keyturn": (
                *PRINCIPALS["keyturn"],
                *(DOCUMENT_MIGRATIONS if document_migrations else ()),
                *(DRILL if drill_vault else ()),
            ),
        }
        principals = {
            name: {
                "header": secrets.token_urlsafe(24),
                "objectId": str(uuid.uuid4()),
                "roles": [action for role, scope in roles for action in assigned(role, scope)],
            }
            for name, roles in granted.items()
        }
        write_private(path, json.dumps(principals, indent=2).encode())
    return {name: record["header"] for name, record in json.loads(path.read_bytes()).items()}


def ensure_webhook_secret(path: Path) -> str:
    """Return the secret in the file (Standard Webhooks: ``whsec_`` and base64), made at the first call."""
    if not path.exists():
        write_private(path, b"whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)))
    return path.read_text()

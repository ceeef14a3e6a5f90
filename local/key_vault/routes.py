"""The operations of the vault: what each is called in the log, which data action it needs, and where it is served."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from local.identity.roles import KEYS
from local.key_vault import backup, deletion, keys, use
from local.key_vault.vault import Call, Vault

type Perform = Callable[[Vault, Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Operation:
    """One operation of the vault."""

    name: str
    action: str
    perform: Perform


_LIST_VERSIONS = Operation("list", f"{KEYS}/read", keys.list_versions)
_GET = Operation("get", f"{KEYS}/read", keys.get)
_UPDATE = Operation("update", f"{KEYS}/update/action", keys.update)
_DELETE = Operation("delete", f"{KEYS}/delete", deletion.delete)
_GET_DELETED = Operation("get", f"{KEYS}/read", deletion.get_deleted)
_PURGE = Operation("purge", f"{KEYS}/purge/action", deletion.purge)

_NAME = "/keys/{name}"
_VERSION = _NAME + "/{version:[^/]*}"  # the SDK writes a versionless id with an empty last segment

# In order: the first match serves the request.
ROUTES: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/keys", Operation("list", f"{KEYS}/read", keys.list_keys)),
    ("POST", "/keys/restore", Operation("restore", f"{KEYS}/restore/action", backup.restore)),
    ("POST", f"{_NAME}/create", Operation("create", f"{KEYS}/create/action", keys.create)),
    ("POST", f"{_NAME}/backup", Operation("backup", f"{KEYS}/backup/action", backup.backup)),
    ("GET", f"{_NAME}/versions", _LIST_VERSIONS),
    ("GET", _NAME, _GET),
    ("GET", _VERSION, _GET),
    ("PATCH", _NAME, _UPDATE),
    ("PATCH", _VERSION, _UPDATE),
    ("POST", f"{_VERSION}/wrapkey", Operation("wrap", f"{KEYS}/wrap/action", use.wrap)),
    ("POST", f"{_VERSION}/unwrapkey", Operation("unwrap", f"{KEYS}/unwrap/action", use.unwrap)),
    ("POST", f"{_VERSION}/encrypt", Operation("encrypt", f"{KEYS}/encrypt/action", use.encrypt)),
    ("POST", f"{_VERSION}/decrypt", Operation("decrypt", f"{KEYS}/decrypt/action", use.decrypt)),
    ("DELETE", _NAME, _DELETE),
    ("GET", "/deletedkeys/{name}", _GET_DELETED),
    ("DELETE", "/deletedkeys/{name}", _PURGE),
)

OPERATIONS = tuple(dict.fromkeys(operation.name for _, _, operation in ROUTES))

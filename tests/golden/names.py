"""The names that leave the code: stored documents, the HTTP API, settings, audit events, tags and row properties.

A renaming in the code must not change any of them. Each is collected from the code and compared with a file beside
this module, which is changed by hand and on purpose only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from field_encrypt.row_states import PREVIOUS_WRAP, ROTATION_ID
from field_encrypt.rows import REWRAPPED_AT
from keyturn.access.attempts import Refusals
from keyturn.api.openapi import description
from keyturn.approval.links import Link
from keyturn.audit import events
from keyturn.audit.log import ChainEnd
from keyturn.console.sessions import Grant
from keyturn.domain_events.outbox import Cursor
from keyturn.errors import OUTCOMES
from keyturn.http import CONTENT_TYPE as PROBLEM
from keyturn.key_vault import versions
from keyturn.key_vault.backups import KeyBackup
from keyturn.rotation.drift import DriftRecord
from keyturn.runs import audit
from keyturn.runs.budget import VaultBudget
from keyturn.runs.decisions import UsedMessage
from keyturn.runs.idempotency import Claim
from keyturn.runs.lease import Lease
from keyturn.runs.migration_leases import MigrationLease
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.settings import Keyring, Settings

DOCUMENTS = (
    RotationRecord,
    MigrationRecord,
    Lease,
    MigrationLease,
    VaultBudget,
    ChainEnd,
    Cursor,
    Refusals,
    KeyBackup,
    UsedMessage,
    Claim,
    DriftRecord,
    Grant,
)

type Names = dict[str, Any]


def documents() -> Names:
    """Return the properties of every stored document by its kind, and of an approver's link."""
    return {_kind(model): properties(model) for model in DOCUMENTS} | {"(link)": properties(Link)}


def api() -> Names:
    """Return what the OpenAPI description names: routes, parameters, and the properties of bodies and answers."""
    described = description()
    schemas = described["components"]["schemas"]
    return {
        f"{method.upper()} {path}": {
            "id": operation["operationId"],
            "parameters": sorted(f"{one['in']} {one['name']}" for one in operation["parameters"]),
            "body": _content(operation.get("requestBody", {}), schemas),
            "answers": {status: _content(answer, schemas) for status, answer in operation["responses"].items()},
        }
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def settings() -> Names:
    """Return the names of the settings, and what a keyring among them consists of."""
    return {"variables": sorted(name.upper() for name in Settings.model_fields), "keyring": properties(Keyring)}


def audit_events() -> Names:
    """Return the types of audit events with the properties of their data."""
    return {kind: properties(model) for model, kind in events.TYPES.items()}


def marks() -> Names:
    """Return what marks versions and rows, and the types of problems with their statuses and exit codes."""
    tags = {name: value for name, value in vars(versions).items() if name.endswith("_TAG")}
    return {
        "tags": sorted([*tags.values(), audit.HEAD_TAG, audit.HEAD_OF_TAG, audit.MIGRATION_HEAD_TAG]),
        "row": sorted([ROTATION_ID, PREVIOUS_WRAP, REWRAPPED_AT]),
        "problems": sorted({f"{found.problem} {found.status} {found.exit_code}" for found in OUTCOMES.values()}),
    }


def properties(model: type[BaseModel]) -> Any:
    """Return the tree of property names of a model's JSON; a leaf is null, alternatives are merged."""
    _, schemas = models_json_schema([(model, "serialization")])
    return _tree({"$ref": f"#/$defs/{model.__name__}"}, schemas["$defs"])


def _kind(model: type[BaseModel]) -> str:
    return str(model.model_fields["kind"].default)


def _content(holder: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    content = holder.get("content", {})
    return {media: "problem" if media == PROBLEM else _tree(content[media]["schema"], schemas) for media in content}


def _tree(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if (reference := schema.get("$ref")) is not None:
        return _tree(schemas[reference.rpartition("/")[2]], schemas)
    parts = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    parts += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    parts += [schema["additionalProperties"]] if isinstance(schema.get("additionalProperties"), dict) else []
    own = {name: _tree(found, schemas) for name, found in schema.get("properties", {}).items()}
    return _merged([own or None, *(_tree(part, schemas) for part in parts)])


def _merged(trees: Iterable[Any]) -> Any:
    merged: dict[str, Any] = {}
    for tree in trees:
        for name, below in (tree or {}).items():
            merged[name] = _merged([merged.get(name), below])
    return dict(sorted(merged.items())) or None


COLLECTED = {
    "documents": documents,
    "api": api,
    "settings": settings,
    "audit_events": audit_events,
    "marks": marks,
}

"""Every route as data: what it takes, what it answers, and what proves that the caller may."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from keyturn.contracts.base import Payload
from keyturn.diagnosis.models import DekDiagnosis, DocumentDiagnosis
from keyturn.diagnosis.orphans import OrphanPage
from keyturn.ids import APPROVALS, MIGRATIONS, RESTORES, ROTATIONS
from keyturn.migrations.requests import MigrationRequest, ReencryptionRequest, RollbackRequest, StartMigration
from keyturn.migrations.status import MigrationReport, MigrationStatus, MigrationSummary
from keyturn.rotation.due import KeyringStatus
from keyturn.rotation.start import StartRequest
from keyturn.rotation.status import Accepted, Report, Status, Summary
from keyturn.runs.commands import CommandRequest
from keyturn.runs.decisions import DecisionRequest

type Method = Literal["get", "post"]


class RotationList(Payload):
    """A page of a keyring's rotations, newest first."""

    rotations: list[Summary]
    next: str | None


class MigrationList(Payload):
    """A page of a keyring's migrations, newest first."""

    migrations: list[MigrationSummary]
    next: str | None


class KeyringList(Payload):
    """Every keyring."""

    keyrings: list[KeyringStatus]


class Health(Payload):
    """Whether the app runs on settings that it can work with, a rotation is overdue, and a keyring has drifted."""

    status: Literal["ok", "misconfigured"]
    overdue: bool | None = None
    drift: bool | None = None


class ApprovalForm(BaseModel):
    """What the approver's page sends."""

    token: str
    decision: Literal["approve", "reject"]
    comment: str = Field(default="", max_length=500)


class Parameter(NamedTuple):
    """A parameter in the query or a header."""

    name: str
    place: Literal["query", "header"]
    description: str
    required: bool = False


class Operation(NamedTuple):
    """One route; ``name`` is that of the function that answers."""

    name: str
    method: Method
    path: str
    summary: str
    success: int
    answer: type[BaseModel] | None  # None: a page, or JSON of no fixed form
    refusals: Sequence[int]  # beside those that every route has
    body: type[BaseModel] | None = None
    body_required: bool = True
    parameters: Sequence[Parameter] = ()
    security: Literal["key", "signature", "link", "none"] = "key"
    media: str = "application/json"  # of a good answer


_KEYRING = Parameter("keyring", "query", "may be left out where there is only one")
_PAGING = (
    _KEYRING,
    Parameter("limit", "query", "1 to 50"),
    Parameter("before", "query", "an id from the list: only older ones are listed"),
)
_ONCE = (Parameter("Idempotency-Key", "header", "the same request with the same key is one request"),)
_MIGRATION = f"{MIGRATIONS}/{{migration_id}}"
_ROTATION = f"{ROTATIONS}/{{rotation_id}}"
_WEBHOOK = tuple(
    Parameter(f"webhook-{name}", "header", f"Standard Webhooks 1.0: {what}", required=True)
    for name, what in (
        ("id", "the message's id"),
        ("timestamp", "when it was sent, in Unix seconds"),
        ("signature", "v1 signatures"),
    )
)


def _page(name: str, run: str) -> tuple[Operation, Operation]:
    """Return the two operations of the approver's page of a run."""
    refusals = (404, 409, 410, 429)
    return (
        Operation(
            *(f"show_{name}", "get", f"{run}/approval", "The approver's page", 200, None, refusals),
            parameters=(Parameter("token", "query", "the link's token", required=True),),
            security="link",
            media="text/html",
        ),
        Operation(
            *(f"decide_{name}", "post", f"{run}/approval", "Decide on the approver's page", 200, None, refusals),
            body=ApprovalForm,
            security="link",
            media="text/html",
        ),
    )


def _run_operations(
    kind: str, run: str, status: type[BaseModel], report: type[BaseModel], names: tuple[str, str]
) -> tuple[Operation, ...]:
    """Return what can be asked and told of one run, whatever its kind."""
    told: dict[str, Any] = {"body": CommandRequest, "body_required": False}
    whole, audit = names
    return (
        Operation(f"get_{kind}", "get", run, f"The status of a {kind}", 200, status, (404,)),
        Operation(whole, "get", f"{run}/report", f"Everything known about a {kind}", 200, report, (404,)),
        Operation(audit, "get", f"{run}/audit", "The audit chain", 200, None, (404,), media="application/jsonl"),
        Operation(
            f"retry_{kind}", "post", f"{run}/retry", "Try again what needs attention", 202, status, (404, 409), **told
        ),
        Operation(f"abort_{kind}", "post", f"{run}/abort", f"End a {kind}", 202, status, (404, 409), **told),
    )


OPERATIONS: Sequence[Operation] = (
    Operation(
        *("start_rotation", "post", ROTATIONS, "Start a rotation", 202, Accepted, (404, 409, 422)),
        body=StartRequest,
        parameters=_ONCE,
    ),
    Operation(
        *("list_rotations", "get", ROTATIONS, "List a keyring's rotations, newest first", 200, RotationList, (404,)),
        parameters=_PAGING,
    ),
    Operation("list_keyrings", "get", "/api/keyrings", "How every keyring stands", 200, KeyringList, ()),
    *_run_operations("rotation", _ROTATION, Status, Report, ("get_report", "get_audit")),
    Operation(
        *("reinstate_rotation", "post", f"{_ROTATION}/reinstate", "Enable again what a rotation has retired", 202),
        *(Status, (404, 409)),
        body=CommandRequest,
        body_required=False,
    ),
    *_page("approval", _ROTATION),
    Operation(
        *("decide_rotation", "post", APPROVALS, "Take a signed decision", 200, Status, (404, 409, 410, 429)),
        body=DecisionRequest,
        parameters=_WEBHOOK,
        security="signature",
    ),
    Operation(
        *("get_dek", "get", "/api/deks/{dek_id}", "Whether a DEK opens, and what to do", 200, DekDiagnosis, (404,)),
        parameters=(_KEYRING,),
    ),
    Operation(
        *("get_document_diagnosis", "get", "/api/documents/diagnosis", "Whether a document opens, and what to do"),
        *(200, DocumentDiagnosis, (404,)),
        parameters=(
            _KEYRING,
            Parameter("container", "query", "one of those in KEYTURN_DOCUMENTS", required=True),
            Parameter("id", "query", "the document's id", required=True),
            Parameter("partition", "query", "its partition key, a text; without it all partitions are searched"),
        ),
    ),
    Operation(
        *("get_orphans", "get", "/api/orphans", "Documents that name missing DEKs, or DEKs that nothing names"),
        *(200, OrphanPage, (404,)),
        parameters=(
            _KEYRING,
            Parameter("kind", "query", "missing_deks or unused_deks", required=True),
            Parameter("minAge", "query", "ISO 8601; what is younger is left out, PT1H by default"),
            Parameter("token", "query", "of an earlier answer: go on from there"),
        ),
    ),
    Operation(
        *("roll_back_rotation", "post", f"{_ROTATION}/rollback", "Move a rotation's rows back", 202, MigrationSummary),
        (404, 409, 422),
        body=RollbackRequest,
        parameters=_ONCE,
    ),
    Operation(
        *("start_restore", "post", RESTORES, "Make rows readable that came back from a backup", 202, MigrationSummary),
        (404, 409, 422),
        body=MigrationRequest,
        parameters=_ONCE,
    ),
    Operation(
        *("start_any_migration", "post", MIGRATIONS, "Start a migration", 202, MigrationSummary, (404, 409, 422)),
        body=StartMigration,
        parameters=_ONCE,
    ),
    Operation(
        *("start_reencryption", "post", "/api/reencryptions", "Re-encrypt from a lost MEK onto another", 202),
        *(MigrationSummary, (404, 409, 422)),
        body=ReencryptionRequest,
        parameters=_ONCE,
    ),
    Operation(
        *("list_migrations", "get", MIGRATIONS, "List a keyring's migrations, newest first", 200, MigrationList),
        (404,),
        parameters=_PAGING,
    ),
    *_run_operations(
        "migration", _MIGRATION, MigrationStatus, MigrationReport, ("get_migration_report", "get_migration_audit")
    ),
    *_page("restore_approval", f"{MIGRATIONS}/{{rotation_id}}"),
    Operation("describe_api", "get", "/api/openapi.json", "This description", 200, None, ()),
    Operation("health", "get", "/api/health", "Is the app there", 200, Health, (), security="none"),
)

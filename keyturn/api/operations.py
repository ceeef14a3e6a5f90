"""Every route as data: what it takes, what it answers, and what proves that the caller may."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from keyturn.console.sessions import ConsoleLink, ConsoleLinkRequest
from keyturn.contracts.base import Payload
from keyturn.diagnosis.models import DekDiagnosis, DocumentDiagnosis
from keyturn.diagnosis.orphans import OrphanPage
from keyturn.diagnosis.repair import Repaired, RepairRequest
from keyturn.diagnosis.verification import Verification, VerificationRequest
from keyturn.ids import APPROVALS, CONSOLE, MIGRATIONS, RESTORES, ROTATIONS
from keyturn.key_vault.backups import KeyBackup, KeyBackupContent
from keyturn.migrations.requests import MigrationRequest, ReencryptionRequest, RollbackRequest, StartMigration
from keyturn.migrations.status import MigrationReport, MigrationStatus, MigrationSummary
from keyturn.preflight.results import CheckResult
from keyturn.rotation import due, start
from keyturn.rotation.status import Accepted, Report, Status, Summary
from keyturn.runs import commands, decisions
from keyturn.runs.record_parts import ACKNOWLEDGED_MAX


class RotationList(Payload):
    """A page of a keyring's rotations, newest first."""

    rotations: list[Summary]
    next: str | None


class MigrationList(Payload):
    """A page of a keyring's migrations, newest first."""

    migrations: list[MigrationSummary]
    next: str | None


class KeyBackupList(Payload):
    """A keyring's key backups, newest first, without what is in them."""

    key_backups: list[KeyBackup]


class DoctorReport(Payload):
    """What the doctor has found in the app's network, as the app."""

    results: list[CheckResult]


class KeyringList(Payload):
    """Every keyring."""

    keyrings: list[due.KeyringStatus]


class Health(Payload):
    """Whether the app runs on settings that it can work with, a rotation is overdue, and a keyring has drifted."""

    status: Literal["ok", "misconfigured"]
    overdue: bool | None = None
    drift: bool | None = None


class ApprovalForm(BaseModel):
    """What the approver's page sends."""

    token: str
    decision: Literal["approve", "reject"]
    comment: str = Field(default="", max_length=500)  # needed to reject
    acknowledged: list[str] = Field(default=[], max_length=ACKNOWLEDGED_MAX)  # every warning's key, needed to approve


class ConsoleForm(BaseModel):
    """What a form of the console sends."""

    form: str  # the token of the page that was shown
    reason: str = Field(default="", max_length=500)


class Parameter(NamedTuple):
    """A parameter in the query or a header."""

    name: str
    place: Literal["query", "header"]
    description: str
    required: bool = False


class Operation(NamedTuple):
    """One route; ``name`` is that of the function that answers."""

    name: str
    method: Literal["get", "post"]
    path: str
    summary: str
    success: int
    answer: type[BaseModel] | None  # None: a page, or JSON of no fixed form
    refusals: Sequence[int]  # beside those that every route has
    body: type[BaseModel] | None = None
    body_required: bool = True
    parameters: Sequence[Parameter] = ()
    security: Literal["key", "signature", "link", "session", "none"] = "key"
    media: str = "application/json"  # of a good answer


_KEYRING = Parameter("keyring", "query", "may be left out where there is only one")
_PAGING = (
    _KEYRING,
    Parameter("limit", "query", "1 to 50"),
    Parameter("before", "query", "an id from the list: only older ones are listed"),
)
_TOKEN = Parameter("token", "query", "the link's token", required=True)
_OPENING = Parameter("token", "query", "of a link to the console: opens a session, and leads to the page without it")
_ONCE = (Parameter("Idempotency-Key", "header", "the same request with the same key is one request"),)
_REFRESH = Parameter("refresh", "query", "off: the page is not loaded again by itself")
_DIAGNOSED = (
    Parameter("dek", "query", "a DEK's id"),
    *(Parameter(name, "query", "of a document") for name in ("container", "document", "partition")),
)
_MIGRATION = f"{MIGRATIONS}/{{migration_id}}"
_ROTATION = f"{ROTATIONS}/{{rotation_id}}"
_WEBHOOK = (
    Parameter("webhook-id", "header", "Standard Webhooks 1.0: the message's id", required=True),
    Parameter("webhook-timestamp", "header", "Standard Webhooks 1.0: when it was sent, in Unix seconds", required=True),
    Parameter("webhook-signature", "header", "Standard Webhooks 1.0: v1 signatures", required=True),
)


def _get(
    name: str, path: str, summary: str, answer: type[BaseModel] | None, *parameters: Parameter, **more: Any
) -> Operation:
    return Operation(name, "get", path, summary, 200, answer, (404,), parameters=parameters, **more)


def _start(
    name: str, path: str, summary: str, body: type[BaseModel], answer: type[BaseModel] = MigrationSummary, *more: int
) -> Operation:
    return Operation(name, "post", path, summary, 202, answer, (404, 409, 422, *more), body, parameters=_ONCE)


def _command(name: str, path: str, summary: str, answer: type[BaseModel]) -> Operation:
    return Operation(name, "post", path, summary, 202, answer, (404, 409), commands.CommandRequest, body_required=False)


def _page(name: str, run: str) -> tuple[Operation, Operation]:
    path = f"{run}/approval"
    page: dict[str, Any] = {"refusals": (404, 409, 410, 429), "security": "link", "media": "text/html"}
    return (
        Operation(f"show_{name}", "get", path, "The approver's page", 200, None, parameters=(_TOKEN,), **page),
        Operation(
            f"decide_{name}", "post", path, "Decide on the approver's page", 200, None, body=ApprovalForm, **page
        ),
    )


def _console(name: str, path: str, summary: str, *parameters: Parameter) -> Operation:
    page: dict[str, Any] = {"refusals": (404, 429), "security": "session", "media": "text/html"}
    return Operation(name, "get", f"{CONSOLE}{path}", summary, 200, None, parameters=(_OPENING, *parameters), **page)


def _run_operations(
    kind: str, run: str, status: type[BaseModel], report: type[BaseModel], names: tuple[str, str]
) -> tuple[Operation, ...]:
    """Return what can be asked and told of one run, whatever its kind."""
    whole, audit = names
    return (
        _get(f"get_{kind}", run, f"The status of a {kind}", status),
        _get(whole, f"{run}/report", f"Everything known about a {kind}", report),
        _get(audit, f"{run}/audit", "The audit chain", None, media="application/jsonl"),
        _command(f"retry_{kind}", f"{run}/retry", "Try again what needs attention", status),
        _command(f"abort_{kind}", f"{run}/abort", f"End a {kind}", status),
    )


OPERATIONS: Sequence[Operation] = (
    _start("start_rotation", ROTATIONS, "Start a rotation", start.StartRequest, Accepted, 429),
    _get("list_rotations", ROTATIONS, "List a keyring's rotations, newest first", RotationList, *_PAGING),
    Operation("list_keyrings", "get", "/api/keyrings", "How every keyring stands", 200, KeyringList, ()),
    *_run_operations("rotation", _ROTATION, Status, Report, ("get_report", "get_audit")),
    _command("reinstate_rotation", f"{_ROTATION}/reinstate", "Enable again what a rotation has retired", Status),
    *_page("approval", _ROTATION),
    Operation(
        *("decide_rotation", "post", APPROVALS, "Take a signed decision", 200, Status, (404, 409, 410, 429)),
        body=decisions.DecisionRequest,
        parameters=_WEBHOOK,
        security="signature",
    ),
    _get("get_dek", "/api/deks/{dek_id}", "Whether a DEK opens, and what to do", DekDiagnosis, _KEYRING),
    Operation(
        *("repair_dek", "post", "/api/deks/{dek_id}/repair", "Put a row back on its previous wrap", 200, Repaired),
        refusals=(404, 409),
        body=RepairRequest,
    ),
    _get(
        *("get_document_diagnosis", "/api/documents/diagnosis", "Whether a document opens, and what to do"),
        DocumentDiagnosis,
        _KEYRING,
        Parameter("container", "query", "one of those in KEYTURN_DOCUMENTS", required=True),
        Parameter("id", "query", "the document's id", required=True),
        Parameter("partition", "query", "its partition key, a text; without it all partitions are searched"),
    ),
    _get(
        *("get_orphans", "/api/orphans", "Documents that name missing DEKs, or DEKs that nothing names", OrphanPage),
        _KEYRING,
        Parameter("kind", "query", "missing_deks or unused_deks", required=True),
        Parameter("minAge", "query", "ISO 8601; what is younger is left out, PT1H by default"),
        Parameter("token", "query", "of an earlier answer: go on from there"),
    ),
    Operation(
        *("verify_keyring", "post", "/api/verifications", "Verify a part of a keyring as it is now", 200, Verification),
        refusals=(404,),
        body=VerificationRequest,
        parameters=(_KEYRING,),
    ),
    Operation("examine_deployment", "post", "/api/doctor", "Examine as the app", 200, DoctorReport, (429,)),
    _get("list_key_backups", "/api/key-backups", "The backups of a keyring's key", KeyBackupList, _KEYRING),
    Operation("hand_out_key_backup", "post", f"{_ROTATION}/key-backup", "A key backup", 200, KeyBackupContent, (404,)),
    _start("roll_back_rotation", f"{_ROTATION}/rollback", "Move a rotation's rows back", RollbackRequest),
    _start("start_restore", RESTORES, "Make rows readable that came back from a backup", MigrationRequest),
    _start("start_any_migration", MIGRATIONS, "Start a migration", StartMigration),
    _start("start_reencryption", "/api/reencryptions", "Re-encrypt from a lost MEK onto another", ReencryptionRequest),
    _get("list_migrations", MIGRATIONS, "List a keyring's migrations, newest first", MigrationList, *_PAGING),
    *_run_operations(
        "migration", _MIGRATION, MigrationStatus, MigrationReport, ("get_migration_report", "get_migration_audit")
    ),
    *_page("restore_approval", f"{MIGRATIONS}/{{rotation_id}}"),
    _console("show_console", "", "How every keyring stands, as a page"),
    _console("show_console_keyring", "/keyrings/{keyring}", "A keyring's history, as a page"),
    _console("show_console_run", "/runs/{run_id}", "A run, as a page", _REFRESH),
    _console("show_console_evidence", "/runs/{run_id}/evidence", "A run's evidence, as a page"),
    _console("diagnose_in_console", "/diagnosis", "Diagnose a DEK or a document, as a page", _KEYRING, *_DIAGNOSED),
    _console("confirm_console_order", "/orders/{order}/{subject}", "What follows from an order"),
    Operation(
        *("give_console_order", "post", f"{CONSOLE}/orders/{{order}}/{{subject}}", "Give an order", 303, None),
        refusals=(404, 409, 422, 429),
        body=ConsoleForm,
        security="session",
        media="text/html",
    ),
    Operation(
        *("make_console_link", "post", f"{CONSOLE}/links", "A link to the console", 201, ConsoleLink, (404,)),
        body=ConsoleLinkRequest,
        body_required=False,
    ),
    Operation("describe_api", "get", "/api/openapi.json", "This description", 200, None, ()),
    Operation("health", "get", "/api/health", "Is the app there", 200, Health, (), security="none"),
)

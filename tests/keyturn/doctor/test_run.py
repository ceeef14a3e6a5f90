"""Green on the local Azure; and with one thing broken, the doctor names that one."""

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keyturn.doctor.deployment import EXAMINED
from keyturn.doctor.live import BY_HAND
from keyturn.doctor.run import LOOKED_AT, PROBED
from local.identity.roles import CONTAINERS, COSMOS, KEYS
from tests.keyturn.doctor.conftest import Clinic, armed
from tests.local.services import free_port

pytestmark = pytest.mark.xdist_group("doctor")

NOWHERE = f"https://localhost:{free_port()}"


def wrong(lines: list[dict[str, str]]) -> set[str]:
    """Return the ids of the lines that are problems or warnings."""
    return {line["id"] for line in lines if line["outcome"] in ("problem", "warning")}


def test_a_sound_deployment_is_green(clinic: Clinic) -> None:
    """Everything that can be looked at is, with the rights of the app alone; the rest says why it is not."""
    lines = clinic.examine()
    unchecked = {line["id"] for line in lines if line["outcome"] == "unchecked"}

    assert wrong(lines) == set()
    assert unchecked == {*PROBED, *BY_HAND, "kv_list_at_key_scope", "host_auth_variable"}
    assert {*LOOKED_AT, *PROBED, *BY_HAND, *EXAMINED} <= {line["id"] for line in lines}


@pytest.mark.parametrize(("mixed_types", "said"), [("undefined", "undefined"), ("unequal", "false")])
def test_either_semantics_of_comparisons_is_sound(clinic: Clinic, mixed_types: str, said: str) -> None:
    """Sources differ on comparisons across types: the doctor says which one the account follows, and is content."""
    before = clinic.control("cosmos", "POST", "settings", {})
    clinic.control("cosmos", "POST", "settings", {"mixedTypes": mixed_types})
    try:
        lines = clinic.examine()
    finally:
        clinic.control("cosmos", "POST", "settings", {"mixedTypes": before["mixedTypes"]})

    assert wrong(lines) == set()
    [line] = [line for line in lines if line["id"] == "cosmos_undefined_comparisons"]
    assert line["outcome"] == "ok"
    assert line["detail"].endswith(f'"1" = 1 is {said}')


@contextlib.contextmanager
def without(clinic: Clinic, action: str) -> Iterator[None]:
    """Take a right from the app."""
    held = clinic.control("identity", "GET", "principals/keyturn")["roles"]
    kept = [role for role in held if role != action]
    assert kept != held, action
    clinic.control("identity", "PUT", "principals/keyturn", {"roles": kept})
    try:
        yield
    finally:
        clinic.control("identity", "PUT", "principals/keyturn", {"roles": held})


@contextlib.contextmanager
def backed_up_periodically(clinic: Clinic) -> Iterator[None]:
    """Switch the account to periodic backups."""
    clinic.control("resource_manager", "POST", "backup", {"type": "Periodic"})
    try:
        yield
    finally:
        clinic.control("resource_manager", "POST", "backup", {"type": "Continuous"})


@dataclass(frozen=True)
class Broken:
    """One thing that is broken, and the lines that must say so: these and no others."""

    lines: set[str]
    variables: dict[str, str] = field(default_factory=dict)
    ahead: float = 0
    change: Callable[[Clinic], AbstractContextManager[None]] = lambda _clinic: contextlib.nullcontext()


def _right(action: str) -> Callable[[Clinic], AbstractContextManager[None]]:
    return lambda clinic: without(clinic, action)


STORE = "dbs/keyturn/colls/dek_store"
BROKEN = {
    "a secret of the wrong form": Broken({"settings"}, {"APPROVAL_WEBHOOK_SECRETS": "hunter2"}),
    "no secret at all": Broken({"somebody_can_decide"}, {"APPROVAL_WEBHOOK_SECRETS": ""}),
    "no approver": Broken({"somebody_can_decide"}, {"KEYTURN_APPROVERS": ""}),
    "encryption is off": Broken({"encryption_enabled"}, {"FIELD_ENCRYPT_ENABLED": "false"}),
    "the vault is not there": Broken({"reach_vault"}, {"AZURE_KEYVAULT_URL": NOWHERE}),
    "the database is not there": Broken({"reach_cosmos"}, {"COSMOS_ENDPOINT": NOWHERE}),
    "the backend is not there": Broken({"reach_backend"}, {"KEYTURN_HEALTH_URLS": json.dumps([f"{NOWHERE}/health"])}),
    "the receiver of events is not there": Broken({"reach_actiontrail"}, {"ACTIONTRAIL_URL": f"{NOWHERE}/events"}),
    "the scheduler is not there": Broken(
        {"reach_task_scheduler"},
        {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING": f"Endpoint={NOWHERE};Authentication=ManagedIdentity"},
    ),
    "the clock is ten minutes ahead": Broken({"clock"}, ahead=600),
    "nobody is signed in": Broken({"identity", "reach_backend"}, {"IDENTITY_HEADER": "of nobody"}),
    "a key of another name": Broken({"mek_exists"}, {"FIELD_ENCRYPT_MEK_NAME": "another-mek"}),
    "a dek store of another name": Broken({"store_reachable"}, {"DEK_CONTAINER": "another_store"}),
    "another partition key": Broken({"store_reachable"}, {"KEYTURN_ROW_NAMES": '{"partitionKey": "tenant"}'}),
    "records of another name": Broken({"can_read_records"}, {"KEYTURN_CONTAINER": "another"}),
    "versions go before backups": Broken({"cosmos_backup_policy"}, {"KEYTURN_RETAIN": "P7D"}),
    "backups are periodic": Broken({"backup"}, change=backed_up_periodically),
    "no right to read the key": Broken({"can_read_key"}, change=_right(f"{KEYS}/read")),
    "no right to unwrap": Broken({"can_wrap_and_unwrap"}, change=_right(f"{KEYS}/unwrap/action")),
    "no right to create versions": Broken({"can_create_version"}, change=_right(f"{KEYS}/create/action")),
    "no right to disable versions": Broken({"can_update_version"}, change=_right(f"{KEYS}/update/action")),
    "no right to patch rows": Broken({"can_patch_rows"}, change=_right(f"{CONTAINERS}/items/replace@{STORE}")),
    "no right to read rows": Broken({"can_read_rows"}, change=_right(f"{CONTAINERS}/items/read@{STORE}")),
    "no right to the account": Broken({"backup"}, change=_right(f"{COSMOS}/read")),
    "no right to its metadata": Broken({"identity"}, change=_right(f"{COSMOS}/readMetadata")),
    "an unknown key is not an empty list": Broken(
        {"kv_unknown_key_lists_empty"},
        change=lambda clinic: armed(
            clinic, "key_vault", operation="list", kind="status", status=404, match="keyturn-doctor-"
        ),
    ),
}


def test_the_app_is_found_by_the_platforms_name(clinic: Clinic) -> None:
    """Where no public URL is set the doctor asks the host that App Service names; without either, none."""
    host = urlsplit(clinic.environment["KEYTURN_PUBLIC_URL"]).netloc
    asked = {
        name: {line["id"]: line["outcome"] for line in clinic.examine(KEYTURN_PUBLIC_URL="", WEBSITE_HOSTNAME=name)}
        for name in (host, "")
    }

    assert (asked[host]["reach_app"], asked[host]["host_keys"]) == ("ok", "ok")
    assert ("reach_app" in asked[""], asked[""]["host_keys"]) == (False, "unchecked")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(clinic: Clinic, name: str) -> None:
    """The lines that are wrong are those of what was broken, and each says what to do."""
    broken = BROKEN[name]
    with broken.change(clinic):
        lines = clinic.examine(broken.variables, ahead=broken.ahead)

    assert wrong(lines) == broken.lines
    assert [line for line in lines if line["outcome"] in ("problem", "warning") and not line["advice"]] == []
    assert "hunter2" not in json.dumps(lines)


def test_another_version_of_a_package_is_named(clinic: Clinic, tmp_path: Path) -> None:
    """A package that is not the pinned one, and one that is missing."""
    pins = tmp_path / "requirements.txt"
    pins.write_text("typer==0.0.1   # other\nno-such-package==1.0\n")

    lines = clinic.examine(requirements=pins)

    assert wrong(lines) == {"packages"}
    [detail] = [line["detail"] for line in lines if line["id"] == "packages"]
    assert "pinned 0.0.1" in detail
    assert "no-such-package missing" in detail

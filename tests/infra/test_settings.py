"""The app's settings: what the code reads is what the templates set or the README lists, and the other way round."""

import base64
import json
import re
import uuid
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from keyturn.contracts.base import Policy
from keyturn.settings import Keyring, Settings
from keyturn.settings.app import HOSTNAME, KEYRING_VARIABLES, KEYRINGS, POLICY_PREFIX
from keyturn.settings.keyring import DocumentContainer
from keyturn.settings.types import PREFIX, signing_secrets
from local.supervisor.environment import app_environment
from local.supervisor.layout import Layout
from local.supervisor.options import Options
from tests.infra.readme import table
from tests.infra.snapshots import INFRA, ROOT, Snapshot
from triggers.http import BODY_BYTES_MAX

APPROVAL = "APPROVAL_WEBHOOK_SECRETS"
CHANNELS = {"NOTIFICATION_URLS", "ON_CALL_URLS", "APPROVER_URLS"}

SECRET = "Microsoft.KeyVault/vaults/secrets"

# Read by the host, which refuses a longer body before it has read it: the app would have it whole in memory first.
LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"

# Read by the platform and the SDKs rather than by our code.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",  # telemetry is sent as the identity
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "PYTHON_ENABLE_OPENTELEMETRY",  # the worker exports its own logs, so the host does not as well, and hands traces on
    LIMIT,
    "AZURE_CLIENT_ID",  # which identity DefaultAzureCredential means
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
}

# Read by the host: the timer of the domain events is off where they have no receiver.
NO_RECEIVER = "AzureWebJobs.deliver_domain_events.Disabled"

# Read by App Service where it signs callers in: the identity that it does so with.
SIGN_IN = "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"

# Read by our code, set where a drill vault is named.
DRILL = "KEYTURN_KEY_BACKUP_DRILL_VAULT_URL"

# Read by our code, set where sign-in stands in front of the app: by the platform, and by the templates for it.
SET_WITH_SIGN_IN = {"WEBSITE_AUTH_ENABLED", SIGN_IN}

# The example for a desk has two more: the storage emulator, and the worker's name, which Flex Consumption refuses.
ONLY_LOCALLY = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}

# Defaults that are no values of their own.
SAID_IN_WORDS = {
    KEYRINGS: "the one keyring of the other variables",
    "KEYTURN_DATABASE": "`COSMOS_DATABASE`",
    "KEYTURN_KEY_BACKUP_CONTAINER": "`KEYTURN_CONTAINER`",
    "KEYTURN_PUBLIC_URL": f"`https://` and `{HOSTNAME}`",
    "KEYTURN_KEY_BACKUP_DRILL_VAULT_URL": "not set; `drillVaultName` sets it",
}


def test_every_setting_is_set_or_listed(default: Snapshot) -> None:
    """What the code reads is set by the templates or stands in the README's table, never both."""
    listed = {row[0].strip("`") for row in table("Settings")}

    assert _read() - SET_WITH_SIGN_IN == _set(default) | listed
    assert _set(default) & listed == set()


def test_listed_defaults_are_the_codes() -> None:
    """The README's table has each setting's default as the code has it."""
    listed = {variable.strip("`"): default for variable, default in table("Settings")}

    assert {variable: _default(variable) for variable in listed} == listed


def test_the_platforms_settings_are_the_known_ones(default: Snapshot) -> None:
    """What is set beside the app's own settings is what the platform, the host and the SDKs read."""
    assert set(default.settings) - _read() == PLATFORM | {NO_RECEIVER}


def test_the_host_takes_no_longer_body_than_the_app(snapshots: dict[str, Snapshot], tmp_path: Path) -> None:
    """In every variant, and in the local Azure: the host's bound is the app's own."""
    deployed = {snapshot.settings[LIMIT] for snapshot in snapshots.values()}
    local = app_environment(Layout.of(tmp_path), Options(state=tmp_path), "", tmp_path, "")[LIMIT]

    assert deployed == {local} == {str(BODY_BYTES_MAX)}


def test_settings_that_a_choice_adds(default: Snapshot, existing: Snapshot) -> None:
    """Sign-in, channels and overrides add their settings; a receiver of domain events leaves its timer on."""
    overrides = {"ACTIONTRAIL_URL", "KEYTURN_PUBLIC_URL"}

    assert set(existing.settings) - set(default.settings) == {SIGN_IN, DRILL, *CHANNELS, *overrides}
    assert set(default.settings) - set(existing.settings) == {NO_RECEIVER}
    assert (
        default.settings[NO_RECEIVER],
        default.settings["KEYTURN_ACCESS"],
        existing.settings["KEYTURN_ACCESS"],
    ) == ("true", "keys", "entra")


def test_the_timer_that_is_off_is_one_of_the_app() -> None:
    """The setting names a function as the app does; another name would be ignored in silence."""
    name = NO_RECEIVER.split(".")[1]

    assert f"async def {name}(timer" in (ROOT / "triggers" / "domain_events.py").read_text()


def test_sign_in_needs_no_secret(existing: Snapshot) -> None:
    """App Service signs in with the app's own identity, whose client id the setting names."""
    registration = existing.one("Microsoft.Web/sites/config").properties["identityProviders"]["azureActiveDirectory"][
        "registration"
    ]

    assert registration["clientSecretSettingName"] == SIGN_IN
    assert existing.settings["AZURE_CLIENT_ID"] == existing.settings[SIGN_IN]


def test_documents_arrive_as_the_app_reads_them(existing: Snapshot) -> None:
    """The parameter's type and the app's model have the same property names."""
    documents = [DocumentContainer.model_validate(item) for item in json.loads(existing.settings["KEYTURN_DOCUMENTS"])]

    assert [(item.name, item.partition_key) for item in documents] == [("notes", "workspaceId"), ("authors", "id")]


def test_the_example_for_a_workstation_names_the_same() -> None:
    """local.settings.json.example has no setting that nobody reads."""
    example = set(json.loads((ROOT / "local.settings.json.example").read_text())["Values"])

    assert example - _read() - ONLY_LOCALLY == set()


def test_secrets_come_from_the_vault_alone(existing: Snapshot) -> None:
    """Settings that are secrets are references; each secret parameter goes into its secret alone."""
    secure = re.findall(r"@secure\(\)\nparam (\w+) ", (INFRA / "main.bicep").read_text())
    names = {APPROVAL: "notes-approvals"} | {name: f"keyturn-{name.lower().replace('_', '-')}" for name in CHANNELS}
    stored = {one.name: one.properties["value"] for one in existing.of_type(SECRET)}

    assert {name: existing.settings[name] for name in names} == {
        name: f"@Microsoft.KeyVault(VaultName=kv-notes;SecretName={secret})" for name, secret in names.items()
    }
    assert set(stored) == {f"kv-notes/{secret}" for secret in names.values()}
    values = [
        stored[f"kv-notes/{names[setting]}"] for setting in ("NOTIFICATION_URLS", "ON_CALL_URLS", "APPROVER_URLS")
    ]
    # What is made of the third is Azure's to evaluate.
    assert values == ["[parameters('notificationUrls')]", "[parameters('onCallUrls')]", "[unknown()]"]
    assert secure == ["notificationUrls", "onCallUrls", "approverUrls"]
    elsewhere = [one.id for one in existing.resources if one.type != SECRET]
    assert [one for one in elsewhere if "parameters(" in json.dumps(one)] == []


def test_the_webhooks_secret_is_made_once(default: Snapshot) -> None:
    """Where the vault has one of the name it stays; the value is random, and of the form that the app takes."""
    text = (INFRA / "modules" / "key_vault" / "webhook_secret.bicep").read_text()
    [secret] = default.of_type(SECRET)
    made = "[format('whsec_{0}', base64(replace(format('{0}{1}', newGuid(), newGuid()), '-', '')))]"
    like_it = PREFIX + base64.b64encode("".join(uuid.uuid4().hex for _ in range(2)).encode()).decode()

    assert re.search(r"^@onlyIfNotExists\(\)\nresource secret ", text, re.MULTILINE)
    assert re.search(r"^@secure\(\)\n@description\(.*\nparam made string = ", text, re.MULTILINE)
    assert "output" not in text.replace("no parameter, output", "")
    assert (secret.name.rpartition("/")[2], secret.properties["value"]) == ("approval-webhook", made)
    assert signing_secrets(SecretStr(like_it)) == [like_it]
    assert default.settings[APPROVAL].endswith(";SecretName=approval-webhook)")


def test_approvers_arrive_as_the_app_reads_them(existing: Snapshot, default: Snapshot) -> None:
    """A list, and an empty one where none is given: pre-flight says then what is missing."""
    assert json.loads(existing.settings["KEYTURN_APPROVERS"]) == ["5b5450db-eb26-4c1a-981c-ba1d25f0483d"]
    assert default.settings["KEYTURN_APPROVERS"] == "[]"


def test_outputs_are_named_like_the_settings(default: Snapshot) -> None:
    """An output that a command line reads has the name of the setting; the others are azd's, or the runbooks'."""
    others = {
        "AZURE_LOCATION",
        "AZURE_RESOURCE_GROUP",
        "AZURE_TENANT_ID",
        "DURABLE_TASK_SCHEDULER_ENDPOINT",
        "KEYTURN_APPROVAL_SECRET_NAME",
        "KEYTURN_ENTRA_CLIENT_ID",
        "KEYTURN_IDENTITY_PRINCIPAL_ID",
        "KEYTURN_URL",
        "SERVICE_API_NAME",
    }

    assert set(default.outputs) - _read() == others


def _read() -> set[str]:
    of_the_app = {name.upper() for name in Settings.model_fields} - {"KEYRINGS", "POLICY"}
    of_policy = {f"{POLICY_PREFIX}{name}".upper() for name in Policy.model_fields}
    return of_the_app | of_policy | set(KEYRING_VARIABLES.values()) | {KEYRINGS} | _named_by_the_host()


def _named_by_the_host() -> set[str]:
    host = json.loads((ROOT / "host.json").read_text())
    triggers = "".join(path.read_text() for path in sorted((ROOT / "triggers").glob("*.py")))
    connection = host["extensions"]["durableTask"]["storageProvider"]["connectionStringName"]
    return {connection, *re.findall(r'"%(\w+)%"', json.dumps(host) + triggers)}


def _set(default: Snapshot) -> set[str]:
    return set(default.settings) - PLATFORM - {NO_RECEIVER} | CHANNELS


def _default(variable: str) -> str:
    if variable in SAID_IN_WORDS:
        return SAID_IN_WORDS[variable]
    models: tuple[tuple[Any, dict[str, str]], ...] = (
        (Policy, {f"{POLICY_PREFIX}{name}".upper(): name for name in Policy.model_fields}),
        (Settings, {name.upper(): name for name in Settings.model_fields}),
        (Keyring, {KEYRING_VARIABLES[field.alias or ""]: name for name, field in Keyring.model_fields.items()}),
    )
    for model, names in models:
        if variable in names:
            values = model.model_construct().model_dump(mode="json", by_alias=True, include={names[variable]})
            [value] = values.values()
            return "not set" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"
    raise LookupError(variable)

"""The app's settings, read from the environment.

The runbook's own variables (``FIELD_ENCRYPT_*``, ``AZURE_KEYVAULT_URL``) describe one keyring; ``KEYTURN_KEYRINGS``, a
JSON list of keyrings, describes several and then stands alone. Durations are ISO 8601 (``PT24H``) or seconds. A
variable that is empty counts as not set.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from keyturn.contracts.base import OBJECT_ID, PersonName, Policy
from keyturn.errors import UnknownKeyringError, one_of
from keyturn.key_vault.pacing import operations_per_second
from keyturn.settings.channels import approvers_channels, channels_of
from keyturn.settings.errors import Place, first_failure, settings_error
from keyturn.settings.keyring import Keyring, same_vault
from keyturn.settings.types import (
    UNRESOLVED,
    ActiontrailUrl,
    CosmosEndpoint,
    CosmosName,
    CosmosResourceId,
    Duration,
    MaintenanceWindow,
    ManagementUrl,
    PublicUrl,
    SixFieldCron,
    VaultUrl,
    checked,
    number,
    signing_secrets,
)

POLICY_PREFIX = "KEYTURN_"

# The property of a keyring that stands alone -> the variable that holds it.
KEYRING_VARIABLES = {
    "name": "KEYTURN_KEYRING",
    "encryptionEnabled": "FIELD_ENCRYPT_ENABLED",
    "keyProvider": "FIELD_ENCRYPT_KEY_PROVIDER",
    "vaultUrl": "AZURE_KEYVAULT_URL",
    "mekName": "FIELD_ENCRYPT_MEK_NAME",
    "cosmosDatabase": "COSMOS_DATABASE",
    "dekContainer": "DEK_CONTAINER",
    "documents": "KEYTURN_DOCUMENTS",
    "rowNames": "KEYTURN_ROW_NAMES",
    "defaultAlgorithm": "KEYTURN_DEFAULT_ALGORITHM",
    "verifyChallengeResource": "KEYTURN_VERIFY_CHALLENGE_RESOURCE",
    "healthUrls": "KEYTURN_HEALTH_URLS",
}
KEYRINGS = "KEYTURN_KEYRINGS"
BUDGET = "KEYTURN_VAULT_OPERATIONS_PER_SECOND"  # where it is not given, it follows from the share

NOT_SET = ""  # no form of a text allows it, so that its error says what is expected

# The name that App Service gives the app; Core Tools and the local host, which serve plain HTTP, set it to localhost.
HOSTNAME = "WEBSITE_HOSTNAME"

# Variables that hold JSON.
_JSON = (
    *(KEYRINGS, "KEYTURN_DOCUMENTS", "KEYTURN_ROW_NAMES", "KEYTURN_HEALTH_URLS", "KEYTURN_WINDOWS"),
    *("KEYTURN_APPROVERS", "APPROVER_URLS"),
)

# Either is set where App Service Authentication stands in front of the app.
_SIGN_IN = ("website_auth_enabled", "override_use_mi_fic_assertion_clientid")


class Settings(BaseModel):
    """Everything the app reads from its environment; but for the keyrings, fields are named after their variables."""

    model_config = ConfigDict(frozen=True)

    keyrings: Annotated[list[Keyring], Field(min_length=1)]  # what can be rotated

    # Where things are.
    cosmos_endpoint: CosmosEndpoint
    keyturn_database: CosmosName
    keyturn_container: CosmosName = "keyturn"

    # Where a backup of the MEK is kept before every rotation, and for how long: a container of KEYTURN_DATABASE that is
    # partitioned by /keyring and in which documents may expire; KEYTURN_CONTAINER where nothing else is said.
    keyturn_key_backup_container: CosmosName
    keyturn_key_backup_retention: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=10_000))] = (
        timedelta(days=365)
    )

    # The vault, of the same subscription and geography, in which the newest backup is tried every month; without it, in
    # none. The app deletes and purges the copy of the key there, so no other use may share it.
    keyturn_key_backup_drill_vault_url: VaultUrl | None = None

    # Whom to believe: the principal of App Service Authentication, or whom a function key lets in. There is no default:
    # it must not follow from something else that is missing. The platform itself sets WEBSITE_AUTH_ENABLED; without it
    # the former is refused, because then anybody could make a principal up.
    website_auth_enabled: bool = False
    override_use_mi_fic_assertion_clientid: str | None = None  # what App Service signs people in by
    keyturn_access: Literal["entra", "keys"]

    # Secrets of the approval webhook, several separated by spaces while one replaces another; ``whsec_`` + base64.
    approval_webhook_secrets: Annotated[SecretStr, checked(signing_secrets)] | None = None

    # Who gets a link to the page on which evidence is shown and decided on, where that page is, and how long it opens.
    # By object id in Entra ID where people sign in, else by name. Where a function key is all that callers need, its
    # holder can be two people, so that there are links only where the setting allows them.
    keyturn_approvers: Annotated[list[PersonName], Field(max_length=50)] = Field(default_factory=list)
    keyturn_links_without_sign_in: bool = False
    keyturn_public_url: PublicUrl | None = None  # where it is not given: WEBSITE_HOSTNAME, which App Service sets
    keyturn_approval_link_expiry: Duration = timedelta(hours=24)

    # Where every audit event is delivered, and the secrets that sign it, in the same form; without the URL, nowhere.
    actiontrail_url: ActiontrailUrl | None = None
    actiontrail_secrets: Annotated[SecretStr | None, Field(validate_default=True)] = None
    outbox_tick: SixFieldCron = "*/30 * * * * *"  # how often the timer looks for what is to be delivered

    # Who is told: apprise URLs separated by spaces; people on call of what is urgent, the others of everything.
    notification_urls: Annotated[SecretStr, checked(partial(channels_of, "NOTIFICATION_URLS"))] | None = None
    on_call_urls: Annotated[SecretStr, checked(partial(channels_of, "ON_CALL_URLS"))] | None = None
    # For links to decide, by who is named in the approvers.
    approver_urls: Annotated[dict[PersonName, SecretStr], checked(approvers_channels)] = Field(default_factory=dict)

    keyturn_telemetry: Literal["console"] | None = None  # beside what the variables of the exporters ask for

    # When a rotation is due, and how often the timer looks. UTC.
    rotation_schedule: SixFieldCron = "0 0 3 1 * *"
    schedule_tick: SixFieldCron = "0 0 5 * * *"
    # How late a rotation may be completed before people are told: a soak of a day, a week to decide, and some more.
    keyturn_overdue_after: Duration = timedelta(days=10)

    # Rotations of a keyring that may begin within 24 hours: so many by people, by the schedule, and as dry runs each.
    keyturn_starts_per_day: Annotated[int, Field(ge=1, le=1000)] = 5

    # Pre-flight. Without windows a rotation may start at any time.
    keyturn_windows: list[MaintenanceWindow] = Field(default_factory=list)
    keyturn_on_call_required: bool = False  # whether a rotation may start only if the on-call channel was reached
    keyturn_cosmos_resource_id: CosmosResourceId | None = None  # whose backup policy is read
    keyturn_resource_manager_url: ManagementUrl = "https://management.azure.com"

    # Of the vault's published limit, what a rotation may take; the rest is for live traffic.
    keyturn_vault_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    keyturn_vault_hsm: bool = False  # the MEK is kept in an HSM (RSA-HSM), whose limits are lower

    policy: Policy

    @field_validator("keyrings")
    @classmethod
    def _keyrings_are_apart(cls, keyrings: list[Keyring]) -> list[Keyring]:
        if len({keyring.name for keyring in keyrings}) < len(keyrings):
            raise ValueError("a keyring is named twice")
        # A rotation retires versions once the rows of its own store have left them: no other store may use the MEK.
        if len({(one.vault_url.rstrip("/").lower(), one.mek_name.lower()) for one in keyrings}) < len(keyrings):
            raise ValueError("a MEK belongs to two keyrings")
        return keyrings

    @field_validator("keyturn_key_backup_drill_vault_url")
    @classmethod
    def _drills_are_apart(cls, url: str | None, others: ValidationInfo) -> str | None:
        if url is not None and any(same_vault(url, one.vault_url) for one in others.data.get("keyrings", [])):
            raise ValueError("expected a vault to be thrown away, and no keyring's own")
        return url

    @field_validator("keyturn_access")
    @classmethod
    def _sign_in_counts(cls, access: str, others: ValidationInfo) -> str:
        behind = [name.upper() for name in _SIGN_IN if others.data.get(name)]
        if access == "keys" and behind:
            raise ValueError(f"expected entra: people sign in in front of the app, as {behind[0]} says")
        return access

    @field_validator("keyturn_approvers", "approver_urls")
    @classmethod
    def _approvers_are_known[A: list[str] | dict[str, SecretStr]](cls, approvers: A, others: ValidationInfo) -> A:
        found = [re.match(OBJECT_ID, approver) for approver in approvers]
        if others.data.get("keyturn_access") == "entra" and not all(found):
            number = found.index(None) + 1
            raise ValueError(f"expected object ids of Entra ID, as people sign in; number {number} is none")
        return approvers

    @field_validator("actiontrail_secrets")
    @classmethod
    def _events_are_signed(cls, secrets: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if others.data.get("actiontrail_url") is not None:
            signing_secrets(secrets)
        return secrets

    def keyring(self, name: str | None) -> Keyring:
        """Return the keyring of that name, or the only one; raises UnknownKeyringError."""
        known = {keyring.name: keyring for keyring in self.keyrings}
        if name is None and len(known) == 1:
            return self.keyrings[0]
        if name not in known:
            said = f"there is no keyring {name!r}" if name else "the request must name a keyring"
            raise UnknownKeyringError(
                f"{said}: expected {one_of(known, name)}",
                hint="see what there is: keyturn keyrings",
                keyring=name,
                known=sorted(known),
            )
        return known[name]

    def link_secrets(self) -> list[str]:
        """Return the secrets that links are signed with; empty means that there are none and that none is good."""
        links = self.keyturn_access == "entra" or self.keyturn_links_without_sign_in
        return self.approval_secrets() if links else []

    def approval_secrets(self) -> list[str]:
        """Return the active webhook secrets; empty means that no decision can be taken over the webhook."""
        secret = self.approval_webhook_secrets
        return [] if secret is None else secret.get_secret_value().split()


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: names the variable, the place in its JSON, what it holds (masked where secret) and what was
            expected.
    """
    values: dict[str, Any] = {name.upper(): value for name, value in environment.items() if value}
    # What probes' headers name fails its probe alone: an operator's command, and the app, go on without it.
    probes = f"{values.get('KEYTURN_HEALTH_URLS', '')}{values.get(KEYRINGS, '')}".upper()
    for name, value in values.items():
        if value.startswith(UNRESOLVED) and f'"{name}"' not in probes:
            expected = "expected the secret itself: the platform could not resolve its Key Vault reference"
            raise settings_error(Place(name), value, expected)
    values |= {name: _json(name, values[name]) for name in _JSON if name in values}
    named = {name: values[name.upper()] for name in Settings.model_fields if name.upper() in values}
    described = {
        "cosmos_endpoint": NOT_SET,
        "keyturn_access": NOT_SET,
        "keyturn_database": values.get("COSMOS_DATABASE", NOT_SET),
        "keyturn_key_backup_container": values.get("KEYTURN_CONTAINER", "keyturn"),
        **_public_url(values.get(HOSTNAME)),
        **named,
        "keyrings": values[KEYRINGS] if KEYRINGS in values else [_one_keyring(values)],
        "policy": _prefixed(values),
    }
    try:
        settings = Settings.model_validate(described, context=values)
    except ValidationError as error:
        raise first_failure(error, KEYRING_VARIABLES, KEYRINGS if KEYRINGS in values else "") from None
    return settings if BUDGET in values else _with_budget(settings)


def _with_budget(settings: Settings) -> Settings:
    key_type = "RSA-HSM" if settings.keyturn_vault_hsm else "RSA"
    budget = operations_per_second(key_type, settings.policy.key_size, settings.keyturn_vault_share)
    policy = settings.policy.model_copy(update={"vault_operations_per_second": budget})
    return settings.model_copy(update={"policy": policy})


def _public_url(host: str | None) -> dict[str, str]:
    if host is None:
        return {}
    return {"keyturn_public_url": f"{'http' if host.startswith(('localhost:', '127.0.0.1:')) else 'https'}://{host}"}


def _one_keyring(values: Mapping[str, Any]) -> dict[str, Any]:
    described = {name: values[variable] for name, variable in KEYRING_VARIABLES.items() if variable in values}
    # Here FIELD_ENCRYPT_ENABLED means what it means to the backend: not enabled unless it says so.
    needed = dict.fromkeys(("vaultUrl", "mekName", "cosmosDatabase"), NOT_SET)
    return {"name": "default", "encryptionEnabled": False, **needed, **described}


def _prefixed(values: Mapping[str, Any]) -> dict[str, Any]:
    variables = {field: f"{POLICY_PREFIX}{field}".upper() for field in Policy.model_fields}
    return {field: number(values[variable]) for field, variable in variables.items() if variable in values}


def _json(variable: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise settings_error(Place(variable), text, f"expected JSON: {error}") from None

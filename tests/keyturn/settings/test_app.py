"""The settings as the app reads them: one keyring or several, defaults, the budget."""

import base64
import json
from datetime import timedelta

import pytest

from keyturn.errors import SettingsError, UnknownKeyringError
from keyturn.settings import load_settings
from tests.keyturn.settings.environment import RUNBOOK, keyring, settings_of


def test_the_runbooks_variables_describe_one_keyring() -> None:
    """The variables that the backend has anyway are enough for a keyring."""
    loaded = settings_of(KEYTURN_KEYRING="notes", KEYTURN_DOCUMENTS='[{"name": "notes", "fields": ["title"]}]')

    [only] = loaded.keyrings
    assert (only.name, only.encryption_enabled, only.key_provider) == ("notes", True, "akv")
    assert (only.cosmos_database, only.dek_container, only.documents[0].fields) == ("notes", "dek_store", ["title"])
    assert loaded.keyring(None) == only


def test_encryption_is_off_unless_the_environment_says_so() -> None:
    """Pre-flight must find FIELD_ENCRYPT_ENABLED missing, as the backend does."""
    environment = {name: value for name, value in RUNBOOK.items() if name != "FIELD_ENCRYPT_ENABLED"}

    assert not load_settings(environment).keyrings[0].encryption_enabled


def test_several_keyrings_stand_alone() -> None:
    """KEYTURN_KEYRINGS needs none of the runbook's variables, and a request must then name its keyring."""
    listed = json.dumps([keyring("notes"), keyring("files", dekContainer="file_deks", encryptionEnabled=False)])
    needed = {name: RUNBOOK[name] for name in ("COSMOS_ENDPOINT", "KEYTURN_ACCESS")}
    environment = {**needed, "KEYTURN_DATABASE": "keyturn"}

    loaded = load_settings({**environment, "KEYTURN_KEYRINGS": listed})

    assert [found.name for found in loaded.keyrings] == ["notes", "files"]
    assert (loaded.keyring("files").dek_container, loaded.keyturn_database) == ("file_deks", "keyturn")
    with pytest.raises(UnknownKeyringError) as refused:
        loaded.keyring(None)
    assert refused.value.facts["known"] == ["files", "notes"]
    with pytest.raises(UnknownKeyringError, match=r"one of files, notes; did you mean notes\?"):
        loaded.keyring("note")


def test_a_policy_is_read_from_its_variables() -> None:
    """Each property of the policy has a variable; durations are ISO 8601 or seconds."""
    policy = settings_of(KEYTURN_SOAK="PT2H", KEYTURN_QUIET_INTERVAL="90", KEYTURN_PROOF="sample:50").policy

    assert (
        policy.soak,
        policy.quiet_interval,
        policy.to_payload()["proof"],
    ) == (timedelta(hours=2), timedelta(seconds=90), "sample:50")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 35.0),
        ({"KEYTURN_KEY_SIZE": "2048"}, 280.0),
        ({"KEYTURN_KEY_SIZE": "3072", "KEYTURN_VAULT_SHARE": "0.5"}, 50.0),
        ({"KEYTURN_VAULT_HSM": "true"}, 17.5),
        ({"KEYTURN_VAULT_HSM": "true", "KEYTURN_VAULT_OPERATIONS_PER_SECOND": "20"}, 20.0),
    ],
)
def test_the_budget_is_a_share_of_what_the_vault_publishes(variables: dict[str, str], expected: float) -> None:
    """Without a number of its own the budget follows from the key's size, its protection and the share."""
    assert pytest.approx(expected) == settings_of(**variables).policy.vault_operations_per_second


def test_an_empty_variable_counts_as_not_set() -> None:
    """Deployment tools write empty values for what they do not know."""
    loaded = settings_of(KEYTURN_COSMOS_RESOURCE_ID="", KEYTURN_WINDOWS="", KEYTURN_VAULT_SHARE="")

    assert (loaded.keyturn_cosmos_resource_id, loaded.keyturn_windows, loaded.keyturn_vault_share) == (None, [], 0.7)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"WEBSITE_HOSTNAME": "func-keyturn.azurewebsites.net"}, "https://func-keyturn.azurewebsites.net"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, "http://localhost:7071"),
        ({"WEBSITE_HOSTNAME": "func.example", "KEYTURN_PUBLIC_URL": "https://keys.example"}, "https://keys.example"),
        ({"WEBSITE_HOSTNAME": "func.example", "KEYTURN_PUBLIC_URL": ""}, "https://func.example"),
    ],
)
def test_the_public_url_is_the_platforms_unless_one_is_set(variables: dict[str, str], expected: str | None) -> None:
    """App Service says under which name it serves the app; a host on this machine serves plain HTTP."""
    assert settings_of(**variables).keyturn_public_url == expected


def test_a_host_name_that_is_none_is_refused() -> None:
    """The error is about the setting that it stands in for."""
    with pytest.raises(SettingsError) as raised:
        settings_of(WEBSITE_HOSTNAME="no host")

    assert raised.value.facts["variable"] == "KEYTURN_PUBLIC_URL"


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process happens to have in its environment plays no part."""
    monkeypatch.setenv("KEYTURN_CONTAINER", "other")
    monkeypatch.setenv("AZURE_KEYVAULT_URL", "https://other.vault.azure.net")

    loaded = settings_of()

    assert ("keyturn", RUNBOOK["AZURE_KEYVAULT_URL"]) == (loaded.keyturn_container, loaded.keyrings[0].vault_url)


def test_secrets_of_the_webhook_are_several_and_hidden() -> None:
    """Secrets are separated by spaces, and no representation shows them."""
    one, other = (f"whsec_{base64.b64encode(bytes([number]) * 24).decode()}" for number in (1, 2))

    loaded = settings_of(APPROVAL_WEBHOOK_SECRETS=f"{one} {other}")

    assert loaded.approval_secrets() == [one, other]
    assert "whsec" not in repr(loaded)


@pytest.mark.parametrize("variable", ["APPROVAL_WEBHOOK_SECRETS", "ACTIONTRAIL_SECRETS", "COSMOS_DATABASE"])
def test_a_reference_that_the_platform_could_not_resolve_is_refused(variable: str) -> None:
    """What stands there is not the secret: whoever knows the reference would know the secret."""
    reference = "@Microsoft.KeyVault(VaultName=kv;SecretName=approvals)"

    with pytest.raises(SettingsError, match="could not resolve its Key Vault reference") as raised:
        settings_of(**{variable: reference})

    assert raised.value.facts["variable"] == variable


@pytest.mark.parametrize("secrets", ["whsec_", "whsec_b25l", "b" * 40, f"whsec_{'QUJD' * 8} other", "whsec_ä"])
def test_a_webhook_secret_has_its_form(secrets: str) -> None:
    """Too short, without its prefix, no base64: refused when the settings are read, and never shown."""
    with pytest.raises(SettingsError) as raised:
        settings_of(APPROVAL_WEBHOOK_SECRETS=secrets)

    assert (raised.value.facts["variable"], raised.value.facts["value"]) == ("APPROVAL_WEBHOOK_SECRETS", "(masked)")


@pytest.mark.parametrize(("text", "expected"), [("PT2H", timedelta(hours=2)), ("90", timedelta(seconds=90))])
def test_how_long_links_open_is_a_duration(text: str, expected: timedelta) -> None:
    """ISO 8601 or seconds, like every duration."""
    assert settings_of(KEYTURN_APPROVAL_LINK_EXPIRY=text).keyturn_approval_link_expiry == expected


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KEYTURN_APPROVAL_LINK_EXPIRY", "PT0S"),
        ("KEYTURN_APPROVERS", '[""]'),
        ("KEYTURN_APPROVERS", "sam@example.com"),
        ("KEYTURN_PUBLIC_URL", "http://keyturn.example"),
        ("KEYTURN_PUBLIC_URL", "https://user@keyturn.example"),
        ("KEYTURN_PUBLIC_URL", "https://keyturn.example/app"),
        ("KEYTURN_ACCESS", "none"),
    ],
)
def test_access_settings_are_checked(variable: str, text: str) -> None:
    """Each names its variable."""
    with pytest.raises(SettingsError) as raised:
        settings_of(**{variable: text})

    assert raised.value.facts["variable"] == variable

"""A setting that is off is named as its operator knows it: its variable, what it holds, what belongs there."""

import json
from typing import Any

import pytest

from tests.keyturn.settings.environment import failure, keyring


def keyrings(*listed: Any) -> dict[str, str | None]:
    """Return the variable that lists these keyrings."""
    return {"KEYTURN_KEYRINGS": json.dumps(listed)}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("AZURE_KEYVAULT_URL", None, "the vault's URL"),
        ("AZURE_KEYVAULT_URL", "http://notes.vault.azure.net", "the vault's URL"),
        ("AZURE_KEYVAULT_URL", "https://notes.vault.azure.net/keys", "the vault's URL"),
        ("FIELD_ENCRYPT_MEK_NAME", None, "a key's name"),
        ("FIELD_ENCRYPT_ENABLED", "perhaps", "boolean"),
        ("FIELD_ENCRYPT_KEY_PROVIDER", "gcp", "'akv' or 'env'"),
        ("COSMOS_ENDPOINT", None, "the account's URL"),
        ("COSMOS_DATABASE", None, "a name in Cosmos DB"),
        ("KEYTURN_KEYRING", "No.Dots", "lower-case letters"),
        ("KEYTURN_KEY_SIZE", "1024", "2048, 3072 or 4096"),
        ("KEYTURN_SOAK", "a day", "timedelta"),
        ("KEYTURN_PROOF", "sample:0", "sample:N"),
        ("KEYTURN_VAULT_SHARE", "1.5", "less than or equal to 1"),
        ("KEYTURN_VAULT_HSM", "perhaps", "boolean"),
        ("KEYTURN_VAULT_OPERATIONS_PER_SECOND", "0", "greater than 0"),
        ("KEYTURN_VERIFY_CHALLENGE_RESOURCE", "false", "loopback"),
        ("KEYTURN_COSMOS_RESOURCE_ID", "notes", "the account's resource id"),
        ("KEYTURN_RESOURCE_MANAGER_URL", "management.azure.com", "the URL of Azure Resource Manager"),
        ("KEYTURN_ON_CALL_REQUIRED", "perhaps", "boolean"),
        ("ROTATION_SCHEDULE", "0 3 1 * *", "six fields"),
        ("SCHEDULE_TICK", "0 0 25 * * *", "six fields"),
        ("KEYTURN_DOCUMENTS", "[", "JSON"),
    ],
)
def test_a_bad_variable_is_named(variable: str, value: str | None, expected: str) -> None:
    """The error names the variable, says what it holds, and what was expected."""
    error = failure({variable: value})

    assert error.facts["variable"] == variable
    assert (repr(value) if value is not None else None) == error.facts["value"]
    assert expected in error.facts["expected"]
    assert variable in error.message
    assert (repr(value) if value is not None else "is not set") in error.message


@pytest.mark.parametrize(
    ("variables", "variable", "path"),
    [
        (keyrings(keyring("notes"), keyring("Files")), "KEYTURN_KEYRINGS", "$[1].name"),
        (keyrings(keyring("notes", vaultUrl="http://x")), "KEYTURN_KEYRINGS", "$[0].vaultUrl"),
        (keyrings(keyring("notes", rowNames={"colour": "red"})), "KEYTURN_KEYRINGS", "$[0].rowNames.colour"),
        (keyrings({"name": "notes"}), "KEYTURN_KEYRINGS", "$[0].vaultUrl"),
        (keyrings(), "KEYTURN_KEYRINGS", ""),
        ({"KEYTURN_DOCUMENTS": '[{"name": "notes", "fields": []}]'}, "KEYTURN_DOCUMENTS", "$[0].fields"),
        (
            {"KEYTURN_DOCUMENTS": '[{"name": "notes", "fields": ["title"], "deterministic": ["parts/*/text"]}]'},
            "KEYTURN_DOCUMENTS",
            "$[0]",
        ),
        (
            {"KEYTURN_DOCUMENTS": '[{"name": "notes", "fields": ["title"], "context": "people"}]'},
            "KEYTURN_DOCUMENTS",
            "$[0].context",
        ),
        ({"KEYTURN_HEALTH_URLS": '["https://notes", "ftp://notes"]'}, "KEYTURN_HEALTH_URLS", "$[1]"),
        ({"KEYTURN_HEALTH_URLS": '["https://ops:secret@notes/health"]'}, "KEYTURN_HEALTH_URLS", "$[0]"),
        ({"KEYTURN_ROW_NAMES": '{"mekVersion": 1}'}, "KEYTURN_ROW_NAMES", "$.mekVersion"),
        ({"KEYTURN_WINDOWS": '[{"cron": "0 2 * * *", "duration": "PT1S"}]'}, "KEYTURN_WINDOWS", "$[0].duration"),
        ({"KEYTURN_WINDOWS": '[{"cron": "at night", "duration": "PT1H"}]'}, "KEYTURN_WINDOWS", "$[0].cron"),
        (
            {"KEYTURN_WINDOWS": '[{"cron": "0 2 * * *", "duration": "PT1H", "timeZone": "Mars/Olympus"}]'},
            "KEYTURN_WINDOWS",
            "$[0].timeZone",
        ),
    ],
)
def test_a_bad_place_in_json_is_named(variables: dict[str, str | None], variable: str, path: str) -> None:
    """In a variable that holds JSON the error names the place as JSONPath."""
    error = failure(variables)

    assert (error.facts["variable"], error.facts["jsonPath"]) == (variable, path)
    assert path in error.message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COSMOS_ENDPOINT", "AccountEndpoint=https://notes.documents.azure.com;AccountKey=c2VjcmV0"),
        ("AZURE_KEYVAULT_URL", "https://someone:c2VjcmV0@notes.vault.azure.net"),
        ("KEYTURN_KEYRING", "whsec_c2VjcmV0"),
        ("KEYTURN_DOCUMENTS", '{"sig=": "c2VjcmV0"'),
    ],
)
def test_a_secret_in_the_wrong_variable_is_masked(variable: str, value: str) -> None:
    """A value that looks like a credential is not repeated."""
    error = failure({variable: value})

    assert error.facts["variable"] == variable
    assert error.facts["value"] == "(masked)"
    assert "c2VjcmV0" not in f"{error.message} {error.facts}"


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (keyring("notes", mekName="other"), "a keyring is named twice"),
        (keyring("files", mekName="NOTES-mek", vaultUrl="https://NOTES.vault.azure.net/"), "belongs to two keyrings"),
    ],
)
def test_keyrings_must_be_apart(second: dict[str, Any], problem: str) -> None:
    """Neither a name nor a MEK may belong to two keyrings: retiring a version would strand the other one's rows."""
    error = failure(keyrings(keyring("notes"), second))

    assert error.facts["variable"] == "KEYTURN_KEYRINGS"
    assert problem in error.message

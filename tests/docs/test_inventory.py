"""The tables of the runbook of secrets: what the code reads, the templates deploy and the workflows name."""

import importlib
import re
from pathlib import Path
from pkgutil import iter_modules

import pytest
from pydantic import BaseModel, SecretStr

from field_encrypt.env_provider import KEY_VARIABLE
from keyturn import settings as package
from keyturn.settings import HealthProbe, Keyring, Settings
from local.backend.settings import BackendSettings
from local.functions_host.keys import Keys
from tests.docs.runbook import Runbook
from tests.end_to_end.command_line import REPOSITORY
from tests.infra.snapshots import INFRA, read_snapshots

PAGE = Runbook("SECRET_MANAGEMENT.md")
OWNERS = ("The backend", "Keyturn", "The pipeline")
SNAPSHOTS = read_snapshots()
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
REFERENCE = re.compile(r"@Microsoft\.KeyVault\(VaultName=[\w-]+;SecretName=([\w-]+)\)")
# What a reader would take for a secret, by its name.
SUSPECT = re.compile(r"SECRET|PASSWORD|CREDENTIAL|CONNECTION|AUTHENTICATION|TOKEN|KEY(?!TURN)", re.IGNORECASE)
NAME = re.compile(r"`([A-Za-z][\w./-]*)`")


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next."""
    return PAGE.text.partition(f"\n### {heading}\n")[2].partition("\n#")[0]


def rows(owner: str) -> list[list[str]]:
    """Return the cells of an owner's table."""
    lines = [line for line in section(owner).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def named(owner: str, kind: str) -> set[str]:
    """Return the names, or the words, in the first column of rows of a kind."""
    return {
        name
        for row in rows(owner)
        if row[1] == kind
        for name in (NAME.findall(row[0]) or [row[0].partition(" key")[0]])
    }


def secret_fields(model: type[BaseModel]) -> set[str]:
    """Return the variables of a model's fields that are marked secret."""
    return {name.upper() for name, field in model.model_fields.items() if SecretStr.__name__ in repr(field.annotation)}


def settings_models() -> set[type[BaseModel]]:
    """Return every model of the settings."""
    modules = [importlib.import_module(f"{package.__name__}.{each.name}") for each in iter_modules(package.__path__)]
    members = [member for module in modules for member in vars(module).values()]
    return {member for member in members if isinstance(member, type) and issubclass(member, BaseModel)}


def test_every_secret_says_who_reads_it_and_where_it_comes_from() -> None:
    """No cell is empty, and the last one says how it is replaced."""
    for owner in OWNERS:
        assert len(rows(owner)) > 4, owner
        assert [row for row in rows(owner) if len(row) != 5 or not all(row)] == []


def test_the_backends_table_is_what_the_backend_reads() -> None:
    """Its settings that are marked secret, and the library's own: no more, no less."""
    assert named("The backend", "setting") == secret_fields(BackendSettings) | {KEY_VARIABLE}


def test_keyturns_table_is_what_the_app_reads() -> None:
    """Every setting that is marked secret, and the settings that a probe's headers name; no other model has one."""
    assert named("Keyturn", "setting") == secret_fields(Settings)
    assert {row[0].split()[0].upper() for row in rows("Keyturn") if row[1] == "app setting"} == secret_fields(
        HealthProbe
    )
    assert {model for model in settings_models() if secret_fields(model)} == {Settings, HealthProbe}
    assert Keyring in settings_models()


def test_the_hosts_keys_are_in_the_table() -> None:
    """Each kind of them."""
    assert named("Keyturn", "host key") == set(Keys.model_fields)


@pytest.mark.parametrize("variant", SNAPSHOTS)
def test_references_are_in_the_table(variant: str) -> None:
    """A setting that is a reference is one in the table, to the secret of the name that stands there."""
    references = {
        name: REFERENCE.fullmatch(value) for name, value in SNAPSHOTS[variant].settings.items() if "KeyVault(" in value
    }
    sources = {name: row[3] for row in rows("Keyturn") for name in NAME.findall(row[0])}

    assert "APPROVAL_WEBHOOK_SECRETS" in references
    for setting, found in references.items():
        assert found is not None, setting
        assert "by reference" in sources[setting]
        own_name = variant == "existing" and setting == "APPROVAL_WEBHOOK_SECRETS"  # a parameter of that variant
        assert own_name or f"`{found[1]}`" in sources[setting]


def test_the_vaults_secrets_are_in_the_table() -> None:
    """Every secret that a variant writes, and every secure parameter that it is written from."""
    written = {
        each.name.partition("/")[2]
        for found in SNAPSHOTS.values()
        for each in found.of_type("Microsoft.KeyVault/vaults/secrets")
    }
    secure = re.findall(r"@secure\(\)\n(?:@description\([^\n]*\)\n)?param (\w+)", (INFRA / "main.bicep").read_text())
    listed = {name for row in rows("Keyturn") for name in NAME.findall(row[3])}

    assert written - {"notes-approvals"} <= listed  # a name that the variant's parameters give
    assert set(secure) <= listed
    assert len(secure) >= 3


@pytest.mark.parametrize("variant", SNAPSHOTS)
def test_identities_are_in_the_table(variant: str) -> None:
    """Each identity that is deployed, and the credential by which people are signed in."""
    found = SNAPSHOTS[variant]
    identities = {each.name for each in found.of_type("Microsoft.ManagedIdentity/userAssignedIdentities")}
    sign_in = {
        provider["registration"]["clientSecretSettingName"]
        for each in found.of_type("Microsoft.Web/sites/config")
        for provider in each.properties.get("identityProviders", {}).values()
    }
    listed = {name for name in named("Keyturn", "identity") if name.startswith("id-")}

    assert {name.rpartition("-")[0] for name in identities} == listed
    assert sign_in <= named("Keyturn", "federated credential")
    assert sign_in or variant != "existing"


@pytest.mark.parametrize("variant", SNAPSHOTS)
def test_what_looks_like_a_secret_is_listed_as_none(variant: str) -> None:
    """Every setting whose name sounds like one is in Keyturn's table, or stands with what it holds instead."""
    listed = {name for row in rows("Keyturn") for name in NAME.findall(row[0])}
    listed |= set(NAME.findall(section("No secret, though it looks like one")))

    settings = {name for name in SNAPSHOTS[variant].settings if SUSPECT.search(name.removeprefix("KEYTURN_"))}
    assert settings <= listed
    assert "APPLICATIONINSIGHTS_CONNECTION_STRING" in settings


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_workflows_take_is_in_the_table(workflow: Path) -> None:
    """Every variable, every secret and every token of them stands in the pipeline's section."""
    text = workflow.read_text()
    listed = set(NAME.findall(section("The pipeline")))
    secrets = {name for row in rows("The pipeline") if row[1] == "secret" for name in NAME.findall(row[0])}

    assert set(re.findall(r"\bvars\.(\w+)", text)) <= listed
    assert set(re.findall(r"\bsecrets\.(\w+)", text)) <= secrets
    assert "github.token" in listed or "github.token" not in text


def test_the_pipelines_table_names_nothing_else() -> None:
    """What no workflow, and no example of one, takes any more, is not listed."""
    texts = [path.read_text() for path in (*WORKFLOWS, REPOSITORY / "docs" / "deploy.md")]
    taken = {name for text in texts for name in re.findall(r"\b(?:vars|secrets)\.(\w+)", text)}
    listed = {name for name in NAME.findall(section("The pipeline")) if name.isupper()}

    assert listed == taken - {"KEYTURN_URL", "APPROVERS"}  # of the example in docs/deploy.md: an address, and people


def test_federated_credentials_are_those_of_the_page_on_deployment() -> None:
    """Each identity that a workflow signs in as."""
    made = re.findall(r"az identity create --name (\S+)", (REPOSITORY / "docs" / "deploy.md").read_text())

    assert named("The pipeline", "federated credential") == set(made)

"""Rules of our own for the templates, and what a compiler would refuse."""

import json
import re
from itertools import chain

import pytest

from tests.infra.bicep import INFRA, ROLES, ROOT, Template, read_template, template_paths, walk

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

# Released versions that Microsoft's own templates and references use; the only preview has never had a release.
API_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Authorization/roleDefinitions": "2022-04-01",
    "Microsoft.DocumentDB/databaseAccounts": "2024-11-15",
    "Microsoft.DurableTask/schedulers": "2026-02-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.KeyVault/vaults": "2023-07-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/networkSecurityGroups": "2024-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2022-10-01",
    "Microsoft.Resources/resourceGroups": "2021-04-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Web/serverfarms": "2023-12-01",
    "Microsoft.Web/sites": "2023-12-01",
}


@pytest.mark.parametrize("name", [str(path.relative_to(INFRA)) for path in template_paths()])
def test_a_template_parses(name: str) -> None:
    """Every template can be read, and is not empty."""
    template = read_template(INFRA / name)

    assert template.resources or template.modules


def test_resource_versions_are_the_allowed_ones(templates: dict[str, Template]) -> None:
    """Every resource, children included, has the version allowed for its kind, and every allowed one is used."""
    used = {
        ("/".join(resource.type.split("/")[:2]), resource.api_version)
        for template in templates.values()
        for resource in template.resources.values()
    }

    assert set(API_VERSIONS.items()) == used


def test_roles_are_named_in_one_table(templates: dict[str, Template]) -> None:
    """No template holds a GUID; every role of the table is used, and every role used is in the table."""
    guids = [f"{name}: {found}" for name, template in templates.items() for found in GUID.findall(template.text)]
    used = set(
        chain.from_iterable(re.findall(r"(?<!/)\broles\.(\w+)", template.text) for template in templates.values())
    )

    assert guids == []
    assert used == set(ROLES)
    assert len(set(ROLES.values())) == len(ROLES)
    assert all(GUID.fullmatch(role) for role in ROLES.values())


def test_only_the_resource_group_is_at_subscription_scope(templates: dict[str, Template]) -> None:
    """At subscription scope nothing is made but the resource group, and no module is deployed there."""
    at_subscription = [
        resource.type
        for template in templates.values()
        if template.scope != "resourceGroup"
        for resource in template.resources.values()
    ]
    scopes = re.findall(r"^  scope: (.+)$", templates["main.bicep"].text, re.MULTILINE)

    assert at_subscription == ["Microsoft.Resources/resourceGroups"]
    assert len(templates["main.bicep"].modules) == len(scopes)
    assert set(scopes) == {"group"}


def test_modules_get_what_they_take(templates: dict[str, Template]) -> None:
    """A module exists, is given every parameter without a default and none that it does not have."""
    wrong = []
    for template in templates.values():
        for module in template.modules.values():
            taken = templates[str(module.path.relative_to(INFRA))].parameters
            needed = {name for name, parameter in taken.items() if parameter.get("default") is None}
            wrong += [f"{template.name}: {module.symbol} lacks {name}" for name in needed - module.params.keys()]
            wrong += [f"{template.name}: {module.symbol} has no {name}" for name in module.params.keys() - taken.keys()]

    assert wrong == []


def test_used_outputs_exist(templates: dict[str, Template]) -> None:
    """Every output of a module that a template uses is one that the module gives."""
    missing = []
    for template in templates.values():
        for symbol, output in template.used_outputs():
            given = templates[str(template.modules[symbol].path.relative_to(INFRA))].outputs
            missing += [f"{template.name}: {symbol}.{output}"] if output not in given else []

    assert missing == []


def test_everything_declared_is_used(templates: dict[str, Template]) -> None:
    """No parameter or variable is left over; no module's output but those of main.bicep, which azd and people read."""
    unused = []
    taken = {
        (str(template.modules[symbol].path.relative_to(INFRA)), output)
        for template in templates.values()
        for symbol, output in template.used_outputs()
    }
    for template in templates.values():
        declared = [*template.parameters, *template.parsed.get("variables", {})]
        unused += [
            f"{template.name}: {name}" for name in declared if len(re.findall(rf"\b{name}\b", template.text)) < 2
        ]
        if template.name != "main.bicep":
            unused += [
                f"{template.name}: output {name}" for name in template.outputs if (template.name, name) not in taken
            ]

    assert unused == []


def test_what_is_accessed_is_declared(templates: dict[str, Template]) -> None:
    """Whatever a property is taken of is a parameter, variable, resource, module or loop item of the same file."""
    undeclared = []
    for template in templates.values():
        declared = {
            name
            for part in ("parameters", "variables", "resources", "modules")
            for name in template.parsed.get(part, {})
        } | set(re.findall(r"\bfor (\w+) in", template.text))
        accessed = re.findall(
            r"(?<![\w.'/])([a-z]\w*)\.(?:id|name|key|value|outputs|properties)\b", _code(template.text)
        )
        undeclared += [f"{template.name}: {name}" for name in set(accessed) - declared]

    assert undeclared == []


def test_no_registry_module_hides_a_resource(templates: dict[str, Template]) -> None:
    """Modules are local files: checkov cannot look into those of a registry."""
    kinds = {
        module["type"] for template in templates.values() for module in template.parsed.get("modules", {}).values()
    }

    assert kinds == {"local"}


def test_parameter_file_gives_parameters_that_exist(main: Template) -> None:
    """The parameter file gives every parameter without a default, and none that main.bicep does not take."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    needed = {name for name, parameter in main.parameters.items() if parameter.get("default") is None}

    assert given.keys() - main.parameters.keys() == set()
    assert needed - given.keys() == set()


def test_python_is_the_same_version_everywhere(templates: dict[str, Template]) -> None:
    """The app runs on the Python that lint, types, continuous integration and bootstrap know."""
    runtime = templates["modules/app/function_app.bicep"].resources["app"].properties["functionAppConfig"]["runtime"]
    version = runtime["version"]
    pyproject = (ROOT / "pyproject.toml").read_text()

    assert runtime["name"] == "python"
    assert f'requires-python = ">={version}"' in pyproject
    assert f'python_version = "{version}"' in pyproject
    assert f'target-version = "py{version.replace(".", "")}"' in pyproject
    assert f"python{version} " in (ROOT / ".ci" / "run").read_text()
    assert f"python{version} " in (ROOT / "tools" / "bootstrap").read_text()
    told = [*sorted((ROOT / ".github" / "workflows").iterdir()), ROOT / "docs" / "deploy.md"]
    versions = [found for file in told for found in re.findall(r'python-version: "([^"]+)"', file.read_text())]
    assert [version] * len(told) == versions


def test_services_refuse_keys_and_old_tls(templates: dict[str, Template]) -> None:
    """Local authentication is off and TLS at least 1.2 where a service has the choice; the vault cannot be purged."""
    storage = templates["modules/storage.bicep"].resources["account"].properties
    cosmos = templates["modules/cosmos/account.bicep"].resources["account"].properties
    vault = templates["modules/key_vault/vault.bicep"].resources["vault"].properties
    app = templates["modules/app/function_app.bicep"].resources["app"].properties

    assert (
        storage["allowSharedKeyAccess"],
        storage["allowBlobPublicAccess"],
        storage["minimumTlsVersion"],
    ) == (False, False, "TLS1_2")
    assert (
        cosmos["disableLocalAuth"],
        cosmos["minimalTlsVersion"],
        cosmos["backupPolicy"]["type"],
    ) == (True, "Tls12", "Continuous")
    assert (
        vault["enableRbacAuthorization"],
        vault["enableSoftDelete"],
        vault["enablePurgeProtection"],
    ) == (True, True, True)
    assert (
        app["httpsOnly"],
        app["siteConfig"]["minTlsVersion"],
        app["siteConfig"]["scmMinTlsVersion"],
    ) == (True, "1.2", "1.2")


def test_private_is_the_default(templates: dict[str, Template], main: Template) -> None:
    """Without a word to the contrary nothing is on the public network, and modules on their own are closed as well."""
    closed = {"publicNetworkAccess": "Disabled", "networkDefaultAction": "Deny"}
    defaults = [
        (name, template.parameters[name]["default"])
        for template in templates.values()
        for name in closed
        if name in template.parameters
    ]

    assert main.parameters["privateNetwork"]["default"] is True
    assert defaults
    assert all(closed[name] == default for name, default in defaults)


def test_the_mek_is_never_rotated_by_the_vault(templates: dict[str, Template]) -> None:
    """The rotation policy only notifies: a version made by the vault would have no rows moved onto it."""
    policy = templates["modules/key_vault/mek.bicep"].resources["mek"].properties["rotationPolicy"]

    assert [action["action"]["type"] for action in policy["lifetimeActions"]] == ["notify"]
    assert "rotate" not in {value for value in walk(policy) if isinstance(value, str)}


def test_what_records_are_sorted_by_is_indexed(templates: dict[str, Template]) -> None:
    """Cosmos DB refuses to sort by a property that the container's index leaves out."""
    policy = templates["modules/cosmos/records.bicep"].resources["records"].properties["resource"]["indexingPolicy"]
    code = "".join(path.read_text() for path in sorted((ROOT / "keyturn").rglob("*.py")))
    sorted_by = {f"/{name}/?" for name in re.findall(r"ORDER BY c\.(\w+)", code)} - {"/id/?"}  # always indexed

    assert {"/sequence/?", "/fencingToken/?"} <= sorted_by
    assert sorted_by <= {included["path"] for included in policy["includedPaths"]}


def _code(text: str) -> str:
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)

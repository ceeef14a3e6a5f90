"""Rules of our own for the templates, by what they make of the variants' parameters."""

import json
import re
import subprocess
import sys

from local.seed.__main__ import CONTAINERS, indexing_only
from tests.infra.snapshots import INFRA, ROLES, ROOT, Snapshot, template_paths

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def test_roles_are_named_in_one_table(snapshots: dict[str, Snapshot]) -> None:
    """No template holds a GUID; the table has the built-in roles that are assigned, and no other."""
    guids = [f"{path.name}: {found}" for path in template_paths() for found in GUID.findall(path.read_text())]
    assigned = {
        assignment.properties["roleDefinitionId"]
        for snapshot in snapshots.values()
        for assignment in snapshot.of_type("Microsoft.Authorization/roleAssignments")
    }

    assert guids == []
    assert set(ROLES.values()) == {role.rpartition("/")[2] for role in assigned if "/resourceGroups/" not in role}
    assert len(set(ROLES.values())) == len(ROLES)


def test_only_the_resource_group_is_at_subscription_scope(snapshots: dict[str, Snapshot]) -> None:
    """At subscription scope nothing is made but the resource group, and no role is assigned on a whole group."""
    for snapshot in snapshots.values():
        group = snapshot.one("Microsoft.Resources/resourceGroups")
        outside = [resource.id for resource in snapshot.resources if not _in_a_group(resource.id)]
        on_a_group = [
            assignment.id
            for assignment in snapshot.of_type("Microsoft.Authorization/roleAssignments")
            if assignment.id.count("/providers/") < 2
        ]

        assert [group.id] == outside
        assert on_a_group == []


def test_no_resource_is_conditional() -> None:
    """Conditions stand on modules only, so that what is optional can be seen in the main files."""
    condition = re.compile(r"^resource .* = if ", re.MULTILINE)
    conditional = [path.name for path in template_paths() if condition.search(path.read_text())]

    assert conditional == []


def test_no_registry_module_hides_a_resource() -> None:
    """Modules are files of this repository: what is deployed was reviewed here, and the compiler needs no network."""
    named = [
        path.parent / module
        for path in template_paths()
        for module in re.findall(r"^module \w+ '([^']+)'", path.read_text(), re.MULTILINE)
    ]

    assert len(named) > 5
    assert [module for module in named if not module.is_file()] == []


def test_parameter_file_gives_parameters_that_exist() -> None:
    """The parameter file gives every parameter without a default, and none that main.bicep does not take."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    declared = re.findall(r"^param (\w+) \S+( =)?", (INFRA / "main.bicep").read_text(), re.MULTILINE)

    assert given.keys() - {name for name, _ in declared} == set()
    assert {name for name, default in declared if not default} - given.keys() == set()


def test_parameters_are_filled_in_without_azd() -> None:
    """Variables of the environment come first, then the defaults; Resource Manager gets booleans as such."""
    environment = {"AZURE_ENV_NAME": "prod", "AZURE_LOCATION": "westeurope", "KEYTURN_PRIVATE_NETWORK": "false"}
    environment["KEYTURN_APPROVERS"] = '["sam@example.com"]'
    finished = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, INFRA / "parameters.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    values = {name: parameter["value"] for name, parameter in json.loads(finished.stdout)["parameters"].items()}

    assert tuple(
        values[name]
        for name in ("environmentName", "privateNetwork", "mekExists", "mekName", "existingVaultName", "documents")
    ) == ("prod", False, False, "mek", "", [])
    assert (values["approvers"], values["channels"], values["approvalSecretName"]) == (
        ["sam@example.com"],
        [],
        "approval-webhook",
    )


def test_every_parameter_is_described() -> None:
    """Each parameter of main.bicep says what it is for."""
    text = (INFRA / "main.bicep").read_text()
    described = re.findall(r"^@description\('.+'\)\n(?:@.*\n)*param (\w+) ", text, re.MULTILINE)

    assert re.findall(r"^param (\w+) ", text, re.MULTILINE) == described


def test_python_is_the_same_version_everywhere(default: Snapshot) -> None:
    """The app runs on the Python that lint, types, continuous integration and bootstrap know."""
    runtime = default.app.properties["functionAppConfig"]["runtime"]
    version = runtime["version"]
    pyproject = (ROOT / "pyproject.toml").read_text()

    assert runtime["name"] == "python"
    assert f'requires-python = ">={version}"' in pyproject
    assert f'python_version = "{version}"' in pyproject
    assert f'target-version = "py{version.replace(".", "")}"' in pyproject
    assert f"python{version} " in (ROOT / ".ci" / "run").read_text()
    assert f"python{version} " in (ROOT / "tools" / "bootstrap").read_text()
    pages = [*sorted((ROOT / ".github" / "workflows").iterdir()), ROOT / "docs" / "deploy.md"]
    versions = [found for file in pages for found in re.findall(r'python-version: "([^"]+)"', file.read_text())]
    assert [version] * len(pages) == versions


def test_services_refuse_keys_and_old_tls(default: Snapshot) -> None:
    """Local authentication is off and TLS at least 1.2 where a service has the choice; the vault cannot be purged."""
    storage = default.one("Microsoft.Storage/storageAccounts").properties
    cosmos = default.one("Microsoft.DocumentDB/databaseAccounts").properties
    vault = default.one("Microsoft.KeyVault/vaults").properties
    app = default.app.properties

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


def test_the_mek_is_never_rotated_by_the_vault(default: Snapshot) -> None:
    """The rotation policy only notifies: a version made by the vault would have no rows moved onto it."""
    policy = default.one("Microsoft.KeyVault/vaults/keys").properties["rotationPolicy"]

    assert [action["action"]["type"] for action in policy["lifetimeActions"]] == ["notify"]
    assert '"rotate"' not in json.dumps(policy).lower()


def test_what_records_are_sorted_by_is_indexed(default: Snapshot) -> None:
    """Cosmos DB refuses to sort by a property that the container's index leaves out."""
    containers = default.of_type("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    [records] = [container.properties["resource"] for container in containers if container.name.endswith("/keyturn")]
    code = "".join(path.read_text() for path in sorted((ROOT / "keyturn").rglob("*.py")))
    sorted_by = {f"/{name}/?" for name in re.findall(r"ORDER BY c\.(\w+)", code)} - {"/id/?"}  # always indexed

    assert {"/sequence/?", "/fencingToken/?"} <= sorted_by
    assert sorted_by <= {included["path"] for included in records["indexingPolicy"]["includedPaths"]}


def test_the_local_containers_are_those_of_the_templates(default: Snapshot) -> None:
    """What deployed containers refuse to sort by, local ones refuse: keys, times to live and indexes are the same."""
    containers = default.of_type("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    deployed = {container.name.rpartition("/")[2]: container.properties["resource"] for container in containers}
    local = {"dek_store": CONTAINERS["DEK_CONTAINER"], "keyturn": CONTAINERS["KEYTURN_CONTAINER"]}

    for name, (path, ttl, paths) in local.items():
        assert deployed[name]["partitionKey"]["paths"] == [path]
        assert deployed[name].get("defaultTtl") == ttl
        assert deployed[name]["indexingPolicy"] == indexing_only(paths)


def _in_a_group(resource_id: str) -> bool:
    """Tell whether a resource is in a resource group; of some, Azure alone can evaluate the name."""
    return "/resourceGroups/" in resource_id.rpartition("/providers/")[0] or resource_id.startswith("[resourceId(")

"""What Azure refuses at deployment only, where no compiler sees it: limits of names, plans, services and orders."""

import re

import pytest

from tests.infra.snapshots import INFRA, Snapshot

ACCESS = "modules/cosmos/access.bicep"
MIGRATIONS = "modules/cosmos/document_migrations.bicep"
COSMOS = "modules/cosmos/main.bicep"
VAULT = "modules/key_vault/main.bicep"

# What Flex Consumption takes of siteConfig. It refuses others with error 51021: linuxFxVersion, ftpsState, alwaysOn,
# functionAppScaleLimit, netFrameworkVersion, use32BitWorkerProcess, preWarmedInstanceCount and more.
FLEX = {
    "appSettings",
    "ipSecurityRestrictions",
    "ipSecurityRestrictionsDefaultAction",
    "minTlsVersion",
    "scmMinTlsVersion",
}

# Settings of older plans, from "Flex Consumption plan deprecations" in the reference of app settings.
DEPRECATED = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
}

# Characters that a name may have. The app's is the host's: from the 33rd character on it no longer tells two apps on
# one storage account apart.
LONGEST = {
    "Microsoft.DocumentDB/databaseAccounts": 44,
    "Microsoft.DurableTask/schedulers": 64,
    "Microsoft.Insights/components": 260,
    "Microsoft.KeyVault/vaults": 24,
    "Microsoft.ManagedIdentity/userAssignedIdentities": 128,
    "Microsoft.Network/networkSecurityGroups": 80,
    "Microsoft.Network/privateEndpoints": 80,
    "Microsoft.Network/virtualNetworks": 64,
    "Microsoft.OperationalInsights/workspaces": 63,
    "Microsoft.Storage/storageAccounts": 24,
    "Microsoft.Web/serverfarms": 60,
    "Microsoft.Web/sites": 32,
}
TOKEN = re.compile("[a-z0-9]{13}")  # what uniqueString gives


def test_the_app_asks_for_what_flex_consumption_takes(snapshots: dict[str, Snapshot]) -> None:
    """No property and no setting of older plans."""
    for snapshot in snapshots.values():
        assert set(snapshot.app.properties["siteConfig"]) == FLEX
        assert set(snapshot.settings) & DEPRECATED == set()


def test_an_instance_waits_for_workflows(default: Snapshot, snapshots: dict[str, Snapshot]) -> None:
    """One instance is always ready for the group of functions that a due timer needs; 0 takes it away."""
    scaling = [
        snapshot.app.properties["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
        for snapshot in (default, snapshots["public"])
    ]

    assert scaling == [[{"name": "durable", "instanceCount": 1}], []]


def test_a_region_without_zones_can_be_deployed_to(default: Snapshot, snapshots: dict[str, Snapshot]) -> None:
    """Storage is zone-redundant unless the parameter says that the region has no zones."""
    kinds = [
        snapshot.one("Microsoft.Storage/storageAccounts").body["sku"]["name"]
        for snapshot in (default, snapshots["no_zones"])
    ]

    assert kinds == ["Standard_ZRS", "Standard_LRS"]


def test_a_serverless_account_is_given_no_throughput(default: Snapshot, snapshots: dict[str, Snapshot]) -> None:
    """The container of the records has autoscale, or nothing where the account refuses it."""
    options = [
        container.properties["options"]
        for snapshot in (default, snapshots["serverless"])
        for container in snapshot.of_type("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
        if container.name.endswith("/keyturn")
    ]

    assert options == [{"autoscaleSettings": {"maxThroughput": 1000}}, {}]


def test_no_password_deploys(default: Snapshot) -> None:
    """Neither FTP nor the deployment site takes a user name and a password."""
    policies = default.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert {policy.name.rpartition("/")[2]: policy.properties["allow"] for policy in policies} == {
        "ftp": False,
        "scm": False,
    }


def test_names_fit(default: Snapshot) -> None:
    """No name that is made of the token is longer than its service allows."""
    named = [resource for resource in default.resources if "/" not in resource.name and TOKEN.search(resource.name)]
    made = [resource for resource in named if not resource.type.startswith("Microsoft.Authorization/")]

    assert {resource.type for resource in made} == set(LONGEST)
    assert [resource.name for resource in made if len(resource.name) > LONGEST[resource.type]] == []


def test_roles_are_named_for_one_resource_group(default: Snapshot) -> None:
    """Names of roles are unique in a tenant: two subscriptions may have a resource group of the same name."""
    names = [role.properties["roleName"] for role in default.of_type("Microsoft.Authorization/roleDefinitions")]

    assert len(names) == 2
    assert [name for name in names if not re.search(rf"\(rg-keyturn-default {TOKEN.pattern}\)$", name)] == []


# Snapshots do not say what waits for what: the order of deployment is read from the files.
@pytest.mark.parametrize("name", [ACCESS, MIGRATIONS])
def test_the_accounts_roles_change_one_after_the_other(name: str) -> None:
    """Cosmos DB takes one change of an account's roles at a time; a second one is refused with 412."""
    text = (INFRA / name).read_text()
    made = re.findall(r"^resource (\w+) '[^']+' = ", text, re.MULTILINE)
    awaited = re.findall(r"^ +dependsOn: \[(\w+)\]$", text, re.MULTILINE)

    assert made[:-1] == awaited
    assert text.count("@batchSize(1)\n") == len(re.findall(r"^  for ", text, re.MULTILINE)) == 1


def test_one_modules_roles_come_after_the_others() -> None:
    """What only migrations need is granted before the rest, whose last step others wait for."""
    awaited = _awaited(COSMOS)

    assert awaited["access"] == {"records", "migrations"}
    assert awaited["migrations"] == {"records"}


def test_a_role_is_made_long_before_it_is_assigned() -> None:
    """Azure finds a role some time after it was made; whatever else is deployed stands between."""
    key_vault, cosmos = _awaited(VAULT), _awaited(COSMOS)

    assert (key_vault["role"], key_vault["access"]) == (set(), {"role", "mek", "logs"})
    assert (cosmos["backupRole"], cosmos["backupCheck"]) == (set(), {"backupRole", "access"})


def test_the_key_waits_until_the_vault_has_settled() -> None:
    """A key in a vault made moments before sometimes fails: the vault's logs come between."""
    awaited = _awaited(VAULT)

    assert (awaited["mek"], awaited["logs"]) == ({"logs"}, {"vault"})


def test_a_private_endpoint_waits_for_the_accounts_roles() -> None:
    """It changes the account as well, so it gets the account's id from the last step of the others."""
    assert "cosmosId: cosmos.outputs.id" in (INFRA / "main.bicep").read_text()
    assert "output id string = access.outputs.accountId" in (INFRA / COSMOS).read_text()


def _awaited(name: str) -> dict[str, set[str]]:
    """Return what each module of a file waits for."""
    modules = re.findall(r"^module (\w+) .*?\n[]}]$", (INFRA / name).read_text(), re.MULTILINE | re.DOTALL)
    bodies = re.split(r"^module \w+ ", (INFRA / name).read_text(), flags=re.MULTILINE)[1:]
    lists = [re.search(r"dependsOn: \[([^\]]+)\]", body) for body in bodies]
    return {
        module: set(re.findall(r"\w+", found[1])) if found else set()
        for module, found in zip(modules, lists, strict=True)
    }

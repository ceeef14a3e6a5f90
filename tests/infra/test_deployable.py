"""What Azure refuses at deployment only, where no compiler sees it: limits of names, plans, services and orders."""

import re

import pytest

from tests.infra.bicep import Template

APP = "modules/app/function_app.bicep"
ACCESS = "modules/cosmos/access.bicep"
MIGRATIONS = "modules/cosmos/document_migrations.bicep"
COSMOS = "modules/cosmos/main.bicep"

# What Flex Consumption takes of siteConfig. It refuses others with error 51021: linuxFxVersion, ftpsState, alwaysOn,
# functionAppScaleLimit, netFrameworkVersion, use32BitWorkerProcess, preWarmedInstanceCount and more.
FLEX = {
    "appSettings",
    "http20Enabled",
    "ipSecurityRestrictions",
    "ipSecurityRestrictionsDefaultAction",
    "minTlsVersion",
    "remoteDebuggingEnabled",
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

# Characters that a name may have, by what stands before the token. The app's is the host's: from the 33rd character on
# it no longer tells two apps on one storage account apart.
LONGEST = {
    "appi-": 260,
    "cosmos-": 44,
    "dts-": 64,
    "func-keyturn-": 32,
    "id-keyturn-": 128,
    "kv-": 24,
    "log-": 63,
    "plan-": 60,
    "st": 24,
    "vnet-": 64,
}
TOKEN = 13  # characters that uniqueString gives


def test_the_app_asks_for_what_flex_consumption_takes(templates: dict[str, Template], main: Template) -> None:
    """No property and no setting of older plans."""
    app = templates[APP]
    settings = set(app.variable("platformSettings")) | set(main.variable("settings"))

    assert set(app.resources["app"].properties["siteConfig"]) == FLEX
    assert settings & DEPRECATED == set()


def test_no_password_deploys(templates: dict[str, Template]) -> None:
    """Neither FTP nor the deployment site takes a user name and a password."""
    policies = [
        resource
        for resource in templates[APP].resources.values()
        if resource.type.endswith("/basicPublishingCredentialsPolicies")
    ]

    assert {policy.config["name"]: policy.properties["allow"] for policy in policies} == {"ftp": False, "scm": False}


def test_names_fit(templates: dict[str, Template]) -> None:
    """No name that is made of the token is longer than its service allows."""
    prefixes = {
        prefix for template in templates.values() for prefix in re.findall(r"'([a-z-]+)\$\{token\}'", template.text)
    }

    assert prefixes == set(LONGEST)
    assert [prefix for prefix in prefixes if len(prefix) + TOKEN > LONGEST[prefix]] == []


def test_roles_are_named_for_one_resource_group(templates: dict[str, Template]) -> None:
    """Names of roles are unique in a tenant: two subscriptions may have a resource group of the same name."""
    names = [
        resource.properties["roleName"]
        for template in templates.values()
        for resource in template.resources.values()
        if resource.type == "Microsoft.Authorization/roleDefinitions"
    ]

    assert len(names) == 2
    assert [name for name in names if "${uniqueString(resourceGroup().id)}" not in name] == []


@pytest.mark.parametrize("name", [ACCESS, MIGRATIONS])
def test_the_accounts_roles_change_one_after_the_other(templates: dict[str, Template], name: str) -> None:
    """Cosmos DB takes one change of an account's roles at a time; a second one is refused with 412."""
    made = [resource for resource in templates[name].resources.values() if not resource.existing]
    awaited = [resource.config.get("dependsOn", []) for resource in made]
    after = {name for names in awaited for name in names}

    assert awaited.count([]) == 1
    assert [1] * (len(made) - 1) == [len(names) for names in awaited if names]
    assert len(made) - 1 == len(after)


def test_one_modules_roles_come_after_the_others(templates: dict[str, Template]) -> None:
    """What only migrations need is granted before the rest, whose last step others wait for."""
    awaited = re.findall(r"^module (\w+) .*?\n  dependsOn: \[(\w+)\]", templates[COSMOS].text, re.MULTILINE | re.DOTALL)

    assert dict(awaited)["access"] == "migrations"
    assert dict(awaited)["migrations"] == "records"


def test_a_private_endpoint_waits_for_the_accounts_roles(templates: dict[str, Template], main: Template) -> None:
    """It changes the account as well, so it gets the account's id from the last step of the others."""
    assert "cosmosId: cosmos.outputs.id" in main.text
    assert "output id string = access.outputs.accountId" in templates["modules/cosmos/main.bicep"].text

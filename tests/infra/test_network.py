"""Who reaches what: private endpoints, public access, and the ranges that may call the app."""

import pytest

from tests.infra.snapshots import Snapshot

SERVICES = {
    "blob": "Microsoft.Storage/storageAccounts",
    "vault": "Microsoft.KeyVault/vaults",
    "Sql": "Microsoft.DocumentDB/databaseAccounts",
    "scheduler": "Microsoft.DurableTask/schedulers",
}


@pytest.mark.parametrize(
    ("variant", "private"),
    [
        ("default", ["Sql", "blob", "vault"]),
        ("existing", ["Sql", "blob", "scheduler", "vault"]),
        ("serverless", ["Sql", "blob", "vault"]),
        ("no_zones", ["Sql", "blob", "vault"]),
        ("public", []),
    ],
)
def test_services_are_private_by_endpoint_and_closed_without(
    snapshots: dict[str, Snapshot], variant: str, private: list[str]
) -> None:
    """What has a private endpoint has no public access, and the other way round; existing services are not touched."""
    snapshot = snapshots[variant]
    groups = [
        group
        for endpoint in snapshot.of_type("Microsoft.Network/privateEndpoints")
        for connection in endpoint.properties["privateLinkServiceConnections"]
        for group in connection["properties"]["groupIds"]
    ]
    access = {
        group: resource.properties["publicNetworkAccess"]
        for group, kind in SERVICES.items()
        for resource in snapshot.of_type(kind)
    }

    assert sorted(groups) == private
    assert access
    assert {group: "Disabled" if group in private else "Enabled" for group in access} == access


def test_the_scheduler_is_public_unless_it_is_asked_for(default: Snapshot, existing: Snapshot) -> None:
    """Its private endpoints may need enrolment first: a deployment with nothing decided must not fail on them."""
    access = [
        snapshot.one("Microsoft.DurableTask/schedulers").properties["publicNetworkAccess"]
        for snapshot in (default, existing)
    ]

    assert access == ["Enabled", "Disabled"]


def test_firewalls_are_shut_where_the_network_is_private(default: Snapshot, snapshots: dict[str, Snapshot]) -> None:
    """Beside public access, which a policy might open again, the firewalls of storage and vault deny."""
    kinds = ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults")
    actions = [
        snapshot.one(kind).properties["networkAcls"]["defaultAction"]
        for snapshot in (default, snapshots["public"])
        for kind in kinds
    ]

    assert actions == ["Deny", "Deny", "Allow", "Allow"]


def test_the_app_calls_out_through_its_network(default: Snapshot, snapshots: dict[str, Snapshot]) -> None:
    """The app is in the subnet that Flex Consumption may join; without a private network it is in none."""
    network = default.one("Microsoft.Network/virtualNetworks")
    [subnet] = [subnet for subnet in network.properties["subnets"] if subnet["name"] == "app"]
    delegated = [delegation["properties"]["serviceName"] for delegation in subnet["properties"]["delegations"]]

    assert delegated == ["Microsoft.App/environments"]
    assert default.app.properties["virtualNetworkSubnetId"] == f"{network.id}/subnets/app"
    assert snapshots["public"].app.properties["virtualNetworkSubnetId"] is None


def test_callers_narrow_who_reaches_the_app(default: Snapshot, existing: Snapshot) -> None:
    """All may call the app unless ranges are named; then all others are refused."""
    restricted, open_to_all = existing.app.properties["siteConfig"], default.app.properties["siteConfig"]

    assert (
        open_to_all["ipSecurityRestrictionsDefaultAction"],
        open_to_all["ipSecurityRestrictions"],
    ) == ("Allow", [])
    assert (
        restricted["ipSecurityRestrictionsDefaultAction"],
        [rule["ipAddress"] for rule in restricted["ipSecurityRestrictions"]],
    ) == ("Deny", ["203.0.113.0/24"])

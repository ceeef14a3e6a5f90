"""Keys as such: creation, versions, attributes, tags and lists, through azure-keyvault-keys."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient, KeyVaultKey

from tests.local.key_vault.conftest import LocalVault, version_of

SOONER, LATER = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def material(key: KeyVaultKey) -> Any:
    """Return the JSON web key, whose parts the SDK sets without declaring them."""
    return key.key


def test_a_created_key_has_a_versioned_id_and_only_public_parts(vault: LocalVault, keys: KeyClient, name: str) -> None:
    """Creation answers the public key, its id with a version of 32 hex digits, and the attributes."""
    key = keys.create_rsa_key(name, size=2048)

    assert re.fullmatch(rf"{vault.service.url}/keys/{name}/[0-9a-f]{{32}}", key.id)
    assert len(material(key).n) * 8 == 2048
    assert material(key).d is None
    assert key.properties.enabled is True
    assert key.properties.recovery_level == "Recoverable"


@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_every_size_of_rsa_key_is_made(keys: KeyClient, name: str, size: int) -> None:
    """The three sizes of Key Vault are available."""
    key = keys.create_rsa_key(name, size=size)

    assert len(material(key).n) * 8 == size


def test_creating_an_existing_key_makes_a_new_version(keys: KeyClient, name: str) -> None:
    """The second creation leaves the first version as it was and becomes the newest."""
    first = keys.create_rsa_key(name, size=2048, tags={"rotation": "one"})
    second = keys.create_rsa_key(name, size=2048, tags={"rotation": "two"})

    assert keys.get_key(name).id == second.id
    old = keys.get_key(name, first.properties.version)
    assert material(old).n == material(first).n
    assert old.properties.tags == {"rotation": "one"}


def test_attributes_and_tags_given_at_creation_are_kept(keys: KeyClient, name: str) -> None:
    """Enabled, validity times, permitted operations and tags come back as they were given."""
    start, end = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)

    keys.create_rsa_key(
        name,
        size=2048,
        enabled=False,
        not_before=start,
        expires_on=end,
        key_operations=["wrapKey", "unwrapKey"],
        tags={"a": "b"},
    )
    key = keys.get_key(name)

    assert key.properties.enabled is False
    assert (key.properties.not_before, key.properties.expires_on) == (start, end)
    assert key.key_operations == ["wrapKey", "unwrapKey"]
    assert key.properties.tags == {"a": "b"}


def test_an_update_changes_only_what_it_names(keys: KeyClient, key: KeyVaultKey, name: str) -> None:
    """Disabling one version keeps its tags; tags are replaced as a whole; the other version is untouched."""
    newest = keys.create_rsa_key(name, size=2048)
    keys.update_key_properties(name, key.properties.version, tags={"retired": "yes", "by": "run"})
    keys.update_key_properties(name, key.properties.version, enabled=False)
    keys.update_key_properties(name, key.properties.version, tags={"retired": "now"})

    changed = keys.get_key(name, key.properties.version).properties
    assert changed.enabled is False
    assert changed.tags == {"retired": "now"}
    assert keys.get_key(name, newest.properties.version).properties.enabled is True


def test_an_update_without_a_version_changes_the_newest(keys: KeyClient, key: KeyVaultKey, name: str) -> None:
    """The newest version is meant where none is named."""
    newest = keys.create_rsa_key(name, size=2048)
    keys.update_key_properties(name, enabled=False)

    assert keys.get_key(name, newest.properties.version).properties.enabled is False
    assert keys.get_key(name, key.properties.version).properties.enabled is True


def test_all_versions_are_listed_over_several_pages(keys: KeyClient, name: str) -> None:
    """The list follows nextLink to the end, holds every version once, and is ordered by id, not by age."""
    made = [version_of(keys.create_rsa_key(name, size=2048)) for _ in range(7)]

    pages = [list(page) for page in keys.list_properties_of_key_versions(name).by_page()]
    listed = [properties.version for page in pages for properties in page]

    assert [len(page) for page in pages] == [5, 2]
    assert sorted(made) == listed


def test_a_page_is_as_large_as_asked(keys: KeyClient, key: KeyVaultKey, name: str) -> None:
    """The caller's page size is kept on every page."""
    for _ in range(2):
        keys.create_rsa_key(name, size=2048)

    pages = [list(page) for page in keys.list_properties_of_key_versions(name, max_page_size=2).by_page()]

    assert [len(page) for page in pages] == [2, 1]


def test_an_unknown_key_has_no_versions(keys: KeyClient) -> None:
    """Listing the versions of an unknown key is an empty list and no error, as in the service."""
    assert list(keys.list_properties_of_key_versions("nobody")) == []


def test_keys_are_listed_with_their_newest_attributes(keys: KeyClient, key: KeyVaultKey, name: str) -> None:
    """Every key appears once, without a version."""
    keys.update_key_properties(name, tags={"x": "y"})
    for _ in range(5):  # more than a page in any order of tests
        keys.create_rsa_key(f"{name}-{_}", size=2048)

    listed = {properties.name: properties for properties in keys.list_properties_of_keys()}

    assert listed[name].tags == {"x": "y"}
    assert listed[name].version is None
    assert {f"{name}-{number}" for number in range(5)} <= set(listed)


@pytest.mark.parametrize("version", [None, "0" * 32])
def test_an_unknown_key_or_version_is_not_found(keys: KeyClient, key: KeyVaultKey, version: str | None) -> None:
    """The answer is 404 with the service's code and text."""
    wanted = "nobody" if version is None else key.name

    with pytest.raises(ResourceNotFoundError, match=r"A key with \(name/id\)") as caught:
        keys.get_key(wanted, version)

    assert caught.value.error is not None
    assert caught.value.error.code == "KeyNotFound"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"size": 1024}, "key_size"),
        ({"size": 2048, "tags": {str(number): "" for number in range(16)}}, "tags"),
        ({"size": 2048, "tags": {"a": "b" * 257}}, "tags"),
        ({"size": 2048, "hardware_protected": True}, "kty"),
        ({"size": 2048, "public_exponent": 3}, "public_exponent"),
        ({"size": 2048, "key_operations": ["fly"]}, "key_ops"),
        ({"size": 2048, "key_operations": []}, "key_ops"),
        ({"size": 2048, "key_operations": ["unwrapKey", "unwrapKey"]}, "key_ops"),
        ({"size": 2048, "not_before": LATER, "expires_on": SOONER}, "exp"),
    ],
)
def test_a_bad_creation_is_refused_naming_the_property(
    keys: KeyClient, name: str, arguments: dict[str, Any], field: str
) -> None:
    """Sizes, tags beyond 15 x 256 characters, HSM keys, and operations or times that make no sense create nothing."""
    with pytest.raises(HttpResponseError, match=field) as caught:
        keys.create_rsa_key(name, **arguments)

    assert caught.value.status_code == 400
    assert list(keys.list_properties_of_key_versions(name)) == []


def test_too_many_tags_are_refused_in_an_update(keys: KeyClient, key: KeyVaultKey) -> None:
    """The tag limits hold for updates too."""
    with pytest.raises(HttpResponseError, match="tags"):
        keys.update_key_properties(key.name, tags={str(number): "" for number in range(16)})

    assert keys.get_key(key.name).properties.tags == {}


def test_an_update_that_leaves_no_time_to_use_the_key_is_refused(keys: KeyClient, key: KeyVaultKey) -> None:
    """An expiry before the activation that the version has already gives 400 and changes nothing."""
    keys.update_key_properties(key.name, not_before=LATER)

    with pytest.raises(HttpResponseError, match="exp") as caught:
        keys.update_key_properties(key.name, expires_on=SOONER, tags={"a": "b"})

    assert caught.value.status_code == 400
    assert keys.get_key(key.name).properties.tags == {}


def test_a_name_that_no_key_can_have_is_refused(keys: KeyClient) -> None:
    """Names are letters, digits and dashes."""
    with pytest.raises(HttpResponseError, match="name"):
        keys.create_rsa_key("under_score", size=2048)


def test_a_bad_page_size_is_refused(keys: KeyClient) -> None:
    """The service's maximum of 25 holds."""
    with pytest.raises(HttpResponseError, match="maxresults"):
        list(keys.list_properties_of_keys(max_page_size=26))


def test_names_ignore_case(keys: KeyClient, name: str) -> None:
    """A key is found by its name in other letters, and a creation under such a name is a new version of it."""
    first = keys.create_rsa_key(name, size=2048)
    found = keys.get_key(name.upper())
    second = keys.create_rsa_key(name.upper(), size=2048)

    assert found.properties.version == first.properties.version
    assert {listed.version for listed in keys.list_properties_of_key_versions(name)} == {
        first.properties.version,
        second.properties.version,
    }

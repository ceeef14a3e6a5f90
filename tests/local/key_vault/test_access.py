"""Who may do what: the challenge, tokens that are refused, and each data action by itself."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.rest import HttpRequest
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm

from local.identity.roles import KEYS, ROLES
from local.identity.tokens import ISSUER
from tests.local.key_vault.conftest import SECONDS, LocalVault, version_of

DEK = bytes(32)
ACTIONS = {
    "create": f"{KEYS}/create/action",
    "get": f"{KEYS}/read",
    "list": f"{KEYS}/read",
    "update": f"{KEYS}/update/action",
    "backup": f"{KEYS}/backup/action",
    "restore": f"{KEYS}/restore/action",
    "wrap": f"{KEYS}/wrap/action",
    "unwrap": f"{KEYS}/unwrap/action",
    "encrypt": f"{KEYS}/encrypt/action",
    "decrypt": f"{KEYS}/decrypt/action",
}


def attempt(vault: LocalVault, key: KeyVaultKey, operation: str, *roles: str) -> None:
    """Do one operation in the vault as a principal with these data actions."""
    keys = vault.keys("limited", *roles)
    # Built from an id, the client asks for the key first; where it may read the key it would then wrap by itself.
    use = vault.cryptography(key.id, "limited", *roles)
    wrapped = CryptographyClient.from_jwk(key.key).wrap_key(KeyWrapAlgorithm.rsa_oaep, DEK).encrypted_key
    operations: dict[str, Callable[[], object]] = {
        "create": lambda: keys.create_rsa_key(key.name, size=2048),
        "get": lambda: keys.get_key(key.name),
        "list": lambda: list(keys.list_properties_of_key_versions(key.name)),
        "update": lambda: keys.update_key_properties(key.name, tags={}),
        "backup": lambda: keys.backup_key(key.name),
        "restore": lambda: keys.restore_key_backup(b"not a backup"),
        "wrap": lambda: use.wrap_key(KeyWrapAlgorithm.rsa_oaep, DEK),
        "unwrap": lambda: use.unwrap_key(KeyWrapAlgorithm.rsa_oaep, wrapped),
        "encrypt": lambda: use.encrypt(EncryptionAlgorithm.rsa_oaep, DEK),
        "decrypt": lambda: use.decrypt(EncryptionAlgorithm.rsa_oaep, wrapped),
    }
    operations[operation]()


def test_a_request_without_a_token_is_challenged(vault: LocalVault) -> None:
    """The 401 names the authority and the resource, from which clients find out how to get a token."""
    answer = requests.get(f"{vault.service.url}/keys", verify=str(vault.ca), timeout=SECONDS)

    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer authorization="https://login.microsoftonline.com/')
    assert challenge.endswith('resource="https://vault.azure.net"')


def test_a_token_of_no_issuer_is_refused(vault: LocalVault) -> None:
    """A token with the right claims under another signature gives 401, not 403."""
    claims = {"iss": ISSUER, "aud": "https://vault.azure.net", "exp": time.time() + 60, "oid": "1", "name": "officer"}
    token = jwt.encode({**claims, "roles": [f"{KEYS}/*"]}, "guess" * 10, "HS256")

    answer = requests.get(
        f"{vault.service.url}/keys",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(vault.ca),
        timeout=SECONDS,
    )

    assert answer.status_code == 401


def test_a_token_for_another_resource_is_refused(vault: LocalVault) -> None:
    """A token for Cosmos DB does not open the vault."""

    class Elsewhere:
        def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
            return vault.credential("officer", f"{KEYS}/*").get_token("https://cosmos.azure.com/.default")

    with (
        KeyClient(vault.service.url, Elsewhere(), **vault.options) as client,
        pytest.raises(ClientAuthenticationError, match="audience"),
    ):
        client.get_key("any")


@pytest.mark.parametrize("operation", ACTIONS)
def test_an_operation_without_its_data_action_is_forbidden(vault: LocalVault, key: KeyVaultKey, operation: str) -> None:
    """With every action but its own the operation gives 403 ForbiddenByRbac, which names the action."""
    missing = ACTIONS[operation]
    # A client that may read the key wraps and encrypts by itself: so that right is left out there too.
    local = {f"{KEYS}/read"} if operation in ("wrap", "encrypt") else set()
    others = [action for action in ACTIONS.values() if action not in {missing} | local]

    with pytest.raises(HttpResponseError) as caught:
        attempt(vault, key, operation, *others)

    assert caught.value.status_code == 403
    assert caught.value.error is not None
    assert caught.value.error.code == "Forbidden"
    assert caught.value.error.innererror["code"] == "ForbiddenByRbac"
    assert f"Action: '{missing}'" in caught.value.message


@pytest.mark.parametrize("operation", [name for name in ACTIONS if name != "restore"])
def test_a_data_action_is_enough_for_its_operation(vault: LocalVault, key: KeyVaultKey, operation: str) -> None:
    """No operation needs more than its own action."""
    before = vault.get("operations/counts", who="limited")[operation]

    attempt(vault, key, operation, ACTIONS[operation])

    assert vault.get("operations/counts", who="limited")[operation] == before + 1


def test_the_rotator_role_can_rotate(vault: LocalVault, key: KeyVaultKey) -> None:
    """The product's custom role holds what a rotation does."""
    for operation in ("create", "get", "list", "update", "unwrap"):
        attempt(vault, key, operation, *ROLES["Keyturn rotator"])

    assert vault.get("operations", version=version_of(key), operation="unwrap")[-1]["result"] == 200


def test_nothing_can_be_deleted_or_purged(vault: LocalVault, key: KeyVaultKey) -> None:
    """Whatever the rights, deletion and purge give 403 and the key stays."""
    keys = vault.keys()

    for attempt_to in (lambda: keys.begin_delete_key(key.name), lambda: keys.purge_deleted_key(key.name)):
        with pytest.raises(HttpResponseError, match="deletes nothing") as caught:
            attempt_to()
        assert caught.value.status_code == 403
    assert keys.get_key(key.name).id == key.id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/keys/{name}/rotate"),
        ("PUT", "/keys/{name}"),  # import, and the two below: paths that are served, for other methods
        ("PUT", "/keys"),
        ("DELETE", "/keys/{name}/versions"),
    ],
)
def test_what_is_not_served_says_so(vault: LocalVault, key: KeyVaultKey, method: str, path: str) -> None:
    """An operation outside the documented surface gives 404 and an error that names it."""
    asked = HttpRequest(method, f"{vault.service.url}{path.format(name=key.name)}", json={})

    answer = vault.keys().send_request(asked)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NotFound"
    assert f"{method} {path.format(name=key.name)} is not served here" in answer.json()["error"]["message"]


def test_another_api_version_is_refused(vault: LocalVault) -> None:
    """Only the version of the pinned SDK is served."""
    token = vault.credential("officer", f"{KEYS}/*").get_token("https://vault.azure.net/.default").token

    answer = requests.get(
        f"{vault.service.url}/keys?api-version=7.4",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(vault.ca),
        timeout=SECONDS,
    )

    assert answer.status_code == 400
    assert "api-version" in answer.json()["error"]["message"]

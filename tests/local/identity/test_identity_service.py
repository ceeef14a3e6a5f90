"""The identity endpoint as azure-identity's DefaultAzureCredential meets it."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential
from azure.identity.aio import DefaultAzureCredential as AsyncDefaultAzureCredential

from local.identity.roles import KEYS
from local.identity.tokens import Principal, TokenError, verify
from tests.local.services import ServiceProcess, start_service

SCOPE = "https://vault.azure.net/.default"
AUDIENCES = {"https://vault.azure.net"}
SECONDS = 60


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the module's identity service."""
    return tmp_path_factory.mktemp("identity") / "state"


@pytest.fixture(scope="module")
def identity(state: Path) -> Iterator[ServiceProcess]:
    """An identity service on an empty folder."""
    service = start_service("local.identity", "--state", state)
    yield service
    service.stop()


def control(identity: ServiceProcess, name: str) -> str:
    """Return the control URL of a principal."""
    return f"{identity.url}/_control/principals/{name}"


def add(identity: ServiceProcess, name: str, *roles: str, header: str | None = None) -> str:
    """Create or change a principal and return its header secret."""
    body = {"roles": list(roles)} | ({"header": header} if header else {})
    answer = requests.put(control(identity, name), json=body, timeout=SECONDS)
    answer.raise_for_status()
    return str(answer.json()["header"])


def use(monkeypatch: pytest.MonkeyPatch, identity: ServiceProcess, header: str) -> None:
    """Put the environment in place that App Service gives an app."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", header)


def who(state: Path, token: str) -> Principal:
    """Read a token as a service does."""
    return verify(token, (state / "signing_key.pub.pem").read_bytes(), AUDIENCES)


def test_the_default_credential_gets_a_token(
    identity: ServiceProcess, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The synchronous DefaultAzureCredential works unchanged and its token names the principal."""
    use(monkeypatch, identity, add(identity, "app", f"{KEYS}/read"))

    with DefaultAzureCredential() as credential:
        principal = who(state, credential.get_token(SCOPE).token)

    assert principal.name == "app"
    assert principal.roles == (f"{KEYS}/read",)


async def test_the_asynchronous_default_credential_gets_a_token(
    identity: ServiceProcess, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does the asynchronous one."""
    use(monkeypatch, identity, add(identity, "async-app", f"{KEYS}/read"))

    async with AsyncDefaultAzureCredential() as credential:
        token = await credential.get_token(SCOPE)

    assert who(state, token.token).name == "async-app"


def test_the_header_secret_picks_the_principal(
    identity: ServiceProcess, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two principals of one endpoint are told apart by their secrets, down to their object ids."""
    seen = []
    for name in ("first", "second"):
        use(monkeypatch, identity, add(identity, name))
        with DefaultAzureCredential() as credential:
            seen.append(who(state, credential.get_token(SCOPE).token))

    assert [principal.name for principal in seen] == ["first", "second"]
    assert seen[0].object_id != seen[1].object_id


def test_a_wrong_secret_is_refused_clearly(identity: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that stands for nobody gets no token, and the reason reaches the client."""
    use(monkeypatch, identity, "guess")

    with DefaultAzureCredential() as credential, pytest.raises(ClientAuthenticationError, match="X-IDENTITY-HEADER"):
        credential.get_token(SCOPE)


def test_changed_roles_are_in_the_next_token(
    identity: ServiceProcess, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right taken away at run time is missing from tokens issued afterwards; secret and object id stay."""
    use(monkeypatch, identity, add(identity, "changing", f"{KEYS}/read", f"{KEYS}/update/action"))
    with DefaultAzureCredential() as credential:
        before = who(state, credential.get_token(SCOPE).token)

    add(identity, "changing", f"{KEYS}/read")
    with DefaultAzureCredential() as credential:
        after = who(state, credential.get_token(SCOPE).token)

    assert before.may(f"{KEYS}/update/action")
    assert not after.may(f"{KEYS}/update/action")
    assert before.object_id == after.object_id


def test_a_removed_principal_gets_no_token(identity: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing a principal ends its secret."""
    use(monkeypatch, identity, add(identity, "leaver"))

    assert requests.delete(control(identity, "leaver"), timeout=SECONDS).status_code == 204
    assert requests.get(control(identity, "leaver"), timeout=SECONDS).status_code == 404
    with DefaultAzureCredential() as credential, pytest.raises(ClientAuthenticationError):
        credential.get_token(SCOPE)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "roles"),
        ({"roles": ["Key Vault Crypto User"]}, "roles"),
        ({"roles": [], "header": "taken"}, "header"),
        ({"roles": [], "extra": 1}, "extra"),
    ],
)
def test_a_bad_principal_is_refused_naming_the_field(
    identity: ServiceProcess, body: dict[str, Any], field: str
) -> None:
    """Roles must be data actions, secrets must differ, and unknown properties are errors."""
    add(identity, "holder", header="taken")

    answer = requests.put(control(identity, "newcomer"), json=body, timeout=SECONDS)

    assert answer.status_code == 400
    assert field in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"api-version": "2017-09-01", "resource": "https://vault.azure.net"}, "api-version"),
        ({"api-version": "2019-08-01", "resource": "https://example.com"}, "resource"),
        ({"api-version": "2019-08-01", "resource": "https://vault.azure.net", "client_id": "x"}, "client_id"),
    ],
)
def test_a_bad_token_request_is_refused_naming_the_field(
    identity: ServiceProcess, query: dict[str, str], field: str
) -> None:
    """Only the protocol version, resources and identities that exist here are served."""
    header = add(identity, "asker")

    answer = requests.get(
        f"{identity.url}/msi/token", params=query, headers={"X-IDENTITY-HEADER": header}, timeout=SECONDS
    )

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(field)


def test_key_and_principals_outlive_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SIGKILL and a new start the same secret works and tokens issued before are still good."""
    state = tmp_path / "state"
    service = start_service("local.identity", "--state", state)
    use(monkeypatch, service, add(service, "app"))
    with DefaultAzureCredential() as credential:
        before = credential.get_token(SCOPE).token

    service.kill()
    service.start()
    with DefaultAzureCredential() as credential:
        after = credential.get_token(SCOPE).token
    service.stop()

    assert who(state, before) == who(state, after)


def test_secrets_are_readable_by_their_owner_only(identity: ServiceProcess, state: Path) -> None:
    """The signing key and the header secrets have file mode 0600."""
    add(identity, "app")

    for name in ("signing_key.pem", "principals.json"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600


def test_the_lifetime_of_tokens_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --token-seconds a token ends when told, so that expiry can be tested."""
    service = start_service("local.identity", "--state", tmp_path / "state", "--token-seconds", 0)
    use(monkeypatch, service, add(service, "app"))
    with DefaultAzureCredential() as credential:
        token = credential.get_token(SCOPE).token
    service.stop()

    with pytest.raises(TokenError, match="expired"):
        who(tmp_path / "state", token)

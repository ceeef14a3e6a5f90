"""One vault and one identity endpoint for all tests of the folder, and production clients that talk to them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient

from local.identity.roles import KEYS
from tests.local.services import ServiceProcess, make_certificate, start_service

SECONDS = 60


class PrincipalCredential:
    """A DefaultAzureCredential with an environment of its own, so that one process can act as several principals."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        with mock.patch.dict(os.environ, self._environment):
            self._credential = DefaultAzureCredential()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token of the principal; the credential reads its environment now, not when it was made."""
        with mock.patch.dict(os.environ, self._environment):
            return self._credential.get_token(*scopes, **options)


@dataclass
class LocalVault:
    """A vault under test, with what a client needs to reach it."""

    identity: ServiceProcess
    service: ServiceProcess
    ca: Path

    @property
    def options(self) -> dict[str, Any]:
        """What a production client must be told off Azure's own domains; nothing is retried behind a test's back."""
        return {"verify_challenge_resource": False, "connection_verify": str(self.ca), "retry_total": 0}

    def environment(self, name: str, *roles: str) -> dict[str, str]:
        """Return what an app's environment holds to act as the principal with exactly these data actions."""
        answer = requests.put(
            f"{self.identity.url}/_control/principals/{name}", json={"roles": list(roles)}, timeout=SECONDS
        )
        answer.raise_for_status()
        return {"IDENTITY_ENDPOINT": f"{self.identity.url}/msi/token", "IDENTITY_HEADER": answer.json()["header"]}

    def credential(self, name: str, *roles: str) -> PrincipalCredential:
        """Return the credential of a principal that holds exactly these data actions."""
        return PrincipalCredential(self.environment(name, *roles))

    def keys(self, name: str = "officer", *roles: str) -> KeyClient:
        """Return a key client of a principal, who may do everything unless roles are given."""
        return KeyClient(self.service.url, self.credential(name, *(roles or (f"{KEYS}/*",))), **self.options)

    def cryptography(self, key: KeyVaultKey | str, name: str = "officer", *roles: str) -> CryptographyClient:
        """Return a cryptography client of a principal, who may do everything unless roles are given."""
        return CryptographyClient(key, self.credential(name, *(roles or (f"{KEYS}/*",))), **self.options)

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON of a control endpoint."""
        answer = requests.get(f"{self.service.url}/_control/{path}", params=query, verify=str(self.ca), timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def arm(self, **rule: Any) -> None:
        """Arm a fault rule."""
        url = f"{self.service.url}/_control/faults"
        requests.post(url, json=rule, verify=str(self.ca), timeout=SECONDS).raise_for_status()


def version_of(key: KeyVaultKey) -> str:
    """Return the version, which a key from the service always has, though its type leaves that open."""
    assert key.properties.version is not None
    return key.properties.version


def start_vault(identity: ServiceProcess, folder: Path, state: str, *options: object) -> LocalVault:
    """Start a vault whose state is ``folder/state``, beside the identity service of ``folder/identity``."""
    server, ca = make_certificate(folder)
    service = start_service(
        "local.key_vault",
        *("--state", folder / state),
        *("--tls", server),
        *("--identity-key", folder / "identity" / "signing_key.pub.pem"),
        *options,
    )
    return LocalVault(identity, service, ca)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything that the services of these tests keep."""
    return tmp_path_factory.mktemp("azure")


@pytest.fixture(scope="session")
def identity(folder: Path) -> Iterator[ServiceProcess]:
    """The identity service."""
    service = start_service("local.identity", "--state", folder / "identity")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def vault(identity: ServiceProcess, folder: Path) -> Iterator[LocalVault]:
    """A vault without limits, shared by all tests that do not kill it."""
    started = start_vault(identity, folder, "vault", "--limits", "off")
    yield started
    started.service.stop()


@pytest.fixture(scope="session")
def keys(vault: LocalVault) -> KeyClient:
    """The key client of a principal who may do everything."""
    return vault.keys()


@pytest.fixture
def name() -> str:
    """A key name that no other test uses."""
    return f"key-{uuid4().hex[:12]}"


@pytest.fixture
def key(keys: KeyClient, name: str) -> KeyVaultKey:
    """A fresh RSA-2048 key."""
    return keys.create_rsa_key(name, size=2048)

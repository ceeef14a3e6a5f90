"""A Cosmos DB account with three partitions a container for all tests of the folder, and production clients on it."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.identity.tokens import issue
from tests.local.services import ServiceProcess, make_certificate, start_service

SECONDS = 60
DATABASE = "keyturn"


class StaticCredential:
    """A credential whose tokens carry exactly these data actions; ``audience`` is the resource they are for."""

    def __init__(self, signing_key: rsa.RSAPrivateKey, roles: tuple[str, ...], audience: str, seconds: int) -> None:
        self._arguments: dict[str, Any] = {
            "signing_key": signing_key,
            "roles": roles,
            "resource": audience,
            "seconds": seconds,
        }

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return a new token; the client believes that it lives an hour."""
        token, _ = issue(name="tester", object_id="00000000-0000-0000-0000-000000000001", **self._arguments)
        return AccessToken(token, int(time.time()) + 3600)

    async def close(self) -> None:
        """Hold nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.close()


@dataclass
class LocalCosmos:
    """An account under test, with what a client needs to reach it."""

    service: ServiceProcess
    state: Path
    ca: Path
    signing_key: rsa.RSAPrivateKey

    @property
    def key(self) -> str:
        """The account's master key."""
        return (self.state / "master_key").read_text()

    def client(self, **options: Any) -> CosmosClient:
        """Return a client of the master key's holder."""
        return CosmosClient(self.service.url, self.key, **options)

    def client_of(self, *roles: str, audience: str = "https://localhost", seconds: int = 3600) -> CosmosClient:
        """Return a client of a principal with exactly these data actions."""
        credential = StaticCredential(self.signing_key, roles, audience, seconds)
        return CosmosClient(self.service.url, credential)

    def post(self, path: str, **body: Any) -> Any:
        """Post to a control endpoint and return its JSON."""
        url = f"{self.service.url}/_control/{path}"
        answer = requests.post(url, json=body, verify=str(self.ca), timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Return the JSON of a control endpoint."""
        answer = requests.get(f"{self.service.url}/_control/{path}", verify=str(self.ca), timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def arm(self, **rule: Any) -> None:
        """Arm a fault rule."""
        self.post("faults", **rule)

    def release(self) -> None:
        """Let go on what a rule holds."""
        url = f"{self.service.url}/_control/faults?kind=hold"
        requests.delete(url, verify=str(self.ca), timeout=SECONDS).raise_for_status()

    def split(self, container: ContainerProxy, range_id: str) -> list[str]:
        """Split a partition of a container and return the ids of its children."""
        answer = self.post("split", database=DATABASE, container=container.id, partitionKeyRangeId=range_id)
        return list(answer["partitionKeyRangeIds"])


def start_account(folder: Path, signing_key: rsa.RSAPrivateKey, *options: object) -> LocalCosmos:
    """Start an account with its state in the folder."""
    certificate, ca = make_certificate(folder)
    identity_key = folder / "identity.pem"
    identity_key.write_bytes(signing_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    state = folder / "cosmos"
    service = start_service(
        "local.cosmos", "--state", state, "--tls", certificate, "--identity-key", identity_key, *options
    )
    return LocalCosmos(service, state, ca, signing_key)


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    """The key of a tenant that only these tests know."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def cosmos(tmp_path_factory: pytest.TempPathFactory, signing_key: rsa.RSAPrivateKey) -> Iterator[LocalCosmos]:
    """The account that most tests share."""
    account = start_account(tmp_path_factory.mktemp("account"), signing_key, "--partitions", 3)
    yield account
    account.service.stop()


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Disarm what a test has armed on the shared account."""
    yield
    if "cosmos" in request.fixturenames:
        account = request.getfixturevalue("cosmos")
        url = f"{account.service.url}/_control/faults"
        requests.delete(url, verify=str(account.ca), timeout=SECONDS).raise_for_status()


@pytest.fixture(scope="session")
async def client(cosmos: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """The master key's client of the shared account."""
    async with cosmos.client() as shared:
        yield shared


async def new_container(client: CosmosClient, path: str | list[str] = "/pk") -> ContainerProxy:
    """Create a container of its own for a test."""
    database = await client.create_database_if_not_exists(DATABASE)
    key = PartitionKey(path=path)
    return await database.create_container(f"c{uuid.uuid4().hex}", key)


@pytest.fixture
async def container(client: CosmosClient) -> ContainerProxy:
    """An empty container, partitioned by /pk."""
    return await new_container(client)


async def listed(pages: Any) -> list[Any]:
    """Return everything that a paged result yields."""
    return [item async for item in pages]


INCREMENTAL = {"A-IM": "Incremental Feed"}


class Wire:
    """Plain requests to one container, with a token that may do everything."""

    def __init__(self, cosmos: LocalCosmos, container: ContainerProxy) -> None:
        self._cosmos = cosmos
        self._url = f"{cosmos.service.url}/dbs/{DATABASE}/colls/{container.id}"
        token, _ = issue(
            name="t",
            object_id="o",
            roles=["*"],
            resource="https://localhost",
            signing_key=cosmos.signing_key,
            seconds=60,
        )
        self._headers = {"authorization": quote(f"type=aad&ver=1.0&sig={token}")}

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> requests.Response:
        """Send a request and return the answer."""
        return requests.request(
            method,
            f"{self._url}{path}",
            headers={**self._headers, **headers},
            json=body,
            verify=str(self._cosmos.ca),
            timeout=SECONDS,
        )

"""The weighted limits: their arithmetic on a clock of the test's own, and the vault's answer above them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient

from local.identity.roles import KEYS
from local.identity.signing_key import PUBLIC_NAME, load_signing_key
from local.identity.tokens import issue
from local.key_vault.errors import VAULT_RESOURCE
from local.key_vault.keys import API_VERSION
from local.key_vault.limits import SERVICE_LIMITS, Limits, LimitTable
from local.key_vault.service import KeyVaultService
from tests.local.key_vault.conftest import LocalVault, start_vault
from tests.local.services import ServiceProcess

SMALL = LimitTable(window_seconds=10, create=2, other={2048: 8, 4096: 2})


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def admitted(limits: Limits, key_size: int, attempts: int = 10_000) -> int:
    """Return how many operations in a row are admitted."""
    return sum(limits.admit(key_size) for _ in range(attempts))


@pytest.mark.parametrize(("key_size", "published"), [(2048, 4000), (3072, 1000), (4096, 500)])
def test_the_published_limits_are_those_of_software_keys(key_size: int, published: int) -> None:
    """Within ten seconds each key size gets exactly the published number of operations."""
    assert admitted(Limits(SERVICE_LIMITS, Clock()), key_size) == published


def test_operations_on_different_keys_share_one_sum() -> None:
    """One operation on an RSA-4096 key uses up what four on RSA-2048 do, in this table."""
    limits = Limits(SMALL, Clock())

    assert limits.admit(4096) is True
    assert admitted(limits, 2048) == 4
    assert limits.admit(4096) is False


def test_creations_have_a_limit_of_their_own() -> None:
    """Creations neither use up the others' limit nor depend on it."""
    limits = Limits(SMALL, Clock())
    admitted(limits, 2048)

    assert [limits.admit_create() for _ in range(3)] == [True, True, False]


def test_the_window_slides_and_refused_operations_do_not_count() -> None:
    """An operation is admitted again once an admitted one is ten seconds old, however often it was refused."""
    clock = Clock()
    limits = Limits(SMALL, clock)
    assert limits.admit(4096)
    clock.now = 6
    assert limits.admit(4096)

    clock.now = 9.9
    refused = admitted(limits, 4096)
    clock.now = 10
    after_the_first = admitted(limits, 4096)
    clock.now = 16
    after_the_second = admitted(limits, 4096)

    assert (refused, after_the_first, after_the_second) == (0, 1, 1)


@pytest.fixture
def limited(identity: ServiceProcess, folder: Path, name: str) -> Iterator[LocalVault]:
    """A vault at the published limits, of which nothing has been used."""
    started = start_vault(identity, folder, name)
    yield started
    started.service.stop()


def create_until_refused(keys: KeyClient, name: str) -> HttpResponseError | None:
    """Create versions until the vault refuses, with a bound above its limit."""
    for _ in range(SERVICE_LIMITS.create * 2):
        try:
            keys.create_rsa_key(name, size=2048)
        except HttpResponseError as error:
            return error
    return None


def test_a_vault_above_its_limits_throttles_without_retry_after(limited: LocalVault, name: str) -> None:
    """The answer is 429 Throttled as the service writes it, changes nothing, and is counted apart."""
    keys = limited.keys("creator")

    error = create_until_refused(keys, name)

    counts = limited.get("operations/counts", who="creator")
    assert error is not None
    assert error.status_code == 429
    assert error.error is not None
    assert error.error.code == "Throttled"
    assert "VaultRequestTypeLimitReached" in error.message
    response: Any = error.response  # its type leaves out the headers
    assert "Retry-After" not in response.headers
    assert counts["throttled"]["create"] == 1
    assert counts["create"] == len(list(keys.list_properties_of_key_versions(name))) >= SERVICE_LIMITS.create


async def test_reading_a_key_weighs_as_much_as_using_it(tmp_path: Path) -> None:
    """GET of an RSA-4096 key uses up the same sum, by the key's size, as every other operation on it."""
    signing_key = load_signing_key(tmp_path)
    service = KeyVaultService(
        tmp_path,
        port=0,
        identity_key=(tmp_path / PUBLIC_NAME).read_bytes(),
        limits=Limits(SMALL, Clock()),
        latency_seconds=0,
    )
    token, _ = issue(
        name="reader",
        object_id="1",
        roles=[f"{KEYS}/*"],
        resource=VAULT_RESOURCE,
        signing_key=signing_key,
        seconds=60,
    )
    headers, query = {"Authorization": f"Bearer {token}"}, {"api-version": API_VERSION}

    async with TestClient(TestServer(service.application())) as client:
        body = {"kty": "RSA", "key_size": 4096}
        await client.post("/keys/large/create", params=query, json=body, headers=headers)
        statuses = [(await client.get("/keys/large", params=query, headers=headers)).status for _ in range(3)]

    assert statuses == [200, 200, 429]

"""The operation log, and faults that are armed by operation and version."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

from local.identity.roles import KEYS
from local.key_vault import operation_log
from local.key_vault.operation_log import OperationLog
from tests.local.key_vault.conftest import SECONDS, LocalVault, start_vault, version_of
from tests.local.services import ServiceProcess

DEK = bytes(32)
ALGORITHM = KeyWrapAlgorithm.rsa_oaep_256


def wrap_locally(key: KeyVaultKey) -> bytes:
    """Return a wrap of the DEK that the vault knows nothing of."""
    return CryptographyClient.from_jwk(key.key).wrap_key(ALGORITHM, DEK).encrypted_key


def test_the_log_tells_who_did_what_with_which_version_and_how_it_ended(
    vault: LocalVault, keys: KeyClient, key: KeyVaultKey
) -> None:
    """Successes and refusals are entries with principal, operation, key, version, status and code."""
    client = vault.cryptography(key, "log-reader", f"{KEYS}/unwrap/action")
    wrapped = wrap_locally(key)
    client.unwrap_key(ALGORITHM, wrapped)
    keys.update_key_properties(key.name, enabled=False)
    with pytest.raises(HttpResponseError):
        client.unwrap_key(ALGORITHM, wrapped)

    entries = vault.get("operations", version=version_of(key))
    logged = [(entry["who"], entry["operation"], entry["result"], entry["code"]) for entry in entries]

    assert logged == [
        ("officer", "create", 200, None),
        ("log-reader", "unwrap", 200, None),
        ("officer", "update", 200, None),
        ("log-reader", "unwrap", 403, "KeyDisabled"),
    ]
    assert {entry["keyName"] for entry in entries} == {key.name}


def test_the_log_is_filtered_by_operation_principal_and_time(vault: LocalVault, key: KeyVaultKey) -> None:
    """Each filter narrows the list, and a time excludes what came before it."""
    reader = vault.keys("filter-reader", f"{KEYS}/read")
    reader.get_key(key.name)
    middle = vault.get("operations", who="filter-reader")[-1]["at"]
    reader.get_key(key.name)
    list(reader.list_properties_of_key_versions(key.name))

    since = vault.get("operations", who="filter-reader", since=middle)
    gets = vault.get("operations", who="filter-reader", operation="get")

    assert [entry["operation"] for entry in since] == ["get", "get", "list"]
    assert len(gets) == 2
    assert vault.get("operations", who="filter-reader", operation="unwrap") == []


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00"])
def test_a_bad_time_is_refused(vault: LocalVault, since: str) -> None:
    """A time that is none, or names no zone, is an error and not an empty answer."""
    answer = requests.get(
        f"{vault.service.url}/_control/operations", params={"since": since}, verify=str(vault.ca), timeout=SECONDS
    )

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("since")


def test_counts_are_exact_under_concurrent_calls(vault: LocalVault, key: KeyVaultKey) -> None:
    """Successful operations of a principal are counted one by one, refused ones are not."""
    wrapped = wrap_locally(key)
    client = vault.cryptography(key, "counted", f"{KEYS}/unwrap/action")
    client.unwrap_key(ALGORITHM, wrapped)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.unwrap_key(ALGORITHM, wrapped), range(39)))
    with pytest.raises(HttpResponseError):
        client.unwrap_key(KeyWrapAlgorithm.rsa_oaep, wrapped)

    counts = vault.get("operations/counts", who="counted")
    assert counts["unwrap"] == 40
    assert sum(count for name, count in counts.items() if name not in ("throttled", "unwrap")) == 0
    assert set(counts["throttled"].values()) == {0}
    assert vault.get("operations/counts")["unwrap"] >= 40


def test_counts_outlive_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of entries is bounded, the counts are not."""
    monkeypatch.setattr(operation_log, "KEPT_ENTRIES", 2)
    log = OperationLog(("get",))

    for _ in range(5):
        log.add(who="app", operation="get", key=("mek", "1"), versionless=False, result=200, code=None)

    assert log.counts("app")["get"] == 5
    assert log.counts()["get"] == 5
    assert len(log._entries) == 2


def test_an_armed_throttle_hits_one_operation_on_one_version(
    vault: LocalVault, keys: KeyClient, key: KeyVaultKey
) -> None:
    """The fault answers 429 as the service does, once, and only where operation and version match."""
    other = keys.create_rsa_key(key.name, size=2048)
    vault.arm(operation="unwrap", kind="throttle", match=key.properties.version)

    assert vault.cryptography(other).unwrap_key(ALGORITHM, wrap_locally(other)).key == DEK
    client = vault.cryptography(key, "throttled", f"{KEYS}/unwrap/action")
    with pytest.raises(HttpResponseError) as caught:
        client.unwrap_key(ALGORITHM, wrap_locally(key))
    assert caught.value.status_code == 429
    response: Any = caught.value.response  # its type leaves out the headers
    assert "Retry-After" not in response.headers
    assert client.unwrap_key(ALGORITHM, wrap_locally(key)).key == DEK
    counts = vault.get("operations/counts", who="throttled")
    assert (counts["unwrap"], counts["throttled"]["unwrap"]) == (1, 1)


@pytest.mark.parametrize(("kind", "versions"), [("reset_before", 0), ("reset_after", 1)])
def test_a_lost_answer_may_hide_a_created_version(
    vault: LocalVault, keys: KeyClient, name: str, kind: str, versions: int
) -> None:
    """A reset before the effect leaves nothing behind, one after it leaves a version that nobody was told of."""
    vault.arm(operation="create", kind=kind, match=name)

    with pytest.raises(ServiceResponseError):
        keys.create_rsa_key(name, size=2048)

    assert len(list(keys.list_properties_of_key_versions(name))) == versions


def test_a_fault_does_not_hit_the_request_that_only_asks_for_the_challenge(vault: LocalVault, name: str) -> None:
    """A client's first request, without token and body, leaves a rule armed for the operation that follows."""
    vault.arm(operation="create", kind="status", status=500, match=name)

    answer = requests.post(f"{vault.service.url}/keys/{name}/create", verify=str(vault.ca), timeout=SECONDS)

    assert answer.status_code == 401
    with pytest.raises(HttpResponseError) as caught:
        vault.keys().create_rsa_key(name, size=2048)
    assert caught.value.status_code == 500


def test_latency_is_added_to_every_operation(identity: ServiceProcess, folder: Path, name: str) -> None:
    """With --latency-ms an operation takes at least that long."""
    slow = start_vault(identity, folder, name, "--limits", "off", "--latency-ms", 200)
    keys = slow.keys()
    list(keys.list_properties_of_keys())

    started = time.monotonic()
    list(keys.list_properties_of_keys())
    elapsed = time.monotonic() - started
    slow.service.stop()

    assert elapsed >= 0.2

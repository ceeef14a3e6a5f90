"""The probes: what they find in throw-away resources, what they leave, and what they need."""

import pytest
from azure.cosmos.aio import CosmosClient

from keyturn.doctor.run import PROBED
from tests.keyturn.doctor.conftest import Clinic, throttled

pytestmark = pytest.mark.xdist_group("doctor")


async def test_every_probe_finds_what_is_assumed(limited_clinic: Clinic) -> None:
    """With an operator's rights, every probe is green, and what it made is gone or disabled."""
    with throttled(limited_clinic):
        lines = limited_clinic.examine(limited_clinic.azure.client_environment("operator"), probing=True)

    outcomes = {line["id"]: line["outcome"] for line in lines}
    key = next(line["detail"] for line in lines if line["id"] == "probe_key").rpartition("/")[2]
    assert dict.fromkeys(("probe_key", "probe_container", *PROBED), "ok") == {
        name: outcomes[name] for name in ("probe_key", "probe_container", *PROBED)
    }
    assert key.startswith("keyturn-doctor-")
    assert left_enabled(limited_clinic, key) == []
    assert await containers(limited_clinic) == {"dek_store", "keyturn", "notes"}


async def containers(clinic: Clinic) -> set[str]:
    """Return the names of the database's containers."""
    master_key = (clinic.azure.layout.folder("cosmos") / "master_key").read_text().strip()
    async with CosmosClient(clinic.environment["COSMOS_ENDPOINT"], master_key) as client:
        database = client.get_database_client(clinic.environment["COSMOS_DATABASE"])
        return {found["id"] async for found in database.list_containers()}


def left_enabled(clinic: Clinic, key: str) -> list[str]:
    """Return the versions of a throw-away key that were created or enabled last, by the vault's own log."""
    entries = clinic.control("key_vault", "GET", "operations")
    ours = [entry for entry in entries if entry["keyName"] == key and entry["result"] == 200]
    last = {entry["keyVersion"]: entry["operation"] for entry in ours if entry["operation"] in ("create", "update")}
    return [version for version, operation in last.items() if operation == "create"]


def test_without_the_rights_the_probes_say_which(clinic: Clinic) -> None:
    """As the app, which may make neither keys beside its MEK nor containers, the missing rights are named."""
    clinic.control("key_vault", "POST", "faults", forbidden("create"))
    try:
        lines = {line["id"]: line for line in clinic.examine(probing=True)}
    finally:
        clinic.control("key_vault", "DELETE", "faults")

    assert "Microsoft.KeyVault/vaults/keys/create/action" in lines["probe_key"]["advice"]
    assert "containers/write" in lines["probe_container"]["advice"]
    assert {lines[name]["outcome"] for name in PROBED} == {"unchecked"}


def forbidden(operation: str) -> dict[str, object]:
    """Return the fault by which the vault refuses keys of the doctor: here a role is for the whole vault."""
    body = {"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByRbac"}}}
    rule = {"operation": operation, "kind": "status", "status": 403, "body": body, "match": "keyturn-doctor-"}
    return {**rule, "count": None}

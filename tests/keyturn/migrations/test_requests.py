"""What is looked at before a migration of documents is started, and the plan of a dry run."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.identity.aio import DefaultAzureCredential

from field_encrypt import KeyPolicy
from keyturn.contracts.migrations import Reencrypt
from keyturn.errors import InvalidRequestError
from keyturn.http import parse
from keyturn.migrations.requests import DecryptCheckRequest, EncryptRequest, ReencryptRequest, RewrapDeksRequest
from keyturn.resources import Resources
from keyturn.settings import load_settings
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.harness import versions_of

KEYRINGS = ("notes", "other", "unbound")


@pytest.fixture
async def notes(cosmos_client: CosmosClient) -> ContainerProxy:
    """A container that is partitioned by tenant."""
    return await new_container(cosmos_client, "notes", "/tenant")


@pytest.fixture
async def resources(
    cosmos: LocalCosmos, cosmos_client: CosmosClient, notes: ContainerProxy
) -> AsyncIterator[Resources]:
    """The resources of an app with two keyrings on one container of documents."""
    keyrings = []
    for name in KEYRINGS:
        described = {"name": notes.id, "fields": ["title"], "partitionKey": "tenant"}
        keyrings.append(
            {
                "name": name,
                "vaultUrl": "https://notes.vault.azure.net",
                "mekName": f"{name}-mek",
                "cosmosDatabase": DATABASE,
                "dekContainer": (await new_container(cosmos_client, "deks")).id,
                "documents": [{**described, "bindsPartitionKey": name != "unbound"}],
            }
        )
    settings = load_settings(
        {
            "COSMOS_ENDPOINT": cosmos.url,
            "KEYTURN_DATABASE": DATABASE,
            "KEYTURN_KEYRINGS": json.dumps(keyrings),
            "KEYTURN_ACCESS": "keys",
        }
    )
    opened = Resources(settings, DefaultAzureCredential(), cosmos_client)
    yield opened
    for name in KEYRINGS:
        await opened.keyring(name).mek.close()
        await opened.keyring(name).keys.close()
    await opened.credential.close()


def asked(keyring: str = "notes", **more: Any) -> ReencryptRequest:
    """Return a dry run's request as its body is parsed."""
    return parse(ReencryptRequest, {"kind": "re-encrypt", "keyring": keyring, "dryRun": True, **more})


async def test_a_container_with_too_many_partitions_is_refused(
    resources: Resources, notes: ContainerProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass must be able to keep a cursor for each; the account has two. Nothing has begun when it is found."""
    check = DecryptCheckRequest(kind="decrypt-check", keyring="notes")
    assert (await check.work(resources)).containers == [notes.id]
    monkeypatch.setattr("keyturn.migrations.requests.RANGES_MAX", 1)

    with pytest.raises(InvalidRequestError, match=f"{notes.id} has 2, expected at most 1 physical partitions"):
        await check.work(resources)
    with pytest.raises(InvalidRequestError):
        await EncryptRequest(kind="encrypt", keyring="notes").work(resources)


@pytest.mark.parametrize("paths", [["/workspaceId"], ["/tenant", "/workspaceId"], ["/owner/tenant"]])
async def test_a_container_that_is_partitioned_otherwise_is_refused(
    resources: Resources, cosmos_client: CosmosClient, paths: list[str]
) -> None:
    """Its documents would be looked for, and bound, where none stands: before a record is written, not one by one."""
    key = PartitionKey(paths[0]) if len(paths) == 1 else PartitionKey(paths, kind="MultiHash")
    database = cosmos_client.get_database_client(DATABASE)
    resources.keyring("notes").documents[
        next(iter(resources.keyring("notes").documents))
    ] = await database.create_container(f"otherwise-{uuid.uuid4().hex[:8]}", key)

    for kind in (DecryptCheckRequest(kind="decrypt-check", keyring="notes"), asked()):
        with pytest.raises(InvalidRequestError, match=re.escape(", ".join(paths))) as refused:
            await kind.work(resources)
        assert "KEYTURN_DOCUMENTS" in str(refused.value)


async def test_the_key_policy_is_part_of_the_work(resources: Resources) -> None:
    """It stays what it was when the migration was asked for, in the record and in durable history."""
    work = await asked(keyPolicy={"per": "partition", "maxDocuments": 500, "maxAge": "P30D"}).work(resources)

    assert (work.key_policy, Reencrypt.from_payload(work.to_payload())) == (asked_policy(work), work)
    assert (await asked().work(resources)).key_policy is None


def asked_policy(work: Reencrypt) -> KeyPolicy | None:
    """Return the policy that the example asks for, with the age as it was understood."""
    age = work.key_policy.max_age if work.key_policy else None
    return KeyPolicy(per="partition", max_documents=500, max_age=age)


@pytest.mark.parametrize(
    ("keyring", "more", "expected"),
    [
        ("notes", {"keyPolicy": {"per": "tenant"}}, "document"),
        ("notes", {"keyPolicy": {"per": "container", "maxDocuments": 0}}, "positive"),
        ("notes", {"keyPolicy": {"per": "container"}, "targetKeyring": "other"}, "a DEK per document"),
        ("unbound", {"keyPolicy": {"per": "partition"}}, "where none is bound"),
    ],
)
async def test_a_key_policy_that_cannot_be_is_refused(
    resources: Resources, keyring: str, more: dict[str, Any], expected: str
) -> None:
    """The error names the field and what was expected."""
    with pytest.raises(InvalidRequestError, match=expected) as refused:
        await asked(keyring, **more).work(resources)

    assert str(refused.value.facts["field"]).startswith("keyPolicy")


@pytest.mark.parametrize(
    ("policy", "new"),
    [
        (None, 30),
        ({"per": "document"}, 30),
        ({"per": "partition"}, 3),
        ({"per": "partition", "maxDocuments": 10}, 3 + 3),
        ({"per": "container"}, 1),
        ({"per": "container", "maxDocuments": 10}, 1 + 3),
        ({"per": "container", "maxDocuments": None}, 1),
    ],
)
async def test_a_dry_run_plans_the_rotation_afterwards(
    resources: Resources, notes: ContainerProxy, policy: dict[str, Any] | None, new: int
) -> None:
    """How many rows there will be, those that are superseded included, and how long their rotation takes."""
    for number in range(30):
        await notes.create_item({"id": f"n-{number}", "tenant": f"t-{number % 3}", "title": "t"})
    for number in range(5):
        await resources.keyring("notes").dek_container.create_item({"id": f"row-{number}"})

    plan = await asked(keyPolicy=policy).plan(resources)

    frozen = resources.settings.policy
    assert plan is not None
    assert (plan.rows_by_version, plan.rows) == ({"(now)": 5, "(new)": new}, 5 + new)
    rows_seconds = plan.rows / frozen.vault_operations_per_second
    waits = frozen.soak.total_seconds() + frozen.watch.total_seconds()
    assert plan.seconds == pytest.approx(rows_seconds + waits)
    assert await asked(dryRun=False).plan(resources) is None
    assert await DecryptCheckRequest(kind="decrypt-check", dry_run=True).plan(resources) is None


@pytest.mark.parametrize(
    ("new", "old", "named"),
    [("nope", None, "newVersion: expected a version of"), (None, "nope", "oldVersion: expected a version of")],
)
async def test_an_unknown_version_is_named_with_those_there_are(
    local_keyring: LocalKeyring, new: str | None, old: str | None, named: str
) -> None:
    """As a keyring or a container is."""
    first, second = await local_keyring.mek.create(), await local_keyring.mek.create()
    request = RewrapDeksRequest(kind="rewrap-deks", new_version=new or second, old_version=old)

    with pytest.raises(InvalidRequestError) as refused:
        await request.work(versions_of(local_keyring))

    assert str(refused.value).startswith(named)
    assert f"one of {', '.join(sorted((first, second)))}" in str(refused.value)


async def test_a_disabled_version_is_named_with_those_that_are_enabled(local_keyring: LocalKeyring) -> None:
    """Rows are moved onto none of the others."""
    first, second = await local_keyring.mek.create(), await local_keyring.mek.create()
    await local_keyring.mek.change(first, enabled=False)

    with pytest.raises(InvalidRequestError, match=f"an enabled version of .*, one of {second}$"):
        await RewrapDeksRequest(kind="rewrap-deks", new_version=first).work(versions_of(local_keyring))

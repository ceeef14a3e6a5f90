"""Containers of encrypted documents: what goes in is encrypted, what comes out is decrypted, whichever call it was."""

import uuid
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosResourceNotFoundError,
)
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt import (
    DekCache,
    DekStore,
    EncryptedContainer,
    EnvProvider,
    FieldEncryption,
    FieldPolicy,
    KeyPolicy,
    RowDefaults,
)
from field_encrypt.encoding import to_base64
from field_encrypt.errors import InvalidFieldError, InvalidFieldPathError, InvalidSettingError, TamperedFieldError
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.local_cosmos import DATABASE, new_container

FIELDS, OPTIONAL = ["title", "author/name", "parts/*/text"], ["due", "price"]
NOTE: dict[str, Any] = {
    "id": "note-1",
    "workspaceId": "w-1",
    "title": "t",
    "author": {"name": "n", "team": "x"},
    "parts": [{"text": 1}, {"text": None}],
    "due": date(2026, 12, 24),
}


def own(item: Any) -> dict[str, Any]:
    """Return what the application stored, without what Cosmos DB adds."""
    return {name: value for name, value in item.items() if not name.startswith("_")}


class Notes:
    """Notes in a container of their own, with their dek store."""

    def __init__(self, container: ContainerProxy, deks: ContainerProxy) -> None:
        self.raw, self.deks = container, deks
        self.policy = FieldPolicy(container.id, FIELDS, OPTIONAL)

    def encrypted(self, policy: KeyPolicy | None = None, context: dict[str, Any] | None = None) -> EncryptedContainer:
        """Return the container as one more process has it."""
        store = DekStore(self.deks, RowDefaults(mek_name="env", algorithm="A256KW"))
        provider = EnvProvider(to_base64(bytes(32)))
        encryption = FieldEncryption(provider, store, DekCache(), policy=policy or KeyPolicy())
        return EncryptedContainer(self.raw, encryption, self.policy, context=context)

    async def stored(self, item: str = "note-1") -> dict[str, Any]:
        """Return a document as it is stored."""
        return await self.raw.read_item(item, partition_key="w-1")

    async def dek_ids(self) -> set[str]:
        """Return the ids of all rows."""
        return {row["id"] async for row in self.deks.query_items("SELECT c.id FROM c")}


@pytest.fixture
async def notes(cosmos_client: CosmosClient) -> Notes:
    """An empty container and dek store."""
    container = await new_container(cosmos_client, "notes", "/workspaceId")
    return Notes(container, await new_container(cosmos_client, "deks"))


async def test_document_is_stored_encrypted_and_read_decrypted(notes: Notes) -> None:
    """Created, read, replaced and upserted documents are what the application gave; the stored ones are encrypted."""
    container = notes.encrypted()
    created = await container.create_item(NOTE)
    stored = await notes.stored()

    assert NOTE == own(created) == own(await notes.encrypted().read_item("note-1", "w-1"))
    assert created["_etag"] == stored["_etag"]
    encrypted = [stored["title"], stored["author"]["name"], *(part["text"] for part in stored["parts"]), stored["due"]]
    assert all(is_encrypted(value) for value in encrypted)
    assert (stored["author"]["team"], stored["workspaceId"]) == ("x", "w-1")

    changed = {**NOTE, "title": "second", "price": Decimal("1.50")}
    assert own(await container.replace_item("note-1", changed)) == changed
    assert own(await container.read_item("note-1", "w-1")) == changed
    assert own(await container.upsert_item({**NOTE, "title": "third"})) == {**NOTE, "title": "third"}
    assert (await container.read_item("note-1", "w-1"))["title"] == "third"


@pytest.mark.parametrize(("per", "rows"), [("document", 2), ("partition", 1), ("container", 1)])
async def test_saves_keep_deks_by_the_key_policy(notes: Notes, per: Any, rows: int) -> None:
    """However a document is saved and by whom, it stays under its DEK."""
    policy = KeyPolicy(per=per)
    await notes.encrypted(policy).create_item(NOTE)
    dek_id = (await notes.stored())["title"]["dekId"]
    await notes.encrypted(policy).upsert_item({**NOTE, "id": "note-2"})
    for process in (notes.encrypted(policy), notes.encrypted(policy)):
        await process.replace_item("note-1", NOTE)
        await process.upsert_item(NOTE)
        await process.patch_item("note-1", "w-1", [{"op": "set", "path": "/title", "value": "p"}])
        await process.execute_item_batch([("upsert", (NOTE,)), ("replace", ("note-1", NOTE))], "w-1")

    assert (await notes.stored())["title"]["dekId"] == dek_id
    assert len(await notes.dek_ids()) == rows


async def test_absent_optional_field_is_no_error_and_plaintext_is_one(notes: Notes) -> None:
    """A field that may be absent may not be plain; a field that must be there may not be absent."""
    container = notes.encrypted()
    without = {name: value for name, value in NOTE.items() if name != "due"}

    assert without == own(await container.create_item(without)) == own(await container.read_item("note-1", "w-1"))
    with pytest.raises(InvalidFieldPathError, match="title"):
        await container.create_item({"id": "note-2", "workspaceId": "w-1"})
    stored = await notes.stored()
    for forged in ({"due": "plain"}, {"title": "plain"}):
        await notes.raw.upsert_item({**stored, **forged})
        with pytest.raises(InvalidFieldError):
            await container.read_item("note-1", "w-1")


async def test_document_copied_to_another_partition_does_not_open(notes: Notes) -> None:
    """Under its own id, which format 1 did not notice."""
    container = notes.encrypted()
    await container.create_item(NOTE)
    await notes.raw.create_item({**own(await notes.stored()), "workspaceId": "w-2"})

    with pytest.raises(TamperedFieldError):
        await container.read_item("note-1", "w-2")
    assert (await container.read_item("note-1", "w-1"))["title"] == "t"


async def test_context_of_a_container_is_bound(notes: Notes) -> None:
    """Documents of one tenant do not open for another."""
    await notes.encrypted(context={"tenant": "t-1"}).create_item(NOTE)

    assert own(await notes.encrypted(context={"tenant": "t-1"}).read_item("note-1", "w-1")) == NOTE
    with pytest.raises(TamperedFieldError):
        await notes.encrypted(context={"tenant": "t-2"}).read_item("note-1", "w-1")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "set", "path": "/title", "value": "new"},
        {"op": "replace", "path": "/author/name", "value": "new"},
        {"op": "add", "path": "/due", "value": date(2027, 1, 1)},
        {"op": "set", "path": "/author/team", "value": "y"},
        {"op": "remove", "path": "/due"},
    ],
)
async def test_patch_encrypts_what_it_sets(notes: Notes, operation: dict[str, Any]) -> None:
    """A whole encrypted field may be set, an optional one removed, and any other property patched."""
    container = notes.encrypted()
    await container.create_item(NOTE)

    answer = await container.patch_item("note-1", "w-1", [operation, {"op": "incr", "path": "/visits", "value": 2}])

    read = await notes.encrypted().read_item("note-1", "w-1")
    value: Any = read
    for step in operation["path"].split("/")[1:]:
        value = value.get(step)
    assert operation.get("value") == value
    assert (read, read["visits"]) == (answer, 2)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/title"},
        {"op": "incr", "path": "/title", "value": 1},
        {"op": "set", "path": "/author", "value": {"name": "plain"}},
        {"op": "set", "path": "/title/ct", "value": ""},
        {"op": "set", "path": "/parts/0/text", "value": "plain"},
        {"op": "add", "path": "/parts/-", "value": {"text": "plain"}},
        {"op": "remove", "path": "/parts/0"},
        {"op": "move", "from": "/title", "path": "/other"},
        {"op": "move", "from": "/other", "path": "/title"},
        {"op": "set", "path": "/title"},
    ],
)
async def test_patch_that_would_break_a_field_is_refused(notes: Notes, operation: dict[str, Any]) -> None:
    """Nothing reaches into, around or from an encrypted field; the document stays as it was."""
    container = notes.encrypted()
    created = await container.create_item({**NOTE, "other": 1})

    with pytest.raises(InvalidFieldPathError):
        await container.patch_item("note-1", "w-1", [operation])

    assert created["_etag"] == (await notes.stored())["_etag"]


@pytest.mark.parametrize(
    ("operation", "refused"),
    [
        ({"op": "add", "path": "/parts/0", "value": {"text": "new"}}, True),
        ({"op": "add", "path": "/few/-", "value": {"text": "new"}}, True),
        ({"op": "add", "path": "/parts/-", "value": {"text": "new"}}, False),
        ({"op": "remove", "path": "/parts/0"}, True),
        ({"op": "move", "from": "/parts/0", "path": "/other"}, True),
        ({"op": "add", "path": "/parts/2", "value": {"text": "new"}}, False),
        ({"op": "set", "path": "/parts/0/text", "value": "new"}, False),
        ({"op": "add", "path": "/years/2023", "value": "a property, and no element"}, False),
    ],
)
async def test_patch_that_would_shift_an_element_is_refused(
    notes: Notes, operation: dict[str, Any], *, refused: bool
) -> None:
    """A field in one element of a list stays in it; what is no list has nothing to shift."""
    notes.policy = FieldPolicy(notes.raw.id, ["parts/1/text"], ["years/2024", "few/1/text"])
    container = notes.encrypted()
    note = {"id": "note-1", "workspaceId": "w-1", "parts": [{"text": "a"}, {"text": "b"}], "years": {"2024": "c"}}
    note["few"] = [{"text": "a"}]
    await container.create_item(note)

    if refused:
        with pytest.raises(InvalidFieldPathError):
            await container.patch_item("note-1", "w-1", [operation])
    else:
        await container.patch_item("note-1", "w-1", [operation])
    read = await container.read_item("note-1", "w-1")
    assert (read["parts"][1], read["years"]["2024"]) == ({"text": "b"}, "c")  # type: ignore[index]  # as it was stored


async def test_options_are_those_of_the_sdk(notes: Notes) -> None:
    """A condition on the ETag holds as without encryption; an answer that was not wanted is none to decrypt."""
    container = notes.encrypted()
    created = await container.create_item(NOTE)
    await container.replace_item("note-1", NOTE, etag=created["_etag"], match_condition=MatchConditions.IfNotModified)

    patch = [{"op": "set", "path": "/title", "value": "patched"}]
    assert await container.patch_item("note-1", "w-1", patch, no_response=True) == {}
    assert (await container.read_item("note-1", "w-1"))["title"] == "patched"
    with pytest.raises(CosmosAccessConditionFailedError):
        await container.upsert_item(NOTE, etag=created["_etag"], match_condition=MatchConditions.IfNotModified)
    with pytest.raises(CosmosResourceNotFoundError):
        await container.replace_item("note-2", {**NOTE, "id": "note-2"})


async def listed(items: AsyncIterator[dict[str, object]]) -> list[dict[str, Any]]:
    """Return all items."""
    return [own(item) async for item in items]


@pytest.mark.usefixtures("mixed_types")
async def test_results_of_queries_are_decrypted(notes: Notes) -> None:
    """Whole documents and parts of them, over one partition or all, and results without encrypted fields."""
    container = notes.encrypted()
    for number in range(3):
        await container.create_item({**NOTE, "id": f"note-{number}", "workspaceId": f"w-{number % 2}", "title": number})

    query = "SELECT * FROM c WHERE c.author.team = @team"
    found = await listed(container.query_items(query, parameters=[{"name": "@team", "value": "x"}]))
    assert sorted(note["title"] for note in found) == [0, 1, 2]
    assert sorted(note["title"] for note in await listed(container.read_all_items())) == [0, 1, 2]
    parts = await listed(container.query_items("SELECT c.id, c.workspaceId, c.title FROM c", partition_key="w-0"))
    assert sorted(note["title"] for note in parts) == [0, 2]
    assert await listed(container.query_items("SELECT c.author.team FROM c")) == [{"team": "x"}] * 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT c.workspaceId, c.title FROM c",
        "SELECT c.id, c.title FROM c",
        "SELECT c.id, c.workspaceId, c.title AS t FROM c",
        "SELECT VALUE c.id FROM c",
    ],
)
async def test_result_that_lacks_what_its_fields_are_bound_to_is_refused(notes: Notes, query: str) -> None:
    """Ciphertext is never returned as a result."""
    container = notes.encrypted()
    await container.create_item(NOTE)

    with pytest.raises(InvalidFieldPathError):
        await listed(container.query_items(query))


async def test_batch_is_encrypted_and_its_results_are_decrypted(notes: Notes) -> None:
    """All kinds of operations, together or not at all."""
    container = notes.encrypted()
    await container.create_item(NOTE)
    second, third = ({**NOTE, "id": f"note-{number}", "title": number} for number in (2, 3))

    results = await container.execute_item_batch(
        [
            ("create", (second,)),
            ("upsert", (third,)),
            ("replace", ("note-1", {**NOTE, "title": "changed"})),
            ("patch", ("note-2", [{"op": "set", "path": "/plain", "value": 5}])),
            ("read", ("note-3",)),
            ("delete", ("note-3",)),
        ],
        "w-1",
    )

    bodies = [own(result["resourceBody"]) for result in results if "resourceBody" in result]
    assert [second, third, {**NOTE, "title": "changed"}, {**second, "plain": 5}, third] == bodies
    assert is_encrypted((await notes.stored())["title"])
    with pytest.raises(CosmosBatchOperationError):
        await container.execute_item_batch([("create", ({**NOTE, "id": "note-4"},)), ("read", ("none",))], "w-1")


@pytest.mark.parametrize(
    ("key", "documents"),
    [
        (["/tenant", "/workspaceId"], [{"tenant": "a", "workspaceId": 1}, {"tenant": "a", "workspaceId": None}]),
        (["/workspaceId"], [{"workspaceId": None}, {"workspaceId": True}, {"workspaceId": 1.5}, {}]),
        (["/own/er"], [{"own": {"er": "x"}}, {"own": {}}]),
    ],
)
async def test_partition_keys_of_every_kind(
    cosmos_client: CosmosClient, notes: Notes, key: list[str], documents: list[dict[str, Any]]
) -> None:
    """Hierarchical, of any JSON type, nested, or not there: a document opens where it was stored."""
    database = cosmos_client.get_database_client(DATABASE)
    name = f"keys-{uuid.uuid4().hex[:8]}"
    container = Notes(await database.create_container(name, _partition_key(key)), notes.deks)
    container.policy = FieldPolicy(name, ["title"])
    encrypted = container.encrypted()
    for number, document in enumerate(documents):
        note = {"id": "note", "title": number, **document}

        assert own(await encrypted.create_item(note)) == note

    assert list(range(len(documents))) == sorted([note["title"] async for note in encrypted.read_all_items()])  # type: ignore[type-var]  # numbers
    assert list(range(len(documents))) == sorted(
        [note["title"] async for note in encrypted.query_items("SELECT * FROM c")]
    )  # type: ignore[type-var]  # numbers
    if documents[-1] == {}:
        assert (await encrypted.read_item("note", NonePartitionKeyValue))["title"] == 3


def _partition_key(paths: list[str]) -> PartitionKey:
    return PartitionKey(paths[0]) if len(paths) == 1 else PartitionKey(paths, kind="MultiHash")


@pytest.mark.parametrize(
    ("fields", "optional", "setting", "meant"),
    [
        ("title", (), "fields", '["title"]'),
        (["title"], "due", "optional", '["due"]'),
        (["id"], (), "fields", "id"),
        (["title"], ["_etag"], "optional", "_etag"),
        (["title"], ["/due"], "optional", "'/due'"),
        (["author//name"], (), "fields", "'author//name'"),
        (["title", ""], (), "fields", "''"),
        (["title"], ["a~b"], "optional", "'a~b'"),
        (["title"], ["*"], "optional", "'*'"),
        (["*/text"], (), "fields", "'*/text'"),
    ],
)
def test_policy_that_cannot_be_meant_is_refused(fields: Any, optional: Any, setting: str, meant: str) -> None:
    """A text is no list of letters, nothing that Cosmos DB reads is encrypted, no optional path is one of nothing."""
    with pytest.raises(InvalidSettingError) as refused:
        FieldPolicy("notes", fields, optional)

    assert refused.value.setting == setting
    assert meant in str(refused.value)


async def test_partition_key_is_never_encrypted(notes: Notes) -> None:
    """The container is asked for its partition key before anything is written."""
    notes.policy = FieldPolicy(notes.raw.id, ["workspaceId"])

    with pytest.raises(InvalidSettingError, match="workspaceId"):
        await notes.encrypted().create_item(NOTE)


async def test_policy_of_another_container_is_refused(notes: Notes) -> None:
    """A ciphertext is bound to its container's name."""
    notes.policy = FieldPolicy("others", ["title"])

    with pytest.raises(InvalidSettingError, match="others"):
        notes.encrypted()


@pytest.mark.parametrize("item", ["note-2", "note-1"])
async def test_document_of_another_id_is_refused(notes: Notes, item: str) -> None:
    """A replace is of the document that it names."""
    container = notes.encrypted()
    await container.create_item(NOTE)
    body = {**NOTE, "id": "note-1" if item == "note-2" else "note-2"}

    with pytest.raises(InvalidFieldPathError, match=item):
        await container.replace_item(item, body)
    with pytest.raises(InvalidFieldPathError, match=item):
        await container.execute_item_batch([("replace", (item, body))], "w-1")
    with pytest.raises(InvalidFieldPathError, match="list of paths"):
        await container._encryption.encrypt_fields("notes", "note-1", NOTE, "title")

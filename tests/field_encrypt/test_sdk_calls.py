"""Calls in each form that the SDK takes them: none stores a field in plaintext, or one that does not open again."""

import uuid
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt import FieldPolicy
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.local_cosmos import DATABASE, new_container
from tests.field_encrypt.notes import NOTE, Notes, own

TITLE = [{"op": "set", "path": "/title", "value": "second"}]


async def test_an_item_may_be_the_document_itself(notes: Notes) -> None:
    """As the SDK takes it in the place of an id; what is bound is the id."""
    container: Any = notes.encrypted()
    created = await container.create_item(NOTE)

    assert own(await container.read_item(created, "w-1")) == NOTE
    await container.replace_item(created, {**NOTE, "title": "first"})
    assert (await container.patch_item(created, "w-1", TITLE))["title"] == "second"
    await container.execute_item_batch([("replace", (created, NOTE)), ("patch", (created, TITLE))], "w-1")
    assert own(await container.read_item("note-1", "w-1")) == {**NOTE, "title": "second"}


@pytest.mark.parametrize("item", [5, None, "", {}, {"id": 5}, ["note-1"]])
async def test_an_item_that_is_none_is_named(notes: Notes, item: Any) -> None:
    """The error is about the id, and holds nothing of a document."""
    container: Any = notes.encrypted()
    await container.create_item(NOTE)

    calls = [container.read_item(item, "w-1"), container.replace_item(item, NOTE)]
    calls += [container.patch_item(item, "w-1", TITLE), container.execute_item_batch([("patch", (item, TITLE))], "w-1")]
    for call in calls:
        with pytest.raises(InvalidFieldPathError) as refused:
            await call
        assert refused.value.field_path == "id"


async def test_a_document_under_another_id_is_refused_without_its_text(notes: Notes) -> None:
    """Texts of documents stand in no error."""
    container: Any = notes.encrypted()

    with pytest.raises(InvalidFieldPathError, match="other") as refused:
        await container.replace_item({**NOTE, "id": "other", "title": "a secret"}, NOTE)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("spelled", [str.capitalize, str.upper])
async def test_operations_of_a_batch_may_be_spelled_in_capitals(notes: Notes, spelled: Any) -> None:
    """The SDK takes them in any case, so no case lets a field through in plaintext."""
    operations: list[tuple[str, Any]] = [("create", (NOTE,)), ("upsert", (NOTE,)), ("replace", ("note-1", NOTE))]
    operations += [("patch", ("note-1", TITLE)), ("read", ("note-1",))]

    results: Any = await notes.encrypted().execute_item_batch(
        [(spelled(kind), given) for kind, given in operations], "w-1"
    )

    assert is_encrypted((await notes.stored())["title"])
    assert own(results[-1]["resourceBody"]) == {**NOTE, "title": "second"}


@pytest.mark.parametrize(
    "operation", [("create", NOTE), ("replace", (NOTE,)), ("patch", "note-1"), ("create",), (5, ())]
)
async def test_a_malformed_operation_of_a_batch_is_named(notes: Notes, operation: Any) -> None:
    """With what was expected, before anything is sent."""
    with pytest.raises(InvalidSettingError, match="batch_operations"):
        await notes.encrypted().execute_item_batch([operation], "w-1")


async def test_a_batch_may_change_what_it_has_created(notes: Notes) -> None:
    """A document that the same batch stores is not there yet to be read; it keeps its one DEK."""
    container = notes.encrypted()
    operations: list[tuple[str, Any]] = [("create", (NOTE,)), ("patch", ("note-1", TITLE)), ("read", ("note-1",))]

    results: Any = await container.execute_item_batch(operations, "w-1")
    assert own(results[-1]["resourceBody"]) == {**NOTE, "title": "second"}
    other = {**NOTE, "id": "note-2"}
    await container.execute_item_batch([("upsert", (other,)), ("replace", ("note-2", {**other, "title": "u"}))], "w-1")
    assert (await container.read_item("note-2", "w-1"))["title"] == "u"
    assert len(await notes.dek_ids()) == 2
    with pytest.raises(CosmosResourceNotFoundError):
        await container.execute_item_batch([("patch", ("note-3", TITLE))], "w-1")


async def test_queries_take_the_options_of_both_clients(notes: Notes) -> None:
    """Parameters in second place; leave to cross partitions, which the asynchronous client always does."""
    container = notes.encrypted()
    await container.create_item(NOTE)
    query, parameters = "SELECT * FROM c WHERE c.id = @id", [{"name": "@id", "value": "note-1"}]

    found = [own(note) async for note in container.query_items(query, parameters, enable_cross_partition_query=True)]

    assert found == [NOTE]


async def test_a_patch_binds_the_id_that_the_document_has(notes: Notes) -> None:
    """An id with a slash at its end leads to the document without it."""
    container = notes.encrypted()
    await container.create_item(NOTE)

    await container.patch_item("note-1/", "w-1", [{"op": "set", "path": "/title", "value": "second"}])

    assert (await container.read_item("note-1", "w-1"))["title"] == "second"


async def test_properties_that_begin_with_an_underscore_come_back_as_they_were(notes: Notes) -> None:
    """They are not taken for Cosmos DB's own, which are the new ones."""
    notes.policy = FieldPolicy(notes.raw.id, ["_title", "_meta/name"])
    container = notes.encrypted()
    note = {"id": "note-1", "workspaceId": "w-1", "_title": "t", "_meta": {"name": "n"}}

    created = await container.create_item(note)
    saved = await container.upsert_item(created)

    for answer in (created, saved, await container.replace_item("note-1", saved)):
        assert {name: answer[name] for name in note} == note
    assert saved["_etag"] != created["_etag"]


@pytest.mark.parametrize("text", ["SELECT VALUE c.title FROM c", "SELECT VALUE c.author FROM c"])
async def test_a_field_is_no_result(notes: Notes, text: str) -> None:
    """A ciphertext is never returned as an object of the application's."""
    container = notes.encrypted()
    await container.create_item(NOTE)

    with pytest.raises(InvalidFieldPathError):
        [result async for result in container.query_items(text)]


async def test_an_id_that_the_sdk_would_make_is_bound(notes: Notes) -> None:
    """``enable_automatic_id_generation`` makes one before the fields are encrypted."""
    container = notes.encrypted()
    note = {name: value for name, value in NOTE.items() if name != "id"}

    created = await container.create_item(note, enable_automatic_id_generation=True)

    assert own(await container.read_item(str(created["id"]), "w-1")) == {**note, "id": created["id"]}
    with pytest.raises(InvalidFieldPathError, match="id"):
        await container.create_item(note)


async def test_a_partition_key_without_its_last_part(cosmos_client: CosmosClient, notes: Notes) -> None:
    """Is asked for as Cosmos DB writes it; what comes of it, Azure says."""
    database = cosmos_client.get_database_client(DATABASE)
    raw = await database.create_container(
        f"levels-{uuid.uuid4().hex[:8]}", PartitionKey(["/a", "/b"], kind="MultiHash")
    )
    notes.raw, notes.policy = raw, FieldPolicy(raw.id, ["title"])
    container = notes.encrypted()

    for call in (
        container.upsert_item({"id": "1", "a": "x", "title": "t"}),
        container.read_item("1", ["x", NonePartitionKeyValue]),
    ):
        with pytest.raises(CosmosHttpResponseError):
            await call


async def test_a_partition_key_in_quotation_marks_is_never_encrypted(cosmos_client: CosmosClient, notes: Notes) -> None:
    """A name with a slash in it is spelled in two ways."""
    raw = await new_container(cosmos_client, "quoted", '/"a/b"')
    notes.raw, notes.policy = raw, FieldPolicy(raw.id, ["a~1b"])

    with pytest.raises(InvalidSettingError, match="a/b"):
        await notes.encrypted().create_item({"id": "1", "a/b": "x"})

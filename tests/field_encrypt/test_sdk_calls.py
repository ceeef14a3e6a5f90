"""Calls in each form that the SDK takes them: none stores a field in plaintext, or one that does not open again."""

from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError
from field_encrypt.fields import is_encrypted
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

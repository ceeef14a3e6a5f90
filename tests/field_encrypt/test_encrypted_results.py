"""What a query, a batch or a patch gives back and takes is decrypted and encrypted as whole documents are."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosBatchOperationError

from field_encrypt import FieldPolicy
from field_encrypt.errors import InvalidFieldPathError
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.notes import NOTE, Notes, own


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

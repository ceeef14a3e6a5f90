"""What is looked at is what is stored: whatever the caller's types show, and whatever becomes of them meanwhile."""

import asyncio
import types
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple, override

import pytest

from field_encrypt import STANDARD_CODECS, DekCache, FieldEncryption, FieldPolicy, KeyVaultProvider
from field_encrypt.errors import (
    InvalidFieldPathError,
    InvalidPlaceError,
    InvalidSettingError,
    InvalidValueError,
    TamperedFieldError,
)
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.local_keyring import LocalKeyring
from tests.field_encrypt.notes import NOTE, Notes, own


class Hiding(dict[str, Any]):
    """Denies to have what json.dumps writes."""

    @override
    def __contains__(self, name: object) -> bool:
        return False


class Computed(dict[str, Any]):
    """Has more than it holds: json.dumps asks for the items."""

    @override
    def items(self) -> Any:
        """Return one more."""
        return {**self, "due": "plain"}.items()


class Empty(list[Any]):
    """Shows none of the elements that json.dumps writes."""

    @override
    def __iter__(self) -> Iterator[Any]:
        return iter([])

    @override
    def __len__(self) -> int:
        return 0


class Text(str, Enum):  # noqa: UP042 - of the two kinds the one that does not show its text
    """Texts that are written as another one than they show."""

    TITLE = "title"
    PATH = "/title"
    SET = "set"
    CREATE = "create"
    NOTE = "note-1"


class Point(NamedTuple):
    """A tuple that an application has a codec for."""

    x: int
    y: int


SHAPES: list[dict[str, Any]] = [
    {"meta": Hiding(due="plain")},
    {"meta": Computed(x=1)},
    {"meta": UserDict(due="plain")},
    {"meta": types.MappingProxyType({"due": "plain"})},
    {"parts": Empty([{"text": "plain"}])},
    {"parts": [Hiding(text="plain")]},
    {"parts": ({"text": "plain"},)},
    {Text.TITLE: "plain"},
    {"deep": OrderedDict(a=[Hiding(due="plain")])},
]


@pytest.mark.parametrize("kind", [dict, Hiding, UserDict, types.MappingProxyType])
@pytest.mark.parametrize("shape", SHAPES)
async def test_no_shape_of_a_document_keeps_a_field_plain(notes: Notes, kind: Any, shape: dict[str, Any]) -> None:
    """Subclasses and other mappings, of the document and within it: no plaintext is stored, and all is read again."""
    notes.policy = FieldPolicy(notes.raw.id, [], ["title", "meta/due", "parts/*/text", "deep/a/0/due"])
    container = notes.encrypted()

    for store in (container.create_item, container.upsert_item):
        await store(kind({"id": "note-1", "workspaceId": "w-1", **shape}))

        assert "plain" not in str(await notes.stored())
        assert "plain" in str(await container.read_item("note-1", "w-1"))
    await container.replace_item("note-1", kind({"id": "note-1", "workspaceId": "w-1", **shape}))
    body = kind({"id": "note-2", "workspaceId": "w-1", **shape})
    await container.execute_item_batch([("create", (body,))], "w-1")
    assert "plain" not in str(await notes.stored()) + str(await notes.stored("note-2"))


@pytest.mark.parametrize("value", [Empty([1, 2]), Hiding(a=[1, 2]), UserDict(a=[1, 2]), {"a": Empty([1, 2])}])
async def test_a_value_is_encrypted_as_json_has_it(notes: Notes, value: Any) -> None:
    """A list that shows no elements came back empty."""
    container = notes.encrypted()
    await container.create_item({**NOTE, "title": value})

    assert "[1, 2]" in str((await container.read_item("note-1", "w-1"))["title"])


async def test_a_codec_gets_its_own_type(local_keyring: LocalKeyring) -> None:
    """A tuple with a codec is no list yet when it is encoded."""
    codecs = STANDARD_CODECS.adding("point", Point, lambda point: [*point], lambda value: Point(*value))  # type: ignore[misc]  # what it encoded
    keyring = local_keyring
    encryption = FieldEncryption(KeyVaultProvider(keyring.mek.client), keyring.store, DekCache(), codecs=codecs)

    stored = await encryption.encrypt_fields("notes", "note-1", {"at": Point(1, 2)}, ["at"])

    read = (await encryption.decrypt_fields("notes", "note-1", stored, ["at"]))["at"]
    assert (type(read), read) == (Point, Point(1, 2))


async def test_texts_are_those_that_are_written(notes: Notes) -> None:
    """In paths, names, ids, operations and kinds of operations."""
    notes.policy = FieldPolicy(notes.raw.id, [Text.TITLE])
    container = notes.encrypted()
    note = {"id": Text.NOTE, "workspaceId": "w-1", Text.TITLE: "first"}
    await container.execute_item_batch([(Text.CREATE, (note,))], "w-1")
    await container.upsert_item(note)

    await container.patch_item(Text.NOTE, "w-1", [{"op": Text.SET, "path": Text.PATH, "value": "second"}])

    assert is_encrypted((await notes.stored())["title"])
    assert (await container.read_item(Text.NOTE, "w-1"))["title"] == "second"
    assert len(await notes.dek_ids()) == 1


@pytest.mark.parametrize("path", ["//title", "/author//name", "/a~b", "/list/01"])
async def test_no_spelling_of_a_path_leads_past_the_policy(notes: Notes, path: str) -> None:
    """Whatever the database takes it for."""
    notes.policy = FieldPolicy(notes.raw.id, ["title", "author/name"], ["a~0b", "list/1"])

    with pytest.raises(InvalidFieldPathError):
        await notes.encrypted().patch_item("note-1", "w-1", [{"op": "set", "path": path, "value": "plain"}])


@pytest.mark.parametrize(
    "operation",
    [
        5,
        None,
        [("op", "set")],
        {"op": "set", "path": "", "value": {"title": "plain"}},
        {"op": "set", "path": "/", "value": {"title": "plain"}},
        {"op": "set", "path": ["/title"], "value": "plain"},
        {"op": 5, "path": "/title", "value": "plain"},
        {"op": "move", "path": "/title", "from": 5},
    ],
)
async def test_an_operation_of_a_patch_that_is_none_is_named(notes: Notes, operation: Any) -> None:
    """Nor may one replace the whole document."""
    with pytest.raises(InvalidSettingError, match="patch_operations"):
        await notes.encrypted().patch_item("note-1", "w-1", [operation])


async def test_a_patch_in_capitals_shifts_no_element(notes: Notes) -> None:
    """Where a field is bound to the index of its element."""
    notes.policy = FieldPolicy(notes.raw.id, ["parts/1"])
    container = notes.encrypted()
    await container.create_item({"id": "note-1", "workspaceId": "w-1", "parts": ["a", "b"]})

    with pytest.raises(InvalidFieldPathError):
        await container.patch_item("note-1", "w-1", [{"op": "Remove", "path": "/parts/0"}])


@pytest.mark.parametrize("names", [{1: "w"}, {None: "w", "1": "v"}])
async def test_a_partition_key_is_that_of_the_stored_document(local_keyring: LocalKeyring, names: Any) -> None:
    """JSON makes a text of a name that is none: the fields would be bound to the key's absence."""
    note = {"id": "note-1", "own": names, "title": "t"}

    with pytest.raises(InvalidPlaceError):
        await local_keyring.encryption.encrypt_documents("notes", [note], ["title"], partition_key_paths=["/own/1"])
    hidden = Hiding(id="note-1", own=Hiding(er="w"), title="t")
    [stored] = await local_keyring.encryption.encrypt_documents(
        "notes", [hidden], ["title"], partition_key_paths=["/own/er"]
    )
    read = await local_keyring.reader().decrypt_fields("notes", "note-1", stored, ["title"], partition_key="w")
    assert read["title"] == "t"


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {**NOTE}
    circle["self"] = circle
    return circle


@pytest.mark.parametrize("body", [None, "text", 5, [("id", "note-1")], _circle()])
async def test_a_document_that_is_none_is_named(notes: Notes, body: Any) -> None:
    """Before a row is made."""
    container = notes.encrypted()

    calls: list[Callable[[], Any]] = [
        lambda: container.create_item(body),
        lambda: container.upsert_item(body),
        lambda: container.replace_item("note-1", body),
        lambda: container._encryption.encrypt_fields("notes", "note-1", body, ["title"]),
        lambda: container._encryption.encrypt_documents("notes", [body], ["title"]),
        lambda: container._encryption.decrypt_fields("notes", "note-1", body, ["title"]),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError, match="document"):
            await call()
    assert await notes.dek_ids() == set()


async def changing(call: Any, change: Callable[[], object]) -> Any:
    """Return what a call returns, during whose first wait a change is made."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    change()
    return await task


async def test_a_place_is_the_one_of_the_call(local_keyring: LocalKeyring) -> None:
    """A context or a partition key that the caller changes while the DEK is made binds nothing."""
    context: dict[str, Any] = {"tenant": "a"}
    key: list[Any] = ["w", 1]
    call = local_keyring.encryption.encrypt_fields(
        "notes", "note-1", NOTE, ["title", "author/name"], partition_key=key, context=context
    )

    def change() -> None:
        context.update(tenant="b")
        key.clear()

    stored = await changing(call, change)

    place: Any = {"partition_key": ["w", 1], "context": {"tenant": "a"}}
    read = await local_keyring.reader().decrypt_fields("notes", "note-1", stored, None, **place)
    assert read == NOTE
    with pytest.raises(TamperedFieldError):
        await local_keyring.reader().decrypt_fields(
            "notes", "note-1", stored, None, partition_key=["w", 1], context=context
        )


async def test_a_container_keeps_its_context(notes: Notes) -> None:
    """Declared once, as the policy."""
    context = {"tenant": "a"}
    container = notes.encrypted(context=context)
    context["tenant"] = "b"
    await container.create_item(NOTE)

    assert own(await notes.encrypted(context={"tenant": "a"}).read_item("note-1", "w-1")) == NOTE


@pytest.mark.parametrize("changed", [{"id": "note-2"}, {"workspaceId": "w-2"}, {"title": "other", "due": "plain"}])
async def test_a_save_is_of_the_document_of_the_call(notes: Notes, changed: dict[str, Any]) -> None:
    """What the caller changes while the stored document is read is not saved, and has no other document's DEK."""
    container = notes.encrypted()
    await container.create_item(NOTE)
    body = {name: value for name, value in NOTE.items() if name != "due"}
    before = dict(body)

    await changing(notes.encrypted().upsert_item(body), lambda: body.update(changed))
    assert own(await container.read_item("note-1", "w-1")) == before
    body = {**before}
    await changing(notes.encrypted().replace_item("note-1", body), lambda: body.update(changed))
    assert own(await container.read_item("note-1", "w-1")) == before


async def test_a_document_that_is_encrypted_again_is_the_one_of_the_call(local_keyring: LocalKeyring) -> None:
    """An element that is added meanwhile is not part of the answer."""
    encryption = local_keyring.encryption
    stored: Any = await encryption.encrypt_fields("notes", "note-1", NOTE, ["parts/*/text"])

    again = await changing(
        local_keyring.reader().reencrypt_fields("notes", "note-1", stored, ["parts/*/text"]),
        lambda: stored["parts"].append({"text": "plain"}),
    )
    assert "plain" not in str(again)

"""Containers of encrypted documents: what goes in is encrypted, what comes out is decrypted, whichever call it was."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, override

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
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
    WrappedDek,
)
from field_encrypt.dek import Dek
from field_encrypt.encoding import to_base64
from field_encrypt.errors import InvalidFieldError, InvalidFieldPathError, InvalidSettingError, TamperedFieldError
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.local_cosmos import DATABASE
from tests.field_encrypt.notes import NOTE, Notes, own


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


SMALL: dict[str, Any] = {"id": "note-1", "workspaceId": "w-1", "title": "t"}


async def test_what_becomes_a_list_in_store_is_one(notes: Notes) -> None:
    """A tuple is a list in JSON: an optional field in one is encrypted like any other."""
    notes.policy = FieldPolicy(notes.raw.id, ["title"], ["parts/*/text", "tags/0"])
    container, note = notes.encrypted(), {**SMALL, "parts": ({"text": "a"}, {}), "tags": ("b", "c")}

    await container.create_item(note)

    stored = await notes.stored()
    assert is_encrypted(stored["parts"][0]["text"])
    assert is_encrypted(stored["tags"][0])
    read = await container.read_item("note-1", "w-1")
    assert (read["parts"], read["tags"]) == ([{"text": "a"}, {}], ["b", "c"])
    assert note["parts"] == ({"text": "a"}, {})
    notes.policy = FieldPolicy(notes.raw.id, ["title"], ["parts/text"])
    with pytest.raises(InvalidFieldPathError, match="where a list stands"):
        await notes.encrypted().upsert_item(note)


@pytest.mark.parametrize("name", [5, True, None, 1.5])
async def test_name_that_is_no_text_is_refused(notes: Notes, name: Any) -> None:
    """JSON makes a text of it, which would be that of an optional field, in plaintext."""
    notes.policy = FieldPolicy(notes.raw.id, ["title"], ["scores/5", "scores/true", "scores/null", "scores/1.5"])

    for beside in ({}, {"5": "a", "true": "a", "null": "a", "1.5": "a"}):  # of two equal names the last one counts
        with pytest.raises(InvalidFieldPathError, match="names that are texts"):
            await notes.encrypted().create_item({**SMALL, "scores": {**beside, name: "secret"}})


class Meddler(EnvProvider):
    """A provider during whose work the application goes on."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(to_base64(bytes(32)))
        self._meanwhile = meanwhile

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap, after what the application does."""
        self._meanwhile()
        return await super().wrap(dek)


async def test_a_document_that_changes_meanwhile_is_stored_as_it_was(notes: Notes) -> None:
    """What the application adds while the document is being encrypted would be in plaintext, or in another's place."""
    note = {**SMALL, "parts": [{"text": "a"}]}
    patch = [{"op": "set", "path": "/title", "value": "second"}]
    secret = {"op": "set", "path": "/title", "value": "secret"}

    def meanwhile() -> None:
        note.update(due="secret", parts=[{"text": "secret"}, *note["parts"]])
        patch.append(secret)

    store = DekStore(notes.deks, RowDefaults(mek_name="env", algorithm="A256KW"))
    encryption = FieldEncryption(Meddler(meanwhile), store, DekCache())
    notes.policy = FieldPolicy(notes.raw.id, ["title", "parts/*/text"], ["due"])
    container = EncryptedContainer(notes.raw, encryption, notes.policy)

    await container.create_item(note)
    await notes.raw.upsert_item({**await notes.stored(), "title": "as another writer left it", "parts": []})
    del patch[1:]
    await container.patch_item("note-1", "w-1", patch)

    assert "secret" not in str(await notes.stored())
    assert (await notes.encrypted().read_item("note-1", "w-1"))["title"] == "second"


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

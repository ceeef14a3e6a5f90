"""The blocking facade: any thread may call, errors arrive where they belong, and closing waits."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from typing import Any, override

import pytest

from field_encrypt import (
    BlockingEncryptedContainer,
    BlockingFieldEncryption,
    DekCache,
    DekStore,
    EnvProvider,
    FieldEncryption,
    FieldPolicy,
    RowDefaults,
)
from field_encrypt.encoding import to_base64
from field_encrypt.errors import DekNotFoundError, InvalidFieldPathError, InvalidSettingError
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_keyring import FIELDS, NOTE


@pytest.fixture
async def dek_container(cosmos: LocalCosmos) -> str:
    """A fresh dek store's name."""
    async with cosmos.client() as client:
        return (await new_container(client, "deks")).id


class Connect:
    """Opens the library as an application does, and knows when it was closed."""

    def __init__(self, cosmos: LocalCosmos, dek_container: str) -> None:
        self._cosmos = cosmos
        self._dek_container = dek_container
        self.closed = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[FieldEncryption]:
        """Open the clients in the loop that uses them."""
        async with self._cosmos.client() as client:
            rows = client.get_database_client(DATABASE).get_container_client(self._dek_container)
            store = DekStore(rows, RowDefaults(mek_name="env", algorithm="A256KW"))
            yield FieldEncryption(EnvProvider(to_base64(bytes(32))), store, DekCache())
        self.closed = True


@pytest.fixture
def connect(cosmos: LocalCosmos, dek_container: str) -> Connect:
    """The library on a fresh dek store."""
    return Connect(cosmos, dek_container)


def test_every_method_blocks_and_returns_what_the_library_does(connect: Connect) -> None:
    """Documents survive round trips without a line of asynchronous code, and the clients are closed at the end."""
    with BlockingFieldEncryption(connect) as encryption:
        stored: dict[str, Any] = encryption.encrypt_fields("notes", "note-1", NOTE, FIELDS)
        moved: dict[str, Any] = encryption.reencrypt_fields("notes", "note-1", stored, FIELDS)
        many = encryption.encrypt_documents("notes", [NOTE] * 3, FIELDS, at_once=2)

        assert encryption.decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE
        assert stored["title"]["dekId"] != moved["title"]["dekId"]
        assert encryption.decrypt_documents("notes", [moved, *many], None) == [NOTE] * 4
    assert connect.closed


def test_no_method_of_the_library_is_left_out(connect: Connect) -> None:
    """What the asynchronous class can do, this one can, with the same arguments: a deterministic field among them."""
    named = [name for name, thing in vars(FieldEncryption).items() if not name.startswith("_") and callable(thing)]
    with BlockingFieldEncryption(connect) as encryption:
        alike: list[dict[str, Any]] = [
            encryption.encrypt_fields("notes", n, NOTE, FIELDS, deterministic=["title"]) for n in ("1", "2")
        ]
        found = encryption.encrypt_for_query("notes", "title", NOTE["title"])
        patched = encryption.encrypt_values("notes", "1", {"title": "p"}, previous=alike[0])
        encryption.give_back_leases()

        assert encryption.decrypt_fields("notes", "1", patched, ["title"]) == {"title": "p"}
    assert alike[0]["title"] == alike[1]["title"]
    assert found is not None
    assert found["ct"] == alike[0]["title"]["ct"]
    assert [name for name in named if not hasattr(BlockingFieldEncryption, name)] == []


def test_threads_may_call_at_the_same_time(connect: Connect) -> None:
    """Calls of several threads run side by side on one cache."""
    with BlockingFieldEncryption(connect) as encryption, ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(lambda _: encryption.encrypt_fields("notes", "note-1", NOTE, FIELDS), range(16)))
        read = list(threads.map(lambda note: encryption.decrypt_fields("notes", "note-1", note, FIELDS), stored))

    assert read == [NOTE] * 16


def test_errors_are_raised_in_the_calling_thread(connect: Connect) -> None:
    """A failed call raises what the library raises, and the next call works."""
    with BlockingFieldEncryption(connect) as encryption:
        stored: dict[str, Any] = encryption.encrypt_fields("notes", "note-1", NOTE, ["title"])

        with pytest.raises(InvalidFieldPathError):
            encryption.encrypt_fields("notes", "note-1", NOTE, ["missing"])
        with pytest.raises(DekNotFoundError):
            encryption.decrypt_fields("notes", "note-1", {"title": {**stored["title"], "dekId": "none"}}, ["title"])
        assert encryption.decrypt_fields("notes", "note-1", stored, ["title"]) == NOTE


@pytest.mark.parametrize("phase", ["connect", "closing"])
def test_failure_to_open_or_close_is_raised(connect: Connect, phase: str) -> None:
    """What the application's own connect raises is not lost in the thread."""

    @asynccontextmanager
    async def failing() -> AsyncIterator[FieldEncryption]:
        if phase == "connect":
            raise ValueError(phase)
        async with connect() as encryption:
            yield encryption
        raise ValueError(phase)

    with pytest.raises(ValueError, match=phase), BlockingFieldEncryption(failing) as encryption:
        assert encryption.encrypt_fields("notes", "note-1", NOTE, ["title"])


def test_call_after_the_end_is_refused(connect: Connect) -> None:
    """A closed facade says so at once."""
    with BlockingFieldEncryption(connect) as encryption:
        stored: dict[str, Any] = encryption.encrypt_fields("notes", "note-1", NOTE, FIELDS)

    with pytest.raises(RuntimeError, match="open"):
        encryption.decrypt_fields("notes", "note-1", stored, FIELDS)


def test_call_from_its_own_loop_is_refused(connect: Connect) -> None:
    """A call that would wait for itself is refused, not left hanging."""
    outcome: list[Exception] = []

    @asynccontextmanager
    async def calling_back() -> AsyncIterator[FieldEncryption]:
        async with connect() as inner:
            yield inner
            try:
                encryption.decrypt_fields("notes", "note-1", NOTE, [])
            except RuntimeError as error:
                outcome.append(error)

    with BlockingFieldEncryption(calling_back) as encryption:
        pass

    assert [type(error) for error in outcome] == [RuntimeError]


def test_closing_waits_for_calls_that_are_under_way(connect: Connect) -> None:
    """A call that another thread has begun ends well, although the facade is being closed."""
    began, go = threading.Event(), asyncio.Event()
    results: list[dict[str, object]] = []

    class Slow(FieldEncryption):
        @override
        async def decrypt_fields(self, *_: object, **__: object) -> dict[str, object]:  # any call will do
            began.set()
            await go.wait()
            return NOTE

    loops: list[asyncio.AbstractEventLoop] = []

    @asynccontextmanager
    async def slow() -> AsyncIterator[FieldEncryption]:
        loops.append(asyncio.get_running_loop())
        async with connect() as inner:
            provider, dek_store, *_ = inner._sealer._parts
            yield Slow(provider, dek_store, None)

    facade = BlockingFieldEncryption(slow)

    def let_go() -> None:
        _until_closed(facade)
        loops[0].call_soon_threadsafe(go.set)

    with facade as encryption:
        reader = threading.Thread(target=lambda: results.append(encryption.decrypt_fields("notes", "n", NOTE, [])))
        reader.start()
        assert began.wait(60)
        threading.Thread(target=let_go).start()
    reader.join(60)

    assert results == [NOTE]
    assert connect.closed


def test_connection_is_closed_before_the_loop_ends_though_its_peer_is_slow(
    connect: Connect, cosmos: LocalCosmos
) -> None:
    """Closing cuts off the client's own check of the account; the account says its TLS goodbye half a second late."""
    cosmos.fault(operation="read_account", kind="hold", skip=1)  # the first one opens the client

    @asynccontextmanager
    async def stalled() -> AsyncIterator[FieldEncryption]:
        async with connect() as inner:
            yield inner
            os.kill(cosmos.service.pid, signal.SIGSTOP)
            stopped.set()

    def go_on() -> None:
        stopped.wait()
        wait([facade._ended], timeout=0.5)  # a loop that waits for nobody ends at once
        os.kill(cosmos.service.pid, signal.SIGCONT)

    stopped, facade = threading.Event(), BlockingFieldEncryption(stalled)
    with facade:
        cosmos.until_fired()
        threading.Thread(target=go_on).start()
    cosmos.clear_faults()

    assert connect.closed


def _until_closed(facade: BlockingFieldEncryption) -> None:
    while not facade._closed:
        threading.Event().wait(0.001)


@pytest.fixture
def blocking_notes(connect: Connect, cosmos: LocalCosmos) -> Iterator[BlockingEncryptedContainer]:
    """An encrypted container, without a line of asynchronous code."""

    @asynccontextmanager
    async def with_database() -> AsyncIterator[FieldEncryption]:
        async with connect() as inner, cosmos.client() as client:
            container = await new_container(client, "notes")
            names.append(container.id)
            database = client.get_database_client(DATABASE)
            provider, dek_store, *_ = inner._sealer._parts
            yield FieldEncryption(provider, dek_store, None, database=database)

    names: list[str] = []
    with BlockingFieldEncryption(with_database) as encryption:
        yield encryption.container(FieldPolicy(names[0], ["title"], ["kind"], deterministic=["kind"]))


def test_containers_block_too(blocking_notes: BlockingEncryptedContainer) -> None:
    """Every method of an encrypted container."""
    notes = blocking_notes
    notes.create_item({"id": "a", "title": 1})
    notes.upsert_item({"id": "b", "title": 2})
    notes.replace_item("a", {"id": "a", "title": 3})
    notes.patch_item("b", "b", [{"op": "set", "path": "/title", "value": 4}])
    notes.execute_item_batch([("replace", ("a", {"id": "a", "title": 5}))], "a")

    assert notes.read_item("a", "a")["title"] == 5
    assert [note["title"] for note in notes.query_items("SELECT * FROM c WHERE c.id = 'b'")] == [4]
    assert {note["title"] for note in notes.read_all_items()} == {4, 5}
    notes.upsert_item({"id": "c", "title": 6, "kind": "x"})
    assert notes.equals("kind", "x").text.startswith('c["kind"]')


def test_containers_take_what_the_blocking_sdk_takes(blocking_notes: BlockingEncryptedContainer) -> None:
    """By position too; the option that does nothing there does nothing here."""
    notes, yes = blocking_notes, True
    metrics = {"populate_query_metrics": yes}
    notes.create_item({"id": "a", "title": 1}, yes, None, None, 2)
    notes.create_item({"id": "b", "title": 2}, indexing_directive=2, **metrics)
    notes.upsert_item({"id": "a", "title": 3}, yes, None)
    notes.replace_item("b", {"id": "b", "title": 4}, **metrics)

    assert notes.read_item("a", "a", yes, None)["title"] == notes.read_item("a", "a", **metrics)["title"] == 3
    assert len(notes.read_all_items(1, yes)) == len(notes.read_all_items(max_item_count=1, **metrics)) == 2
    query, parameters = "SELECT * FROM c WHERE c.id = @id", [{"name": "@id", "value": "b"}]
    assert [note["title"] for note in notes.query_items(query, parameters, None, yes, 1, None, yes)] == [4]
    assert [note["title"] for note in notes.query_items(query, parameters, "b", **metrics)] == [4]
    assert notes.query_items(query, parameters, "a") == []
    with pytest.raises(TypeError, match="by position"):
        notes.read_item("a", "a", yes, None, 5)
    with pytest.raises(TypeError, match="by position"):
        notes.create_item({"id": "c", "title": 1}, yes, **metrics)


def test_container_without_a_database_is_refused(connect: Connect) -> None:
    """The setting that is missing is named."""
    with BlockingFieldEncryption(connect) as encryption, pytest.raises(InvalidSettingError) as refused:
        encryption.container(FieldPolicy("notes", ["title"]))

    assert refused.value.setting == "database"

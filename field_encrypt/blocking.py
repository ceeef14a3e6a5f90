"""The library for code that is not asynchronous: an event loop in a thread of its own, which any thread may call.

The clients of Azure's SDKs belong to the event loop that they are made in. So they are opened and closed in that
thread, by an asynchronous context manager that the caller writes as an asynchronous application would.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Self

from field_encrypt.blocking_container import BlockingEncryptedContainer
from field_encrypt.codecs import STANDARD_CODECS, Codecs
from field_encrypt.documents import Document, Item
from field_encrypt.envelope import DEFAULT_POLICY, FieldEncryption
from field_encrypt.field_codecs import FieldCodec
from field_encrypt.field_policy import FieldPolicy
from field_encrypt.key_policy import KeyPolicy
from field_encrypt.places import UNSTATED, StatedPartitionKey
from field_encrypt.rows import RowCodec

POLL_SECONDS = 0.01
GOODBYE_POLLS = 500  # how long closed connections may take to end: five seconds; a peer that is there answers at once

Connect = Callable[[], AbstractAsyncContextManager[FieldEncryption]]


def _blocking[**Given, Result](
    method: Callable[Concatenate[FieldEncryption, Given], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate["BlockingFieldEncryption", Given], Result]:
    """Return the method that calls this one, or what overrides it, and waits for it."""

    @wraps(method)
    def blocks(self: "BlockingFieldEncryption", /, *given: Given.args, **named: Given.kwargs) -> Result:
        call: Coroutine[Any, Any, Result] = getattr(self._encryption, method.__name__)(*given, **named)
        return self._wait(call)

    return blocks


class BlockingFieldEncryption:
    """A :class:`FieldEncryption` whose methods block: ``with BlockingFieldEncryption(connect) as encryption: ...``."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._thread = threading.Thread(target=self._run, name="field-encrypt", daemon=True)
        self._connected = Future[tuple[FieldEncryption, asyncio.AbstractEventLoop]]()
        self._ended = Future[None]()
        self._lock = threading.Lock()  # of the two below
        self._calls: set[Future[Any]] = set()
        self._closed = False

    @classmethod
    def open(
        cls,
        env: Mapping[str, str],
        *,
        policy: KeyPolicy = DEFAULT_POLICY,
        codecs: Codecs = STANDARD_CODECS,
        field_codecs: Sequence[FieldCodec] = (),
        row_codec: RowCodec | None = None,
    ) -> Self:
        """Return a facade of what the environment describes, as :meth:`FieldEncryption.open` opens it."""
        return cls(
            lambda: FieldEncryption.open(
                env, policy=policy, codecs=codecs, field_codecs=field_codecs, row_codec=row_codec
            )
        )

    def __enter__(self) -> Self:
        """Open the clients; what connecting raises is raised here."""
        self._thread.start()
        self._encryption, self._loop = self._connected.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the calls that are under way end, then close the clients; what closing them raises is raised here."""
        with self._lock:
            self._closed = True
            calls = set(self._calls)
        wait(calls)  # their callers get what they raise
        self._loop.call_soon_threadsafe(self._closing.set)
        self._ended.result()

    def container(
        self, policy: FieldPolicy, *, context: Mapping[str, object] | None = None
    ) -> BlockingEncryptedContainer:
        """Do what :meth:`FieldEncryption.container` does."""
        return BlockingEncryptedContainer(self._encryption.container(policy, context=context), self._wait)

    encrypt_fields = _blocking(FieldEncryption.encrypt_fields)
    encrypt_values = _blocking(FieldEncryption.encrypt_values)
    encrypt_for_query = _blocking(FieldEncryption.encrypt_for_query)
    decrypt_fields = _blocking(FieldEncryption.decrypt_fields)
    encrypt_documents = _blocking(FieldEncryption.encrypt_documents)
    decrypt_documents = _blocking(FieldEncryption.decrypt_documents)
    give_back_leases = _blocking(FieldEncryption.give_back_leases)

    def reencrypt_fields(
        self,
        container: str,
        document_id: str,
        document: Document,
        fields: Sequence[str] | None,
        *,
        partition_key: StatedPartitionKey = UNSTATED,
        context: Mapping[str, object] | None = None,
        dek_id: str | None = None,
    ) -> Item:
        """Do what :meth:`FieldEncryption.reencrypt_fields` does within one dek store."""
        return self._wait(
            self._encryption.reencrypt_fields(
                container, document_id, document, fields, partition_key=partition_key, context=context, dek_id=dek_id
            )
        )

    def _wait[Result](self, call: Coroutine[Any, Any, Result]) -> Result:
        with self._lock:
            if self._closed or threading.current_thread() is self._thread:
                call.close()
                raise RuntimeError("a blocking call needs an open BlockingFieldEncryption, and another thread than its")
            future = asyncio.run_coroutine_threadsafe(call, self._loop)
            self._calls.add(future)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # of no effect if the call failed; ends it if the caller was interrupted
            raise
        finally:
            with self._lock:
                self._calls.discard(future)

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        try:
            with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
                runner.run(self._serve(selector))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that opens or closes
            (self._ended if self._connected.done() else self._connected).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self, selector: selectors.BaseSelector) -> None:
        self._closing = asyncio.Event()
        own = len(selector.get_map())  # what the loop wakes itself by
        try:
            async with self._connect() as encryption:
                self._connected.set_result((encryption, asyncio.get_running_loop()))
                await self._closing.wait()
        finally:
            await _until_closed(selector, own)


async def _until_closed(selector: selectors.BaseSelector, own: int) -> None:
    """Wait until the loop watches no connection any more, or long enough.

    A client that is closed does not wait for a request that it cuts off: that connection still says its TLS goodbye,
    and a loop that ended before the peer has answered would leave the socket open.
    """
    for _ in range(GOODBYE_POLLS):
        if len(selector.get_map()) <= own:
            return
        await asyncio.sleep(POLL_SECONDS)

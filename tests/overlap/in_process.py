"""The local vault and Cosmos DB inside the tests' process: no socket, no thread, and their whole state in memory.

Clients send through :class:`Line`, an aiohttp session that hands each request to the service's own application. So a
request costs a millisecond, every request of an activity can be stopped, and the whole world is put back in another.
"""

import asyncio
import contextvars
import itertools
import re
import selectors
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, override
from unittest.mock import Mock, patch

from aiohttp import web
from aiohttp.http import HttpVersion11, RawRequestMessage
from azure.core.credentials import AccessToken, AccessTokenInfo
from azure.core.pipeline.transport import AioHttpTransport
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from local.cosmos import server, storage
from local.cosmos.account import Account
from local.identity.tokens import issue
from local.key_vault import store as keys_in
from local.key_vault.errors import VAULT_RESOURCE
from local.key_vault.service import KeyVaultService

VAULT_URL, COSMOS_URL = "https://localhost:1", "https://localhost:2"
TOKEN_SECONDS = 24 * 3600
KEYS = 6  # more than the versions that any run here makes


SERVING = contextvars.ContextVar("serving", default=False)  # a service is at work, and no process of the app


class Inline(Executor):
    """Runs work at once, where it is asked for: the order of everything is the same every time."""

    @override
    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for the future
            done.set_exception(error)
        return done


class _Selector(selectors.DefaultSelector):
    """Where everybody only waits for time, lets that time have passed."""

    skipped = 0.0

    @override
    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits, and nobody for time: a deadlock")
        self.skipped += max(timeout, 0.0)
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop in which nothing waits: its clock is the machine's, and what was skipped."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    @property
    def skipped(self) -> float:
        """Seconds that were not waited for."""
        return self._jumping.skipped

    def skip(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._jumping.skipped += seconds

    @override
    def time(self) -> float:
        return time.monotonic() + self._jumping.skipped


class _Body:
    """A request's body, as a service reads it."""

    def __init__(self, data: Any) -> None:
        self._left = data.encode() if isinstance(data, str) else bytes(data or b"")

    def set_read_chunk_size(self, _: int) -> None:
        """Read everything at once."""

    async def readany(self) -> bytes:
        """Return what is left."""
        left, self._left = self._left, b""
        return left


@dataclass(frozen=True)
class Answer:
    """What a client gets: the part of ``aiohttp.ClientResponse`` that azure-core reads."""

    status: int
    reason: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def content(self) -> tuple[int, bytes, str | None, str | None]:
        """What a client acts upon; ids and charges of requests it only reports."""
        return self.status, self.body, self.headers.get("etag"), self.headers.get("x-ms-continuation")

    async def read(self) -> bytes:
        """Return the body."""
        return self.body

    def close(self) -> None:
        """Nothing is open."""

    release = close


@dataclass(frozen=True)
class Request:
    """What a client sends."""

    method: str
    url: str
    headers: Any
    data: Any

    @property
    def writes(self) -> bool:
        """Tell whether the request may change something; queries and unwraps are posted too, and do not."""
        if self.method in ("PUT", "PATCH", "DELETE"):
            return True
        reads = ("x-ms-documentdb-isquery", "x-ms-cosmos-is-query-plan-request")
        asks = any(str(self.headers.get(name, "")).lower() == "true" for name in reads)
        return (
            self.method == "POST" and not asks and not self.url.partition("?")[0].endswith(("key", "crypt", "backup"))
        )

    @property
    def about(self) -> str:
        """Say what is asked for, without what differs from run to run."""
        return _RANDOM.sub(r"\1(unused)", f"{self.method} {URL(self.url).path}")


class Services:
    """The vault and the account."""

    def __init__(self, folder: Path) -> None:
        self._signing = generate_private_key(65537, 2048)
        public = self._signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._database.executescript(storage._SCHEMA)
        with (
            patch("local.cosmos.account.open_writer", lambda _: self._database),
            patch("local.cosmos.account.open_reader", lambda _: self._database),
        ):
            self.account = Account(folder / "cosmos", public, partitions=1, throughput=None, replica_lag_ms=0)
        self.account._scans.shutdown()
        self.account._scans = Inline()  # type: ignore[assignment]  # stands in for a pool
        service = KeyVaultService(folder / "vault", port=1, identity_key=public, limits=None, latency_seconds=0)
        self.vault = service._vault
        self.vault.threads.shutdown()
        object.__setattr__(self.vault, "threads", Inline())
        self.vault.store._database.close()
        self.vault.store._database = sqlite3.connect(":memory:", isolation_level=None)
        self.vault.store._database.execute(keys_in.SCHEMA)
        self.log = service._log
        self.applications = {VAULT_URL: service.application(), COSMOS_URL: server.application(self.account)}
        for application in self.applications.values():
            application.freeze()
        self.master_key = (folder / "cosmos" / "master_key").read_text().strip()
        self._made = [generate_private_key(65537, 2048) for _ in range(KEYS)]
        self._next = itertools.count()

    def make_key(self, **_: Any) -> RSAPrivateKey:
        """Return the next of the keys that were made beforehand."""
        return self._made[next(self._next) % KEYS]

    async def answer(self, request: Request) -> Answer:
        """Have the service answer that the URL names."""
        url = URL(request.url)
        application, rest = self.applications[str(url.origin())], URL(url.raw_path_qs or "/", encoded=True)
        headers = CIMultiDictProxy(CIMultiDict({"Host": f"{url.host}:{url.port}", **request.headers}))
        message = RawRequestMessage(
            method=request.method,
            path=str(rest),
            version=HttpVersion11,
            headers=headers,
            raw_headers=(),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=rest,
        )
        body: Any = _Body(request.data)
        asked = web.Request(message, body, _PROTOCOL, _PROTOCOL, _PROTOCOL, asyncio.get_running_loop())
        inside = SERVING.set(True)
        try:
            answered = await application._handle(asked)
        finally:
            SERVING.reset(inside)
        assert isinstance(answered, web.Response)
        content = answered.body if isinstance(answered.body, bytes | bytearray) else b""
        kept = CIMultiDict(answered.headers)
        kept.setdefault("Content-Type", answered.content_type)
        return Answer(answered.status, answered.reason or "", kept, bytes(content))

    def saved(self) -> tuple[bytes, Any]:
        """Return everything that both services hold."""
        versions = {name: dict(found) for name, found in self.vault.store._keys.items()}
        return self._database.serialize(), versions

    def put_back(self, saved: Any) -> None:
        """Let both services hold what they held; containers are the same in every world."""
        content, versions = saved
        self._database.deserialize(content)
        self.vault.store._keys = {name: dict(found) for name, found in versions.items()}
        reached = dict(self._database.execute("SELECT number, lsn FROM partitions").fetchall())
        for partition in (one for found in self.account.catalog.containers.values() for one in found.partitions):
            partition.lsn = reached[partition.number]

    def close(self) -> None:
        """Close what holds the state."""
        self._database.close()
        self.vault.store._database.close()

    def credential(self, name: str, *roles: str) -> Any:
        """Return the credential of a principal with these data actions."""
        token, expires = issue(
            name=name,
            object_id=name,
            roles=roles,
            resource=VAULT_RESOURCE,
            signing_key=self._signing,
            seconds=TOKEN_SECONDS,
        )
        return Credential(token, expires)


@dataclass(frozen=True)
class Credential:
    """One principal's token."""

    token: str
    expires: int

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return the token."""
        return AccessToken(self.token, self.expires)

    async def get_token_info(self, *_: str, **__: Any) -> AccessTokenInfo:
        """Return the token."""
        return AccessTokenInfo(self.token, self.expires)

    async def close(self) -> None:
        """Nothing is open."""


class Line:
    """The part of ``aiohttp.ClientSession`` that azure-core uses; ``carry`` answers a request."""

    auto_decompress = True

    def __init__(self, carry: Callable[[Request], Any]) -> None:
        self._carry = carry

    async def request(self, method: str, url: str, *, headers: Any = None, data: Any = None, **_: Any) -> Answer:
        """Send a request."""
        answer: Answer = await self._carry(Request(method, str(url), headers or {}, data))
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def close(self) -> None:
        """Nothing is open."""

    def transport(self) -> Any:
        """Return a transport that sends over this line."""
        session: Any = self
        return AioHttpTransport(session=session)


# Names that pre-flight asks for because nothing has them: of an item, and of a version that is to be changed.
_RANDOM = re.compile(r"(keyturn-\w+-|PATCH /keys/[^/]+/)[0-9a-f]{32}")
_PROTOCOL: Any = Mock(name="protocol")  # of which no service asks more than that it is there

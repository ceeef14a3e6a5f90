"""The app's HTTP API as the commands call it; a refusal becomes the error that the app raised."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyturn.errors import (
    OUTCOMES,
    InvariantError,
    KeyturnError,
    PermissionMissingError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession

URL = "KEYTURN_URL"
FUNCTION_KEY = "KEYTURN_FUNCTION_KEY"
TOKEN_SCOPE = "KEYTURN_TOKEN_SCOPE"  # noqa: S105 - name of a variable
TIMEOUT_SECONDS = 240.0  # the platform in front of the app gives an answer up after 230
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

# Members of a problem that are no facts of the error.
_OF_THE_RFC = frozenset({"type", "title", "status", "detail", "instance", "hint"})


@dataclass(frozen=True)
class Api:
    """One app, and a session in which whoever calls is known to it."""

    url: str
    session: "ClientSession"

    async def get(self, path: str, **query: str | None) -> Any:
        """Return what a GET answers, as JSON."""
        return _answer(*await self._call("GET", path, params=_stated(query)))

    async def get_bytes(self, path: str) -> bytes:
        """Return what a GET answers, whatever it is."""
        status, body = await self._call("GET", path)
        return body if status == HTTPStatus.OK else bytes(_answer(status, body))

    async def post(self, path: str, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> Any:
        """Return what a POST of this body, or of exactly these bytes, answers, as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(_stated(body)).encode()
        return _answer(*await self._call("POST", path, data=sent, headers=headers))

    async def _call(self, method: str, path: str, **sent: Any) -> tuple[int, bytes]:
        """Call the app; raises UnavailableError where nobody answers."""
        import aiohttp

        try:
            async with self.session.request(method, f"{self.url}{path}", allow_redirects=False, **sent) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(
                f"{self.url} did not answer ({type(error).__name__})", hint=f"compare {URL} with the app's address"
            ) from error


def ask[T](call: Callable[[Api], Awaitable[T]]) -> T:
    """Return what the call is answered by the app and as the caller whom the environment describes.

    ``KEYTURN_URL`` is the app's; ``KEYTURN_FUNCTION_KEY`` its function key; where people sign in with Entra ID,
    ``KEYTURN_TOKEN_SCOPE`` is what Azure's default credential asks a token for (``api://<client id>/.default``).
    Raises SettingsError naming the variable.
    """
    url = os.environ.get(URL, "").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        expected = "the app's URL, https:// (http:// only where the host is loopback)"
        raise SettingsError(f"{URL}: expected {expected}", variable=URL, expected=expected)
    return asyncio.run(_ask(url, call))


async def _ask[T](url: str, call: Callable[[Api], Awaitable[T]]) -> T:
    import aiohttp

    headers = {"content-type": "application/json"}
    if key := os.environ.get(FUNCTION_KEY):
        headers["x-functions-key"] = key
    if scope := os.environ.get(TOKEN_SCOPE):
        headers["authorization"] = f"Bearer {await _token(scope)}"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        return await call(Api(url, session))


def _stated(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _answer(status: int, body: bytes) -> Any:
    """Return the JSON of a good answer; raises what any other stands for."""
    try:
        content = json.loads(body) if body else None
    except ValueError:
        content = None
    if status < HTTPStatus.MULTIPLE_CHOICES and content is not None:
        return content
    from keyturn.http import TYPE_PREFIX

    # Several errors share a problem type, and with it an exit code: one stands for all.
    kinds = {f"{TYPE_PREFIX}{outcome.problem}": kind for kind, outcome in OUTCOMES.items()}
    if isinstance(content, dict) and content.get("type") in kinds:
        facts = {name: value for name, value in content.items() if name not in _OF_THE_RFC and name != "message"}
        raise kinds[content["type"]](str(content.get("detail")), hint=str(content.get("hint", "")), **facts)
    raise _foreign(status)


def _foreign(status: int) -> KeyturnError:
    """Return the error for an answer that is not the app's own: the platform's in front of it, or another server's."""
    if status == HTTPStatus.UNAUTHORIZED or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        hint = f"set {FUNCTION_KEY}; where people sign in, {TOKEN_SCOPE} as well"
        return UnauthenticatedError(f"the app answered {status}: it does not know who calls", hint=hint)
    if status == HTTPStatus.FORBIDDEN:
        return PermissionMissingError("the platform in front of the app answered 403", resource="the app")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"the app answered {status}", hint="look at its log")
    return InvariantError(f"the answer ({status}) is not the app's", hint=f"compare {URL} with the app's address")


async def _token(scope: str) -> str:
    from azure.core.exceptions import AzureError
    from azure.identity.aio import DefaultAzureCredential

    try:
        async with DefaultAzureCredential() as credential:
            return (await credential.get_token(scope)).token
    except AzureError as error:
        raise UnauthenticatedError(
            f"no token for {scope} ({type(error).__name__})", hint="sign in, for example with az login"
        ) from error

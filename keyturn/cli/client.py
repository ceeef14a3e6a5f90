"""The app's HTTP API as the commands call it; a refusal becomes the error that the app raised.

Where people sign in, each request carries an access token that is still good for minutes: a command may wait for days.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any

from keyturn.cli.config import CHOSEN, FUNCTION_KEY, TOKEN_SCOPE, URL, Context, Target, target
from keyturn.cli.in_process import without_app
from keyturn.errors import (
    OUTCOMES,
    InvariantError,
    KeyturnError,
    PermissionMissingError,
    TooManyAttemptsError,
    UnauthenticatedError,
    UnavailableError,
    UnknownKeyringError,
    UnknownMigrationError,
    UnknownRotationError,
    one_of,
)
from keyturn.ids import MIGRATIONS, ROTATIONS, SEE_RUNS, keyring_of, kind_of

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from azure.core.credentials import AccessToken
    from azure.identity.aio import DefaultAzureCredential

TIMEOUT_SECONDS = 240.0  # the platform in front of the app gives an answer up after 230
NAMED_MAX = 3  # runs of each kind that are named to who names none
RENEW_SECONDS = 300.0  # before a token expires; Azure's SDKs do the same

# Members of a problem that are no facts of the error.
_OF_THE_RFC = frozenset({"type", "title", "status", "detail", "instance", "hint", "runbook"})


class Tokens:
    """Access tokens for a scope, from Azure's default credential; one is kept until shortly before it expires."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._credential: DefaultAzureCredential | None = None
        self._token: AccessToken | None = None
        self._signed_in = False

    async def get(self) -> str:
        """Return a token.

        Raises:
            UnauthenticatedError: no one has signed in.
            UnavailableError: there was a token before, so there may be one again.
        """
        from azure.core.exceptions import AzureError
        from azure.identity.aio import DefaultAzureCredential

        now = time.time()
        if self._token is None or self._token.expires_on - now < RENEW_SECONDS:
            self._credential = self._credential or DefaultAzureCredential()
            try:
                self._token = await self._credential.get_token(self._scope)
            except AzureError as error:
                if self._token is None or self._token.expires_on <= now:
                    raise self._refused(error) from error
            self._signed_in = True
        return self._token.token

    async def renew(self) -> None:
        """Forget the token, and the credential that has it in its cache too."""
        self._token = None
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    def _refused(self, error: Exception) -> KeyturnError:
        text, hint = f"no token for {self._scope} ({type(error).__name__})", f"az login --scope {quote(self._scope)}"
        return UnavailableError(text, hint=hint) if self._signed_in else UnauthenticatedError(text, hint=hint)


@dataclass(frozen=True)
class Api:
    """One app, and a session in which the caller is known to it."""

    url: str
    session: "ClientSession"
    tokens: Tokens | None = None  # where people sign in

    async def get(self, path: str, **query: str | None) -> Any:
        """Return what a GET answers, as JSON."""
        return _answer(*await self._call("GET", path, params=_stated(query)))

    async def get_bytes(self, path: str) -> bytes:
        """Return what a GET answers, whatever it is."""
        status, body, headers = await self._call("GET", path)
        return body if status == HTTPStatus.OK else bytes(_answer(status, body, headers))

    async def post(self, path: str, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> Any:
        """Return what a POST of this body, or of exactly these bytes, answers, as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(_stated(body)).encode()
        return _answer(*await self._call("POST", path, data=sent, headers=headers))

    async def _call(self, method: str, path: str, **sent: Any) -> tuple[int, bytes, Mapping[str, str]]:
        """Call the app; raises UnavailableError where there is no answer."""
        import aiohttp

        headers = dict(sent.pop("headers", None) or {})
        if self.tokens is not None:
            headers["authorization"] = f"Bearer {await self.tokens.get()}"
        sent |= {"headers": headers, "allow_redirects": False}
        try:
            async with self.session.request(method, f"{self.url}{path}", **sent) as response:
                return response.status, await response.read(), response.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(
                f"{self.url} did not answer ({type(error).__name__})",
                hint=f"compare {URL} with the app's address; {without_app()}",
            ) from error


def ask[T](call: Callable[[Api], Awaitable[T]], called: Target | None = None) -> T:
    """Return what the call is answered by the app, as the caller whom environment and context describe.

    ``KEYTURN_URL`` is the app's; ``KEYTURN_FUNCTION_KEY`` its function key; where people sign in with Entra ID,
    ``KEYTURN_TOKEN_SCOPE`` is what Azure's default credential asks a token for (``api://<client id>/.default``).
    What the environment lacks comes from the context. Raises SettingsError naming the variable or the file.
    """
    return asyncio.run(_ask(called or target(), call))


async def _ask[T](called: Target, call: Callable[[Api], Awaitable[T]]) -> T:
    import aiohttp

    headers = {"content-type": "application/json"}
    if called.function_key:
        headers["x-functions-key"] = called.function_key
    tokens = Tokens(called.token_scope) if called.token_scope else None
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            api = Api(called.url, session, tokens)
            try:
                return await call(api)
            except (UnknownRotationError, UnknownMigrationError) as error:
                await _name_runs(api, error)
                raise
    finally:
        if tokens is not None:
            await tokens.renew()


async def _name_runs(api: Api, error: KeyturnError) -> None:
    """Tell in the error of a run that there is none of which the newest are, of its keyring or of every one."""
    given = str(error.facts.get("rotationId") or error.facts.get("migrationId") or "")
    if error.hint != SEE_RUNS:  # it is about something else that a run has none of
        return
    keyring = keyring_of(given) if kind_of(given) else CHOSEN.get(Context()).keyring or None
    runs: list[str] = []
    # The refusal stays what is told where they cannot be listed.
    with suppress(KeyturnError):
        try:
            runs += await _newest(api, keyring)
        except UnknownKeyringError as several:
            if keyring is not None:
                raise
            for known in several.facts.get("known", ()):
                runs += await _newest(api, known)
        error.message = f"there is no run {given!r}: expected {one_of(runs, given)}"
        error.facts["known"] = runs


async def _newest(api: Api, keyring: str | None) -> list[str]:
    found: list[str] = []
    for path, plural, name in ((ROTATIONS, "rotations", "rotationId"), (MIGRATIONS, "migrations", "migrationId")):
        listed = (await api.get(path, keyring=keyring, limit=str(NAMED_MAX)))[plural]
        found += [str(run[name]) for run in listed]
    return found


def _stated(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _answer(status: int, body: bytes, headers: Mapping[str, str]) -> Any:
    """Return the JSON of a good answer; raises what any other stands for, with ``retryAfterSeconds`` if told."""
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
        error = kinds[content["type"]](str(content.get("detail")), hint=str(content.get("hint", "")), **facts)
    else:
        error = _foreign(status)
    if (seconds := _retry_after(headers.get("Retry-After", ""))) is not None:
        error.facts.setdefault("retryAfterSeconds", seconds)
    raise error


def _retry_after(text: str) -> float | None:
    """Return how many seconds a Retry-After header asks for, as seconds or as a date (RFC 9110, 10.2.3)."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None


def _foreign(status: int) -> KeyturnError:
    """Return the error for an answer that is not the app's own: the platform's in front of it, or another server's."""
    if status == HTTPStatus.UNAUTHORIZED or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        hint = f"set {FUNCTION_KEY}; where people sign in, {TOKEN_SCOPE} as well; or: keyturn login --help"
        return UnauthenticatedError(f"the app answered {status}: it does not know who calls", hint=hint)
    if status == HTTPStatus.FORBIDDEN:
        return PermissionMissingError("the platform in front of the app answered 403", resource="the app")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyAttemptsError("the platform in front of the app answered 429")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"the app answered {status}", hint=f"look at its log; {without_app()}")
    return InvariantError(f"the answer ({status}) is not the app's", hint=f"compare {URL} with the app's address")

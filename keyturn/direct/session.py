"""Who works without the app, and on which settings: the operator's own sign-in, and the settings that the app runs on.

No secret is taken: nothing is sent to people and nothing is decided here, and App Service shows secrets as references.
"""

import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential

from field_encrypt import RetryError
from keyturn.access.identity import Identity, identity_in
from keyturn.clock import Clock
from keyturn.errors import InvalidRequestError, TransientError, UnknownMigrationError, UnknownRotationError
from keyturn.resources import Resources
from keyturn.settings import Settings, load_settings

TRIES = 9  # with waits of 1, 2, 4 ... 60 s between them: an outage of three minutes only delays
WAIT_MAX = 60.0
# A record that was written and is not found was read from a replica that lags behind.
_MAY_PASS = (TransientError, RetryError, AzureError, OSError, TimeoutError, UnknownRotationError, UnknownMigrationError)
_LEFT_OUT = frozenset(
    {"ACTIONTRAIL_URL", "NOTIFICATION_URLS", "ON_CALL_URLS", "APPROVER_URLS", "ACTIONTRAIL_SECRETS"}
    | {"APPROVAL_WEBHOOK_SECRETS"}
)


class Progress(NamedTuple):
    """How far a pass is."""

    pass_number: int
    done: int  # rows that all passes so far have moved
    total: int  # that were to be moved when the first began
    quarantined: int  # that this pass could not move


@dataclass(frozen=True)
class Direct:
    """What every command works with; ``tell`` shows an operator what is going on."""

    resources: Resources
    operator: Identity
    tell: Callable[[str | Progress], None]
    clock: Clock
    app_url: str | None = None  # where the app would answer, if it were up

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return self.clock.now()

    async def keep_trying[T](self, step: Callable[[], Awaitable[T]]) -> T:
        """Return what the step returns, tried again while its failure may pass; raises what it raises in the end."""

        def say(state: RetryCallState) -> None:
            failed = state.outcome.exception() if state.outcome is not None else None
            self.tell(f"{type(failed).__name__}: trying again in {state.upcoming_sleep:.0f} s")

        retrying = AsyncRetrying(
            retry=retry_if_exception(may_pass),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(max=WAIT_MAX),
            sleep=self.clock.sleep,
            before_sleep=say,
            reraise=True,
        )

        async def attempt() -> T:  # a coroutine function, by which tenacity knows what to wait for
            return await step()

        return await retrying(attempt)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same step may succeed later: not without a sign-in."""
    return isinstance(error, _MAY_PASS) and not isinstance(error, ClientAuthenticationError)


@asynccontextmanager
async def opened(
    environment: Mapping[str, str], file: Path | None, tell: Callable[[str | Progress], None]
) -> AsyncIterator[Direct]:
    """Open the clients, as the person whom DefaultAzureCredential finds signed in.

    Raises:
        InvalidRequestError: the file holds no settings.
        SettingsError: a setting is missing or not what was expected.
        UnauthenticatedError: the sign-in does not say whose it is.
    """
    resources = await Resources.open(read_settings(environment, file))
    try:
        endpoint = urlsplit(resources.settings.cosmos_endpoint)  # the scope that the SDK asks for, too
        token = await resources.credential.get_token(f"{endpoint.scheme}://{endpoint.hostname}/.default")
        app_url = resources.settings.keyturn_public_url or environment.get("KEYTURN_URL")
        await resources.correct_clock(tell)
        yield Direct(resources, identity_in(token.token), tell, resources.clock, app_url)
    finally:
        await resources.close()


def read_settings(environment: Mapping[str, str], file: Path | None) -> Settings:
    """Return the settings of the file, else of the environment, without what only the app has a use for.

    The file is what ``azd env get-values`` prints (a NAME=VALUE a line), what ``az functionapp config appsettings
    list`` prints, or a ``local.settings.json``.

    Raises:
        InvalidRequestError: the file is none of them.
        SettingsError: a setting is missing or not what was expected.
    """
    values = dict(environment) if file is None else _read(file)
    return load_settings({name: value for name, value in values.items() if name.upper() not in _LEFT_OUT})


def _read(file: Path) -> dict[str, str]:
    try:
        text = file.read_text()
        values = _of_json(json.loads(text)) if text.lstrip()[:1] in ("{", "[") else _of_lines(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        expected = "a file of settings: what `azd env get-values` or `az functionapp config appsettings list` prints"
        raise InvalidRequestError.expected("settings", expected, named=f"--settings {file}") from None
    return values


def _of_json(content: Any) -> dict[str, str]:
    if isinstance(content, list):
        return {item["name"]: str(item["value"]) for item in content}
    return {name: str(value) for name, value in content.get("Values", content).items()}


def _of_lines(text: str) -> dict[str, str]:
    values = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, found, value = line.removeprefix("export ").partition("=")
        if line.startswith("#"):
            continue
        if not found:
            raise ValueError("a line without =")
        values[name] = "".join(shlex.split(value)) if value[:1] in ('"', "'") else value
    return values

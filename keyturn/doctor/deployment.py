"""Every endpoint that the settings name answers, and its clock agrees with ours.

Any HTTP answer will do, a refusal as well: names resolve, the network lets us through, the certificate is trusted.
Only the backend's own URLs must answer 200, as the runbook asks.

What can be seen of the app from outside, without a key.

The identity's rights and the keyring's condition: pre-flight's own checks, those of them that change nothing.

What counts every row, notifies people, writes a backup or asks for the right moment is left to pre-flight: a dry run
does all of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from keyturn.doctor.checks import BROKEN, Answer, Examined, Line, Outcome, ask, ok, problem, unchecked, unused_name
from keyturn.preflight.checks import CHECKLIST
from keyturn.preflight.store import ITEMS
from keyturn.settings import Settings

TIMEOUT_SECONDS = 10
# Tokens and signed decisions are refused from five minutes on; an event's time should be right to the second.
SKEW_SECONDS_MAX = 30
SCHEDULER = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
_SCHEDULER_ENDPOINT = re.compile(r"(?:^|;)\s*Endpoint=(https?://[^;\s]+)", re.IGNORECASE)
_CLOCKS = frozenset({"reach_vault", "reach_cosmos"})  # the services whose clocks a rotation meets


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL to ask, and the line that tells of it."""

    line: str
    url: str
    needs_ok: bool = False


def endpoints_of(settings: Settings, environment: Mapping[str, str]) -> list[Endpoint]:
    """Return the endpoints that the settings name, each once."""
    keyrings = settings.keyrings
    found = [
        *(Endpoint("reach_vault", keyring.vault_url) for keyring in keyrings),
        Endpoint("reach_cosmos", settings.cosmos_endpoint),
        *(Endpoint("reach_backend", url, needs_ok=True) for keyring in keyrings for url in keyring.health_urls),
    ]
    if settings.keyturn_cosmos_resource_id:
        found.append(Endpoint("reach_resource_manager", settings.keyturn_resource_manager_url))
    if settings.actiontrail_url:
        found.append(Endpoint("reach_actiontrail", settings.actiontrail_url))
    if settings.keyturn_public_url:
        found.append(Endpoint("reach_app", f"{settings.keyturn_public_url.rstrip('/')}/api/health", needs_ok=True))
    if scheduler := _SCHEDULER_ENDPOINT.search(environment.get(SCHEDULER, "")):
        found.append(Endpoint("reach_task_scheduler", scheduler[1]))
    return list(dict.fromkeys(found))


async def check_endpoints(endpoints: list[Endpoint], now: Callable[[], datetime]) -> list[Line]:
    """Ask every endpoint, and compare the clocks of vault and database with ``now``."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    lines = []
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for endpoint in endpoints:
            host = urlsplit(endpoint.url).netloc
            answer, date = await _ask(session, endpoint)
            lines.append(Line.of(endpoint.line, answer, host))
            if endpoint.line in _CLOCKS:
                lines.append(Line.of("clock", _clock(date, now()), host))
    return lines


async def _ask(session: aiohttp.ClientSession, endpoint: Endpoint) -> tuple[Answer, str | None]:
    try:
        async with session.get(endpoint.url, allow_redirects=False) as response:
            status, date = response.status, response.headers.get("date")
    except aiohttp.ClientConnectorCertificateError:
        return problem("its certificate is not trusted here", "look at its chain, and at SSL_CERT_FILE"), None
    except (aiohttp.ClientError, TimeoutError) as error:
        advice = "look at its name, its firewall and private endpoint, and whether it runs"
        return problem(f"no answer: {type(error).__name__}", advice), None
    if endpoint.needs_ok and status != HTTPStatus.OK:
        return problem(f"answered {status}, expected 200", "look at what it says, and at its log"), date
    return ok(f"answers ({status})"), date


def _clock(date: str | None, now: datetime) -> Answer:
    if date is None:
        return unchecked("no answer told the time")
    skew = (now - parsedate_to_datetime(date)).total_seconds()
    if abs(skew) <= SKEW_SECONDS_MAX:
        return ok(f"agrees with this machine's within {SKEW_SECONDS_MAX} s")
    return problem(
        f"this machine's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
        "set this machine's clock by time servers",
    )


_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def check_keys(public_url: str | None) -> Answer:
    """A route that needs a key or a sign-in refuses whoever has neither."""
    if public_url is None:
        return unchecked("KEYTURN_PUBLIC_URL is not set", "set it to the app's own URL")
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{public_url.rstrip('/')}/api/keyrings", allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return unchecked("the app does not answer", "see reach_app")
    if status in _REFUSALS or response.headers.get("location", "").startswith("https://login."):
        return ok(f"a call without a key was refused ({status})")
    return problem(f"a call without a key was answered with {status}", BROKEN)


LEFT_TO_PREFLIGHT = frozenset(
    {
        *("census", "store_has_rows", "row_versions"),
        *("key_backup", "no_migration", "maintenance_window", "on_call_notified"),
    }
)
EXAMINED = tuple(name for name in CHECKLIST if name not in LEFT_TO_PREFLIGHT)


async def check_rights(examined: Examined) -> list[Line]:
    """Go through the checklist; what needs a check that failed is not checked."""
    lines: list[Line] = []
    bad: set[str] = set()
    subject = examined.keyring.keyring.name
    for name in EXAMINED:
        item = CHECKLIST[name]
        missing = next((need for need in item.needs if need in bad), None)
        if missing is not None:
            answer = unchecked(f"{missing} failed", f"mend {missing} first")
        else:
            answer = await ask(item.run(examined.context), item.right)
        if answer.outcome is not Outcome.OK:
            bad.add(name)
        lines.append(Line.of(name, answer, subject))
    return lines


async def check_records(examined: Examined) -> list[Line]:
    """Ask for a document of the container ``keyturn`` that does not exist, to read and to replace it."""
    container = examined.resources.settings.keyturn_container
    reading = await ask(_read(examined), f"{ITEMS}read on the container {container}")
    if reading.outcome is not Outcome.OK:
        writing = unchecked("can_read_records failed", "mend can_read_records first")
    else:
        writing = await ask(_replace(examined), f"{ITEMS}replace on the container {container}")
    return [Line.of("can_read_records", reading), Line.of("can_replace_records", writing)]


async def _read(examined: Examined) -> Answer:
    await examined.resources.run_store.documents.read(unused_name(), unused_name())
    return ok("a point read was answered")


async def _replace(examined: Examined) -> Answer:
    name = unused_name()
    await examined.resources.run_store.documents.replace({"id": name, "keyring": name}, etag="*")
    return ok("a replacement of a document that does not exist was answered")

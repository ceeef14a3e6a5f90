"""What surrounds a keyring: endpoints answer, clocks agree, the app asks for a key, and the identity has its rights.

Of an endpoint any HTTP answer will do; only the app's own URL must answer 200, and the backend as its probes expect.
Rights are found out by those of pre-flight's checks that change nothing; a dry run does the others.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from azure.identity.aio import DefaultAzureCredential

from keyturn.doctor.checks import BROKEN, DoctorContext, ask, failed_before
from keyturn.preflight.checks import CHECKLIST
from keyturn.preflight.context import unused_name
from keyturn.preflight.results import CheckResult, Outcome, ok, problem, unchecked
from keyturn.preflight.store import ITEMS
from keyturn.rotation.probes import probe_all
from keyturn.settings import Settings

TIMEOUT = aiohttp.ClientTimeout(total=10)  # seconds
# Tokens and signed decisions are refused from five minutes on; an event's time should be right to the second.
SKEW_SECONDS_MAX = 30
SCHEDULER = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
_SCHEDULER_ENDPOINT = re.compile(r"(?:^|;)\s*Endpoint=(https?://[^;\s]+)", re.IGNORECASE)
_CLOCKS = frozenset({"reach_vault", "reach_cosmos"})  # the services whose clocks a rotation meets


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL to ask, and the id of its result."""

    check: str
    url: str
    needs_ok: bool = False


def endpoints_of(settings: Settings, environment: Mapping[str, str]) -> list[Endpoint]:
    """Return the endpoints that the settings name, each once."""
    found = [
        *(Endpoint("reach_vault", keyring.vault_url) for keyring in settings.keyrings),
        Endpoint("reach_cosmos", settings.cosmos_endpoint),
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


async def check_endpoints(endpoints: list[Endpoint], now: Callable[[], datetime]) -> list[CheckResult]:
    """Ask every endpoint, and compare the clocks of vault and database with ``now``."""
    lines = []
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        answers = await asyncio.gather(*(_ask(session, endpoint) for endpoint in endpoints))
        for endpoint, (answer, date) in zip(endpoints, answers, strict=True):
            host = urlsplit(endpoint.url).netloc
            lines.append(answer.named(endpoint.check, host))
            if endpoint.check in _CLOCKS:
                lines.append(_clock(date, now()).named("clock", host))
    return lines


async def _ask(session: aiohttp.ClientSession, endpoint: Endpoint) -> tuple[CheckResult, str | None]:
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


async def check_probes(settings: Settings) -> list[CheckResult]:
    """Ask the backend as a rotation does, each probe once; tokens are of the identity of this process."""
    wanted = [probe for keyring in settings.keyrings for probe in keyring.health_urls]
    distinct = [probe for place, probe in enumerate(wanted) if probe not in wanted[:place]]
    async with DefaultAzureCredential() as credential:
        found = await probe_all(distinct, credential)
    advice = "look at what it says, and at its log; what needs the app's own identity or network, ask --from-app"
    answered = (
        ok(f"answers ({one.status})") if one.outcome == "pass" else problem(one.detail, advice) for one in found
    )
    return [
        answer.named("reach_backend", urlsplit(one.url).netloc) for answer, one in zip(answered, found, strict=True)
    ]


def _clock(date: str | None, now: datetime) -> CheckResult:
    if date is None:
        return unchecked("the answer has no date")
    skew = (now - parsedate_to_datetime(date)).total_seconds()
    if abs(skew) <= SKEW_SECONDS_MAX:
        return ok(f"agrees with this machine's within {SKEW_SECONDS_MAX} s")
    return problem(
        f"this machine's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
        "set this machine's clock by time servers",
    )


_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def check_app(settings: Settings) -> list[CheckResult]:
    """Look at who the app answers, without a key, and who it is told that callers are."""
    keys = await check_keys(settings.keyturn_public_url)
    return [keys.named("host_keys"), check_sign_in(settings).named("host_auth_variable")]


async def check_keys(public_url: str | None) -> CheckResult:
    """A route that needs a key or a sign-in refuses a caller who has neither."""
    if public_url is None:
        return unchecked("the app's address is not known here", "set KEYTURN_PUBLIC_URL to it")
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(f"{public_url.rstrip('/')}/api/keyrings", allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return unchecked("the app does not answer", "see reach_app")
    if status in _REFUSALS or response.headers.get("location", "").startswith("https://login."):
        return ok(f"a call without a key was refused ({status})")
    return problem(f"a call without a key was answered with {status}", BROKEN)


def check_sign_in(settings: Settings) -> CheckResult:
    """The platform tells the app that it signs callers in; without that the app refuses every one of them."""
    if settings.keyturn_access != "entra":
        return unchecked("KEYTURN_ACCESS is keys: callers do not sign in")
    if not settings.website_auth_enabled:
        return unchecked(
            "WEBSITE_AUTH_ENABLED is set by the platform, in the app alone", "ask the app: keyturn doctor --from-app"
        )
    return ok("WEBSITE_AUTH_ENABLED is set")


DECIDER = "somebody_can_decide"  # the doctor asks it once, with the settings
LEFT_TO_PREFLIGHT = frozenset(
    {
        *("census", "store_has_rows", "row_versions", "key_backup", "key_backup_drill"),
        *("no_migration", "maintenance_window", "on_call_notified", DECIDER),
    }
)
EXAMINED = {name: item for name, item in CHECKLIST.items() if name not in LEFT_TO_PREFLIGHT}


async def check_records(context: DoctorContext) -> list[CheckResult]:
    """Ask for a document of the container ``keyturn`` that does not exist, to read and to replace it."""
    container = context.settings.keyturn_container
    reading = await ask(partial(_read, context), f"{ITEMS}read on the container {container}")
    if reading.outcome is not Outcome.OK:
        writing = failed_before("can_read_records")
    else:
        writing = await ask(partial(_replace, context), f"{ITEMS}replace on the container {container}")
    return [reading.named("can_read_records"), writing.named("can_replace_records")]


async def _read(context: DoctorContext) -> CheckResult:
    await context.documents.read(unused_name("doctor"), unused_name("doctor"))
    return ok("a point read was answered")


async def _replace(context: DoctorContext) -> CheckResult:
    name = unused_name("doctor")
    await context.documents.replace({"id": name, "keyring": name}, etag="*")
    return ok("a replacement of a document that does not exist was answered")

"""Forms of settings, each with a pattern and what was expected in words; maintenance windows; signing secrets."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

UNRESOLVED = "@Microsoft.KeyVault("  # what App Service leaves in a variable whose secret it could not fetch
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def number(text: object) -> object:
    """Return the number that a text is, or what was given: a duration may be either, a choice must be a number."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def checked[T](check: Callable[[T], object]) -> AfterValidator:
    """Return a validator by which a value stays as it is, unless the check raises ValueError."""

    def unchanged(value: T) -> T:
        check(value)
        return value

    return AfterValidator(unchanged)


def _expecting(expected: str, is_valid: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> None:
        if not is_valid(text):
            raise ValueError(f"expected {expected}")

    return checked(check)


def _matching(pattern: str, expected: str) -> AfterValidator:
    return _expecting(expected, re.compile(pattern).fullmatch)


def _is_cron(text: str, *fields: int) -> bool:
    valid: bool = croniter.is_valid(text, second_at_beginning=True)  # type: ignore[no-untyped-call]  # croniter has no types
    return valid and len(text.split()) in fields


_HTTPS = r"https://[^/?#@\s]+/?"
VaultUrl = Annotated[str, _matching(_HTTPS, "the vault's URL, as https://<name>.vault.azure.net")]
CosmosEndpoint = Annotated[str, _matching(_HTTPS, "the account's URL, as https://<name>.documents.azure.com:443/")]
ManagementUrl = Annotated[str, _matching(_HTTPS, "the URL of Azure Resource Manager, as https://management.azure.com")]
# What Cosmos DB allows in the name of a database or container.
CosmosName = Annotated[str, _matching(r"[^/\\?#]{1,255}", "a name in Cosmos DB: up to 255 characters without / \\ ? #")]
MekName = Annotated[str, _matching(r"[0-9a-zA-Z-]{1,127}", "a key's name: 1 to 127 letters, digits and dashes")]
KeyringName = Annotated[
    str, _matching(r"[a-z0-9][a-z0-9-]{0,39}", "1 to 40 lower-case letters, digits and dashes, no dash at the start")
]
CosmosResourceId = Annotated[
    str,
    _matching(
        r"(?i)/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.DocumentDB/databaseAccounts/[^/]+",
        "the account's resource id, as /subscriptions/<id>/resourceGroups/<group>/providers"
        "/Microsoft.DocumentDB/databaseAccounts/<name>",
    ),
]
ActiontrailUrl = Annotated[
    str,
    _matching(
        r"https://[^/?#@\s]+(/[^\s#]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?(/[^\s#]*)?",
        "the URL that takes the events, https:// (http:// only where the host is loopback)",
    ),
]
PublicUrl = Annotated[
    str,
    _matching(
        r"https://[^/?#@\s]+/?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?/?",
        "the app's own URL as its approvers reach it, https://<host> (http:// only where the host is loopback)",
    ),
]
_PROBE_URL = re.compile(r"https?://[^/?#@\s]+([/?][^#\s]*)?")


def probe_url(text: str) -> str:
    """Return the text; raises ValueError where it is no URL that may be probed."""
    if not _PROBE_URL.fullmatch(text):
        raise ValueError("expected a URL of the backend, http:// or https://, that names no user")
    return text


ProbeUrl = Annotated[str, AfterValidator(probe_url)]
TokenScope = Annotated[
    str, _matching(r"[a-z][a-z0-9+.-]*://[^\s?#]+/\.default", "an audience's scope, as api://<client id>/.default")
]

Duration = Annotated[timedelta, BeforeValidator(number), Field(gt=timedelta(0))]  # ISO 8601, or seconds

# NCRONTAB, as Azure Functions reads it.
SixFieldCron = Annotated[
    str, _expecting("six fields: second minute hour day month day-of-week", lambda text: _is_cron(text, 6))
]
WindowCron = Annotated[
    str, _expecting("five or six fields: [second] minute hour day month day-of-week", lambda text: _is_cron(text, 5, 6))
]


class SettingsModel(BaseModel):
    """An object in a setting's JSON, with names in camelCase and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class MaintenanceWindow(SettingsModel):
    """A time that opens at every occurrence of a cron expression, in a time zone, and lasts for a duration.

    Day of month and day of week must both match, as in the rotation schedule: ``0 2 1-7 * 6`` is the first Saturday.
    """

    cron: WindowCron
    duration: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=31))]
    time_zone: ZoneInfo = ZoneInfo("UTC")

    def is_open(self, now: datetime) -> bool:
        """Tell whether ``now``, aware of its zone, lies in the window; the end is outside."""
        return now.astimezone(UTC) < self.latest_start(now) + self.duration

    def latest_start(self, now: datetime) -> datetime:
        """Return when the window opened last (UTC), at ``now`` at the latest.

        The search goes over the wall clock's times. One that the clocks skip counts as if they had not been put
        forward; one that they show twice counts once, the first time.
        """
        wall_clock = now.astimezone(self.time_zone).replace(tzinfo=None, microsecond=0) + timedelta(seconds=1)
        # Arithmetic over a naive time is arithmetic over UTC for croniter: no shift is applied.
        occurrences = croniter(self.cron, wall_clock, second_at_beginning=True, day_or=False)
        while True:
            before: datetime = occurrences.get_prev(datetime)  # type: ignore[no-untyped-call]  # croniter has no types
            opening = before.replace(tzinfo=self.time_zone, fold=0).astimezone(UTC)
            if opening <= now:
                return opening


PREFIX = "whsec_"
BYTES_MIN, BYTES_MAX = 24, 64  # Standard Webhooks 1.0, "Signature scheme"
_EXPECTED = f"expected {PREFIX} and the base64 of {BYTES_MIN} to {BYTES_MAX} random bytes; several separated by spaces"


def signing_secrets(secrets: SecretStr | None) -> list[str]:
    """Return the secrets, one at least; raises ValueError saying what was expected, never what was found."""
    found = secrets.get_secret_value().split() if secrets is not None else []
    if not found or not all(_is_secret(secret) for secret in found):
        raise ValueError(_EXPECTED)
    return found


def _is_secret(text: str) -> bool:
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except binascii.Error:
        return False
    return text.startswith(PREFIX) and BYTES_MIN <= size <= BYTES_MAX

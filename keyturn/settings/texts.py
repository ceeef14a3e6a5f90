"""Texts of settings that have a form: each is checked by a pattern and says in words what was expected."""

import re
from datetime import timedelta
from typing import Annotated

from croniter import croniter
from pydantic import AfterValidator, BeforeValidator, Field

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def number(text: object) -> object:
    """Return the number that a text is, or what was given: a duration may be either, a choice must be a number."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _matching(pattern: str, expected: str) -> AfterValidator:
    form = re.compile(pattern)

    def check(text: str) -> str:
        if form.fullmatch(text) is None:
            message = f"expected {expected}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _cron(*, fields: tuple[int, ...], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        valid = croniter.is_valid(text, second_at_beginning=True)  # type: ignore[no-untyped-call]  # croniter has no types
        if len(text.split()) not in fields or not valid:
            message = f"expected {expected}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


VaultUrl = Annotated[str, _matching(r"https://[^/?#@\s]+/?", "the vault's URL, as https://<name>.vault.azure.net")]
CosmosEndpoint = Annotated[
    str, _matching(r"https://[^/?#@\s]+/?", "the account's URL, as https://<name>.documents.azure.com:443/")
]
ManagementUrl = Annotated[
    str, _matching(r"https://[^/?#@\s]+/?", "the URL of Azure Resource Manager, as https://management.azure.com")
]
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
ProbeUrl = Annotated[str, _matching(r"https?://[^\s]+", "a URL of the backend, http:// or https://")]

Duration = Annotated[timedelta, BeforeValidator(number), Field(gt=timedelta(0))]  # ISO 8601, or seconds

# NCRONTAB, as Azure Functions reads it.
SixFieldCron = Annotated[str, _cron(fields=(6,), expected="six fields: second minute hour day month day-of-week")]
WindowCron = Annotated[
    str, _cron(fields=(5, 6), expected="five or six fields: [second] minute hour day month day-of-week")
]

"""What the host reads from the app's host.json, with ``%NAME%`` taken from the app settings (the environment).

An app setting ``AzureFunctionsJobHost__<path>``, its parts between two underscores each, goes before the file.
"""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>[0-5]?\d):(?P<seconds>[0-5]?\d)")
PLACEHOLDER = re.compile(r"%([^%]+)%")
OVERRIDE = "azurefunctionsjobhost__"
BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"  # the app setting; Kestrel's bound is set to it, in bytes
BODY_BYTES_MAX = 100 * 1024 * 1024  # without it
WORK_ITEMS_PER_CORE = 10  # the durable extension's default concurrency outside the Consumption plan


class SettingsError(Exception):
    """The app's host.json or an app setting that it names cannot be used."""


def resolve(text: str, where: str) -> str:
    """Replace each ``%NAME%`` by the app setting of that name.

    Raises:
        SettingsError: the app setting does not exist; the real host does not start the function either.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise SettingsError(f"{where}: the app setting {name!r} in {text!r} does not exist")
        return os.environ[name]

    return PLACEHOLDER.sub(value, text)


def body_limit() -> int:
    """Return how many bytes a request's body may have; as in the real host, a setting that is no number is none."""
    text = os.environ.get(BODY_LIMIT, "")
    return int(text) if text.isdecimal() else BODY_BYTES_MAX


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class HttpSection(_Section):
    """``extensions.http``."""

    route_prefix: str = "api"


def _default_concurrency() -> int:
    return WORK_ITEMS_PER_CORE * (os.cpu_count() or 1)


class DurableSection(_Section):
    """``extensions.durableTask``."""

    hub_name: str = "TestHubName"
    max_concurrent_activity_functions: int = Field(default_factory=_default_concurrency, gt=0)
    max_concurrent_orchestrator_functions: int = Field(default_factory=_default_concurrency, gt=0)
    max_concurrent_entity_functions: int = Field(default_factory=_default_concurrency, gt=0)


class _Extensions(_Section):
    http: HttpSection = HttpSection()
    durable_task: DurableSection = Field(default_factory=DurableSection)


UNBOUNDED = "-1"
DEFAULT_TIMEOUT = timedelta(minutes=30)  # of the Flex Consumption plan, as is that it may be unbounded


def _timeout(value: object) -> timedelta | None:
    """Read ``[days.]hh:mm:ss``, or -1 for no limit."""
    if value == UNBOUNDED:
        return None
    found = TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
    parts = {name: int(part) for name, part in found.groupdict(default="0").items()} if found else {}
    if not any(parts.values()):
        raise ValueError(f'expected a time of the form hh:mm:ss, or "{UNBOUNDED}" for none')
    return timedelta(**parts)


class HostSettings(_Section):
    """What the host uses of host.json; everything else in it is left alone."""

    version: str
    function_timeout: Annotated[timedelta | None, BeforeValidator(_timeout)] = DEFAULT_TIMEOUT
    extensions: _Extensions = Field(default_factory=_Extensions)

    @property
    def route_prefix(self) -> str:
        """The path below which the app's routes lie, without slashes at its ends."""
        return self.extensions.http.route_prefix.strip("/")

    @property
    def durable(self) -> DurableSection:
        """The durable extension's settings."""
        return self.extensions.durable_task


def load_settings(app: Path) -> HostSettings:
    """Read the app's host.json.

    Raises:
        SettingsError: it is missing, is not JSON, or holds a value that cannot be used.
    """
    path = app / "host.json"
    try:
        settings = HostSettings.model_validate(_resolved(_overridden(json.loads(path.read_text()))))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: the folder of a function app holds a host.json") from None
    except (json.JSONDecodeError, ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if settings.version != "2.0":
        raise SettingsError(f'{path}: version must be "2.0", not {settings.version!r}')
    return settings


def _overridden(document: Any) -> Any:
    """Put the app settings of the job host in their places; names ignore case."""
    for name, value in os.environ.items():
        if name.lower().startswith(OVERRIDE) and isinstance(document, dict):
            *parents, last = name[len(OVERRIDE) :].split("__")
            place = document
            for parent in parents:
                place = place.setdefault(_spelt(place, parent), {})
            place[_spelt(place, last)] = value
    return document


def _spelt(place: dict[str, Any], name: str) -> str:
    return next((known for known in place if known.lower() == name.lower()), name)


def _resolved(document: Any) -> Any:
    """Resolve the hub's name, the one setting of ours in which the extension allows placeholders."""
    durable = document.get("extensions", {}).get("durableTask", {}) if isinstance(document, dict) else {}
    if "hubName" in durable:
        durable["hubName"] = resolve(durable["hubName"], "host.json extensions.durableTask.hubName")
    return document

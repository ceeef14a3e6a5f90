"""A setting that is off, as an error: the variable, the place in its JSON, what it holds, what was expected."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from keyturn.errors import SettingsError

SHOWN_MAX = 120
MASKED = "(masked)"
# Any other variable may hold a credential by mistake: a connection string, a signed URL, a URL with a password.
_SECRET_VARIABLE = re.compile(r"SECRET|NOTIFICATION_URLS|ON_CALL_URLS|APPROVER_URLS")
_CREDENTIAL = re.compile(
    r"(key|secret|token|password|sig|signature)\s*=|whsec_|://[^/\s]*@|\b(bearer|basic)\s", re.IGNORECASE
)


class Place(NamedTuple):
    """Where a value comes from: a variable, and a path in it if it holds JSON."""

    variable: str
    path: tuple[str | int, ...] = ()

    @property
    def json_path(self) -> str:
        """The path as JSONPath, empty where the variable itself is meant."""
        steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return "$" + "".join(steps) if self.path else ""


def settings_error(place: Place, value: object, expected: str) -> SettingsError:
    """Return the error for one setting; ``value`` is None where it is not set."""
    shown = None if value is None else masked(place.variable, value)
    where = f"{place.variable} at {place.json_path}" if place.path else place.variable
    holds = "is not set" if value is None else f"is {shown}"
    return SettingsError(
        f"{where} {holds}: {expected}",
        variable=place.variable,
        jsonPath=place.json_path,
        value=shown,
        expected=expected,
    )


def first_failure(error: ValidationError, places: Mapping[str, str], listed: str) -> SettingsError:
    """Return the error for the first thing that a validation found.

    ``places`` maps the property of a keyring that stands alone to its variable; ``listed`` is the variable of a list
    of keyrings, empty where there is none.
    """
    first = error.errors(include_url=False)[0]
    place = _place(first["loc"], places, listed)
    if first["type"] == "missing":
        return settings_error(place, None, "expected a value")
    value = None if first["input"] == "" else first["input"]
    if first["type"] == "extra_forbidden" and not isinstance(value, dict | list):
        value = MASKED  # what stands where nothing is expected may be anything, a token too
    return settings_error(place, value, str(first["msg"]).removeprefix("Value error, "))


def masked(variable: str, value: object) -> str:
    """Return the value as it may be shown: short, and never a secret."""
    if isinstance(value, dict | list):
        return "a JSON object" if isinstance(value, dict) else "a JSON list"
    text = str(value)
    if text == MASKED or _SECRET_VARIABLE.search(variable) or _CREDENTIAL.search(text):
        return MASKED
    return repr(text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…")


def _place(location: Sequence[str | int], places: Mapping[str, str], listed: str) -> Place:
    match list(location):
        case ["keyrings", *rest] if listed:
            return Place(listed, tuple(rest))
        case ["keyrings", int(), str(name), *rest]:
            return Place(places[name], tuple(rest))
        case ["policy", str(name), *_]:
            return Place(f"KEYTURN_{to_snake(name).upper()}")
        case [str(name), *rest]:
            return Place(name.upper(), tuple(rest))
        case _:
            return Place("the environment")

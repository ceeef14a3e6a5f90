"""Plugin: ``--azure KEY=VALUE``, as often as wanted, asks the same of every local Azure that tests start.

So whole suites run on another Azure than the default one. KEY is an option of :class:`local.supervisor.Options`. Of
services that tests start alone, the Cosmos DB of ``tests/keyturn`` and ``tests/field_encrypt`` follows it too; those of
``tests/local``, where the services themselves are tested, and of ``tests/overlap`` do not.
"""

from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from local.supervisor import Options

_OF_EACH_TEST = {"state", "older_rows", "app", "app_python", "settings"}
_TYPES = {name: kind for name, kind in get_type_hints(Options).items() if name not in _OF_EACH_TEST}
# What all tests ask for: results are spread over pages, and external events arrive twice, as both may on Azure: the
# services promise no more than that.
EVENT_SEED = 7
_EVERYWHERE = {"short_pages": 3, "duplicate_events": EVENT_SEED}
_asked: dict[str, Any] = {}


def as_asked(options: Options) -> Options:
    """Return the options with what all tests ask for, and ``--azure``; both go before what a single test asks for."""
    return replace(options, **{**_EVERYWHERE, **_asked})


def parse(text: str) -> dict[str, Any]:
    """Return the option of ``KEY=VALUE``.

    Raises:
        pytest.UsageError: it is not of that form, there is no such option, or the value is not one of its type.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise pytest.UsageError(f"--azure {text}: KEY=VALUE is needed, as in --azure partitions=3")
    if name not in _TYPES:
        raise pytest.UsageError(f"--azure {text}: {name} is none of {', '.join(sorted(_TYPES))}")
    try:
        return {name: TypeAdapter(_TYPES[name]).validate_strings(value)}
    except ValidationError as error:
        raise pytest.UsageError(f"--azure {text}: {error.errors(include_url=False)[0]['msg']}") from None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--azure",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what every local Azure of the tests shall be: an option of local.supervisor.Options; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what is asked for; workers of xdist are given the same."""
    _asked.clear()
    for text in config.getoption("--azure"):
        _asked.update(parse(text))

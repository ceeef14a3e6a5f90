"""``--azure KEY=VALUE``: what it takes, what it refuses, and that a test's own choice yields to it."""

from pathlib import Path
from typing import Any

import pytest

from local.supervisor import Options
from tests import azure_option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("partitions=5", {"partitions": 5}),
        ("vault_limits=off", {"vault_limits": "off"}),
        ("document_migrations=true", {"document_migrations": True}),
        ("writes_per_second=0.5", {"writes_per_second": 0.5}),
    ],
)
def test_a_value_is_of_its_options_type(text: str, option: dict[str, Any]) -> None:
    """Numbers, switches and words are read as the option takes them."""
    assert azure_option.parse(text) == option


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("partitions", "KEY=VALUE"),
        ("partition=5", "partition is none of bits, .*partitions"),
        ("partitions=many", "partitions=many: .*integer"),
        ("vault_limits=none", "'service' or 'off'"),
        ("state=/tmp", "state is none of"),
    ],
)
def test_what_no_option_takes_is_refused(text: str, named: str) -> None:
    """A misspelt option does not leave the tests on the default Azure, unnoticed."""
    with pytest.raises(pytest.UsageError, match=named):
        azure_option.parse(text)


def test_it_goes_before_what_a_test_asks_for(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is asked for on the command line holds for every Azure; the rest is the test's."""
    monkeypatch.setattr(azure_option, "_asked", {})
    monkeypatch.setattr(request.config.option, "azure", ["partitions=7", "bits=3072", "partitions=5"])
    azure_option.pytest_configure(request.config)

    options = azure_option.as_asked(Options(state=tmp_path, deks=3, partitions=2))

    assert (options.partitions, options.bits, options.deks) == (5, 3072, 3)


def test_events_arrive_twice_unless_a_seed_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test of the whole app runs on a hub that repeats events; another seed repeats them at other times."""
    monkeypatch.setattr(azure_option, "_asked", {})
    by_default = azure_option.as_asked(Options(state=tmp_path))
    monkeypatch.setattr(azure_option, "_asked", azure_option.parse("duplicate_events=11"))

    assert by_default.duplicate_events == azure_option.EVENT_SEED
    assert azure_option.as_asked(Options(state=tmp_path)).duplicate_events == 11

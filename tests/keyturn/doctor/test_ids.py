"""The doctor reports every line of docs/assumptions.md, and nothing else under that name."""

import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from keyturn.doctor import deployment, key_vault
from keyturn.doctor.checks import EXIT_CODES, worst
from keyturn.doctor.deployment import EXAMINED, LEFT_TO_PREFLIGHT
from keyturn.doctor.run import BY_HAND, LOOKED_AT, PROBED
from keyturn.preflight.checks import CHECKLIST
from keyturn.preflight.results import CheckResult, Outcome
from local.supervisor.layout import REPOSITORY

IDS = (*LOOKED_AT, *PROBED, *BY_HAND)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_every_assumption_is_reported() -> None:
    """The ids of the page are the ids of the doctor, each once."""
    page = (REPOSITORY / "docs" / "assumptions.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| id ", "| ---"))]
    ids = [match[1] if (match := re.match(r"\| `([a-z0-9_]+)` \| ", row)) else row for row in rows]

    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert set(ids) == set(IDS)
    assert len(IDS) == len(set(IDS))


def test_every_check_of_preflight_is_decided_on() -> None:
    """What pre-flight checks is examined, unless it is known to change something or to be about the moment."""
    assert set(CHECKLIST) == {*EXAMINED, *LEFT_TO_PREFLIGHT}


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [((), 0), (("ok", "unchecked"), 0), (("warning", "ok"), 1), (("problem", "warning", "ok"), 2)],
)
def test_the_exit_code_is_that_of_the_worst_line(outcomes: tuple[str, ...], code: int) -> None:
    """What was not checked is no fault; warnings end with 1, problems with 2."""
    assert EXIT_CODES[worst(CheckResult("x", Outcome(outcome), "") for outcome in outcomes)] == code


@pytest.mark.parametrize(
    ("seconds", "outcome", "said"), [(20, "ok", ""), (-40, "problem", "40 s behind"), (600, "problem", "600 s ahead")]
)
def test_a_skew_is_told_with_its_direction(seconds: int, outcome: str, said: str) -> None:
    """Half a minute is allowed; beyond it, the line says which way this machine is off."""
    answer = deployment._clock(format_datetime(NOW), NOW + timedelta(seconds=seconds))

    assert answer.outcome == outcome
    assert said in answer.detail


def test_the_deployed_python_is_the_templates() -> None:
    """The version that the doctor expects is the one that infra/ deploys."""
    template = (REPOSITORY / "infra" / "modules" / "app" / "function_app.bicep").read_text()

    assert f"'{key_vault.PYTHON[0]}.{key_vault.PYTHON[1]}'" in template


def test_another_python_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer interpreter is named, with the one that is deployed."""
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))

    line = key_vault.check_versions(Path("missing"))[0]

    assert (line.id, line.outcome) == ("python", Outcome.WARNING)
    assert "deployed is 3.13" in line.detail

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
from keyturn.doctor.live import BY_HAND, LIVE_CHECKS
from keyturn.doctor.run import LOOKED_AT, PROBED
from keyturn.preflight.checks import CHECKLIST
from keyturn.preflight.results import CheckResult, Outcome
from local.supervisor.layout import REPOSITORY
from tools.live_checks import listed

IDS = (*LOOKED_AT, *PROBED, *BY_HAND)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def assumptions() -> list[list[str]]:
    """Return the cells of every row of docs/assumptions.md; the first is the id, without its quotes."""
    page = (REPOSITORY / "docs" / "assumptions.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith(("| id ", "| ---"))]
    cells = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows]
    return [[name.strip("`"), *rest] for name, *rest in cells]


def test_every_assumption_is_reported() -> None:
    """The ids of the page are the ids of the doctor, each once."""
    ids = [name for name, *_ in assumptions()]

    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert set(ids) == set(IDS)
    assert len(IDS) == len(set(IDS))


def test_every_assumption_stands_in_the_step_that_the_page_names() -> None:
    """Page and data agree, and what the data says that the doctor runs is what it runs."""
    steps = {name: step for step in LIVE_CHECKS for name in step.proves}
    named = {cells[0]: match[1] for cells in assumptions() if (match := re.match(r"`([a-z-]+)`: \S", cells[5]))}

    assert named == {name: step.id for name, step in steps.items()}
    assert len(steps) == sum(len(step.proves) for step in LIVE_CHECKS)
    assert {name for name, step in steps.items() if step.run == "doctor"} == set(LOOKED_AT)
    assert {name for name, step in steps.items() if step.run == "probe"} == set(PROBED)


def test_every_row_says_what_differs_and_whether_it_was_seen() -> None:
    """Seven cells each; seen is a date with the issue that has the report, or never; README and page count."""
    rows = assumptions()
    seen = [cells for cells in rows if cells[6] != "never"]
    readme, page = ((REPOSITORY / name).read_text() for name in ("README.md", "docs/assumptions.md"))

    assert [cells for cells in rows if len(cells) != 7 or not all(cells)] == []
    assert [cells[6] for cells in seen if not re.fullmatch(r"\d{4}-\d\d-\d\d, \[.+\]\(https://.+\)", cells[6])] == []
    assert f"Seen on a live subscription: {len(seen)} of {len(rows)} assumptions." in readme
    assert f"{len(seen)} were seen live." in page


def test_the_page_of_the_rehearsal_is_made_of_the_data() -> None:
    """docs/first-deployment.md ends with the list as tools/live_checks.py prints it."""
    page = (REPOSITORY / "docs" / "first-deployment.md").read_text()

    assert page.partition("## The checks, in their order\n\n")[2] == f"{listed()}\n"


def test_every_step_says_what_it_costs_and_how_to_undo_it() -> None:
    """And what people do by hand has its commands, of which none is for a group that the step was not told."""
    by_hand = [step for step in LIVE_CHECKS if step.run in ("hand", "never")]

    assert [step.id for step in LIVE_CHECKS if not step.cost.endswith(".") or not step.undo] == []
    assert [step.id for step in by_hand if not step.commands.strip()] == []
    assert [
        step.id
        for step in LIVE_CHECKS
        if re.search(r"--resource-group (?!{resource_group}|\"\$group\")", step.commands)
    ] == []


def test_every_check_of_preflight_is_decided_on() -> None:
    """What pre-flight checks is examined, unless it is known to change something or to be about the moment."""
    assert set(CHECKLIST) == {*EXAMINED, *LEFT_TO_PREFLIGHT}


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [((), 0), (("ok", "unchecked"), 0), (("warning", "ok"), 0), (("problem", "warning", "ok"), 73)],
)
def test_the_exit_code_is_that_of_the_worst_line(outcomes: tuple[str, ...], code: int) -> None:
    """What was not checked is no fault, and with a warning a rotation runs; a problem ends with 73."""
    assert EXIT_CODES[worst(CheckResult("x", Outcome(outcome), "") for outcome in outcomes)] == code


@pytest.mark.parametrize(
    ("seconds", "outcome", "said"), [(20, "ok", ""), (-40, "problem", "40 s behind"), (600, "problem", "600 s ahead")]
)
def test_a_skew_is_reported_with_its_direction(seconds: int, outcome: str, said: str) -> None:
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

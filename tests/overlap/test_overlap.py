"""Every activity is stopped at each of its requests; whatever happens meanwhile, it breaks nothing when it goes on."""

import re
from pathlib import Path

import pytest

import activities
from tests.invariants.engine import registered
from tests.overlap.exploring import Exploring
from tests.overlap.places import PLACES, Place
from tests.overlap.table import row, summary

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
SHOWN = 20  # of what was wrong


def test_every_activity_has_a_place() -> None:
    """A new activity without a place in the explorer fails here."""
    assert set(registered(activities)) == {place.activity for place in PLACES}


def test_the_page_states_the_numbers() -> None:
    """The totals of the page are those of its table, which has a row for each place."""
    page = PAGE.read_text()
    stops = [int(found) for found in re.findall(r"^\| `\w+`.*\| (\d+) \|$", page, re.MULTILINE)]

    assert len(stops) == len(PLACES)
    assert summary(sum(stops)) in page


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_that_overlaps_breaks_an_invariant(place: Place, explorer: Exploring) -> None:
    """Nothing is lost, nobody's version is disabled, and what has ended stays as it ended."""
    report = explorer.explore(place)
    wrong = "\n".join(report.findings()[:SHOWN])

    assert not report.wrong, f"{len(report.wrong)} of {report.experiments} experiments:\n{wrong}"
    assert row(place, report.stops) in PAGE.read_text()

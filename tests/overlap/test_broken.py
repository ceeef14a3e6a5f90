"""The explorer sees what overlaps have broken: without one guard of the core, it says what is lost."""

from typing import Any

import pytest

from keyturn.deks import rollback
from keyturn.rotation import retirement
from keyturn.runs.lease import Hold
from tests.overlap.exploring import Exploring
from tests.overlap.places import PLACES, Place

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def place(name: str) -> Place:
    """Return a place by its name."""
    return next(found for found in PLACES if str(found) == name)


def test_broken_a_rollback_that_opens_nothing(explorer: Exploring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A previous wrap that is put back unopened may be damaged, or of another DEK."""

    async def unopened(*_: Any) -> bool:
        return True

    monkeypatch.setattr(rollback, "_holds_the_dek", unopened)
    found = explorer.explore(place("roll_back_page (rollback, reinstated)")).findings()

    assert any("gives no DEK" in reason for reason in found)
    assert any("given another DEK: row ... gives another DEK" in reason for reason in found)


def test_broken_a_page_that_does_not_look_at_its_lease(explorer: Exploring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a run that has ended goes on moving rows."""

    async def blind(*_: Any) -> None:
        """Look at nothing."""

    monkeypatch.setattr(Hold, "check", blind)
    found = explorer.explore(place("rewrap_page (early failure, sweeping)")).findings()

    assert any("late, failed" in reason and "row ... is not what it was" in reason for reason in found)


def test_broken_a_retirement_that_does_not_look_again(explorer: Exploring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disable that comes late stays, though the rotation has failed."""
    monkeypatch.setattr(retirement, "_is_wanted", lambda *_: True)
    found = explorer.explore(place("retire_versions (failure, retiring)")).findings()

    assert any("is disabled by a rotation that is failed" in reason for reason in found)

"""What the workflows of recorded releases have left in the task hub, replayed by the workflows of the code as it is."""

import re
from pathlib import Path

import pytest

from tests.histories.recording import ENDED, IN_FLIGHT, Generation, generations, in_flight_releases, read
from tests.histories.replay import replay

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
GO_ON, CARRIED_OVER = "go on", "are carried over"
WORKFLOWS = {"rotation", "sweep", "row_pass", "soak", "watch", "migration"}


def promised() -> dict[str, str]:
    """Return what the page says of the runs in flight of each release, oldest first."""
    return dict(re.findall(rf"^\| `([^`]+)` \| ({GO_ON}|{CARRIED_OVER}) \|", PAGE.read_text(), re.MULTILINE))


def of_releases(promise: str) -> list[str]:
    """Return the releases of which the page says that."""
    return [release for release, said in promised().items() if said == promise]


RECORDED = [found for release in of_releases(GO_ON) for found in generations(release)]


@pytest.mark.parametrize("generation", RECORDED, ids=lambda generation: generation.label)
def test_a_run_in_flight_goes_on(generation: Generation) -> None:
    """Turn by turn, the workflow asks for what it asked for then: kinds, numbers, names, and how it ends.

    Red: a change to a workflow would break runs that are in flight when it is deployed. Either the change is taken
    back, or the runs are to be carried over: docs/deploy.md, "A change to a workflow", says what to do then.
    """
    assert replay(generation) == []


@pytest.mark.parametrize("release", in_flight_releases())
def test_what_was_stored_is_read(release: str) -> None:
    """Inputs and results of every release are read, whatever the workflows ask for now."""
    differences = [text for found in generations(release) for text in replay(found)]

    assert [text for text in differences if "validation error" in text] == []


@pytest.mark.parametrize("release", of_releases(CARRIED_OVER))
def test_a_release_is_carried_over_only_where_its_runs_do_not_go_on(release: str) -> None:
    """The page is not out of date: at least one recorded workflow of the release cannot be replayed."""
    assert any(replay(found) for found in generations(release))


def test_the_page_names_every_recorded_release() -> None:
    """And the newest one goes on, so that this code has recordings of its own."""
    assert set(promised()) == set(in_flight_releases())
    assert list(promised().values())[-1:] == [GO_ON]


@pytest.mark.parametrize("release", of_releases(GO_ON))
def test_every_workflow_is_recorded(release: str) -> None:
    """Each to its end, one that continues as new, and each kind of migration."""
    recorded = generations(release)

    assert {found.name for found in recorded} == WORKFLOWS
    assert any(found.continued for found in recorded)
    assert {"rollback", "restore", "rewrap_deks", "encrypt", "re_encrypt", "decrypt_check"} <= set(read(release, ENDED))
    assert set(read(release, IN_FLIGHT)) == {"sweeping", "needs_attention", "awaiting_approval", "watching", "restore"}

"""``list`` and ``keyrings``, and which run ``status`` is about where none is named."""

import json
import re
import shlex
from typing import Any
from urllib.parse import urlsplit

import pytest

from keyturn.cli.status_view import run_of
from keyturn.cli.tables import WIDTH
from keyturn.ids import SEE_RUNS
from tests.keyturn.cli.served import serving

NOTES = "notes.20261124T120000Z.abcdef"


def line(run: str, requested: str, **more: Any) -> dict[str, Any]:
    """Return a run as the app lists it."""
    name = "migrationId" if ".m." in run else "rotationId"
    known = {name: run, "requestedAt": requested, "endedAt": requested, "state": "completed", "rows": 2000}
    return {**known, "requestedBy": "dana@example.com", **more}


ROTATIONS = {"rotations": [line(NOTES, "2026-11-24T12:00:00Z", dryRun=True)], "next": None}
MIGRATIONS = {"migrations": [line("notes.m.20261125T120000Z.abcdef", "2026-11-25T12:00:00Z", kind="restore")]}


def test_runs_of_both_kinds_are_listed_newest_first() -> None:
    """Two lines a run; as JSON all that the app says of them."""
    with serving((ROTATIONS, MIGRATIONS)) as app:
        result = app.run("list", "--keyring", "notes", "--limit", "5")
    with serving((ROTATIONS, MIGRATIONS)) as listing:
        runs = json.loads(listing.run("list", "--json").stdout)["runs"]

    assert [urlsplit(path).query for _, path, _, _ in app.asked] == ["keyring=notes&limit=5"] * 2
    assert result.stdout == (
        "notes.m.20261125T120000Z.abcdef  restore  completed\n"
        "  2026-11-25 12:00 UTC to 2026-11-25 12:00 UTC, 2,000 rows, by dana@example.com\n"
        "notes.20261124T120000Z.abcdef  rotation (dry run)  completed\n"
        "  2026-11-24 12:00 UTC to 2026-11-24 12:00 UTC, 2,000 rows, by dana@example.com\n"
    )
    assert [run.get("kind") for run in runs] == ["restore", None]


@pytest.mark.parametrize(
    ("ended", "expected"), [(None, NOTES), ("2026-11-24T13:00:00Z", "notes.m.20261125T120000Z.abcdef")]
)
def test_without_an_id_the_active_run_or_the_latest_is_shown(ended: str | None, expected: str) -> None:
    """Of the keyring that is named, or the only one."""
    active = {"rotations": [line(NOTES, "2026-11-24T12:00:00Z", endedAt=ended)]}
    with serving((active, MIGRATIONS, {"state": "completed", "rotationId": expected})) as app:
        result = app.run("status", "--keyring", "notes", "--field", "state")

    assert (result.exit_code, result.stdout) == (0, "completed\n")
    assert app.asked[-1][1].endswith(f"/{expected}")


def test_a_keyring_without_runs_is_named() -> None:
    """With the command that makes one."""
    with serving(({"rotations": []}, {"migrations": []}) * 2) as app:
        result = app.run("status")

        listed = app.run("list")

    assert (result.exit_code, listed.exit_code, listed.stdout) == (66, 0, "")
    assert result.stderr.endswith("keyturn rotate --dry-run\n")
    assert listed.stderr == "no run yet; start one that changes nothing: keyturn rotate --dry-run\n"


def test_keyrings_are_shown_one_by_one() -> None:
    """Version with its age, when it is due, overdue, drift with the command that fixes it, and the active run."""
    drift: dict[str, Any] = {
        "at": "2026-11-25T05:00:00Z",
        "since": "2026-11-25T05:00:00Z",
        "rows": {"v0": 3},
        "enabled": [],
        "mend": "keyturn restore --keyring a-keyring-of-the-longest-name --reason drift --wait",
    }
    standing = {
        "keyring": "notes",
        "version": "ab" * 16,
        "versionCreatedOn": "2026-11-01T05:00:12Z",
        "nextOccurrence": "2999-12-01T03:00:00Z",
        "overdue": True,
        "drift": drift,
        "lastRotation": line(NOTES, "2026-11-24T12:00:00Z"),
        "activeRun": None,
    }
    unknown = {"keyring": "files", "nextOccurrence": "2999-12-01T03:00:00Z", "overdue": None, "drift": None}
    with serving({"keyrings": [standing, unknown]}) as app:
        said = app.run("keyrings").stdout
        as_json = app.run("keyrings", "--json").stdout

    assert re.search(r"version +(ab){16}\n", said)
    assert re.search(r"made +2026-11-01 05:00 UTC, \d+ d.* ago", said)
    assert re.search(r"next due +2999-12-01 03:00 UTC, in \d+ d", said)
    assert re.search(r"overdue +YES", said)
    assert re.search(r"drift +3 rows unreadable, 0 retired versions enabled, since 2026-11-25\s+05:00 UTC", said)
    *_, command = said.partition("to move them onto the version in force:\n")
    assert shlex.split(command.partition("\n\n")[0]) == drift["mend"].split()
    assert max(map(len, said.splitlines())) <= WIDTH
    assert re.search(r"files\n.*not known", said, re.DOTALL)
    assert json.loads(as_json) == {"keyrings": [standing, unknown]}


def test_a_list_without_a_keyring_is_of_each() -> None:
    """Hints say ``keyturn list`` without knowing how many keyrings there are; with one that was named, they keep it."""
    unnamed = {"type": "urn:keyturn:problem:unknown-keyring", "status": 404, "detail": "name one", "known": ["a", "b"]}
    first, second = line("a.20260301T030000Z.aaaaaa", "2026-03-01"), line("b.20260302T030000Z.bbbbbb", "2026-03-02")
    none: dict[str, Any] = {"migrations": []}
    with serving(({"rotations": [first]}, none, {"rotations": [second]}, none)) as app:
        app.answers = [(404, json.dumps(unnamed).encode(), "application/problem+json"), *app.answers]
        listed = app.run("list", "--json")
    missing = {"type": "urn:keyturn:problem:unknown-rotation", "status": 404, "hint": SEE_RUNS, "rotationId": "x"}
    with serving(({"rotations": [first]}, none, {"rotations": [second]}, none)) as app:
        refused = [(404, json.dumps(one).encode(), "application/problem+json") for one in (missing, unnamed)]
        app.answers = [*refused, *app.answers]
        unknown = app.run("status", "x")
    with serving({"rotations": [], "migrations": []}) as app:
        empty = app.run("status", "--keyring", "b")

    assert [run["rotationId"] for run in json.loads(listed.stdout)["runs"]] == [run_of(second), run_of(first)]
    assert all(run_of(run) in unknown.stderr for run in (first, second))
    assert "keyturn rotate --dry-run --keyring b" in empty.stderr

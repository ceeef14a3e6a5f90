"""Watching a run: a picture on a terminal of 80 columns and fewer, lines with their time where there is none."""

import re
from typing import Any

import pytest

from tests.keyturn.cli.served import Served, serving
from tests.keyturn.cli.terminal import Terminal, width_of_words

ROTATION = "notes.20261124T120000Z.abcdef"
MIGRATION = "notes.m.20261124T130000Z.abcdef"
DIGEST = "a" * 64
SOAKING = {"state": "soaking", "phase": "proof", "detail": "", "counts": {}}


def sweeping(changed: int, **more: Any) -> dict[str, Any]:
    """Return the status of a sweep of a thousand rows."""
    counted = {"source": "~deks", "changed": changed, "scanned": changed, "rowsTotal": 1000}
    answer = {
        "state": "sweeping",
        "detail": "",
        "phase": "sweep",
        "counts": {"sweep": counted},
        "percent": changed / 10,
    }
    answer |= {"rowsPerSecond": 33.6, "etaSeconds": 75.0, "vault": {"budget": 35.0, "used": 33.6, "throttled": 2}}
    return {**answer, **more}


def waiting(state: str, what: str, until: str | None, *, person: bool) -> dict[str, Any]:
    """Return the status of a run that waits."""
    answer: dict[str, Any] = {
        "state": state,
        "phase": state,
        "detail": "",
        "counts": {},
        "decision": None,
        "evidenceDigest": DIGEST,
    }
    return {**answer, "waitsFor": {"what": what, "until": until, "person": person}}


UNDECIDED = waiting("awaiting_approval", "a decision by another person than dana", "2999-12-01T12:00:00Z", person=True)
WAY = (
    sweeping(100),
    sweeping(190),
    sweeping(625),
    waiting("soaking", "the soak", "2999-11-25T09:00:00Z", person=False),
)


def at_a_terminal(app: Served, *arguments: str, **size: int) -> Terminal:
    """Run a command in a terminal."""
    env = {"KEYTURN_URL": app.url, "KEYTURN_FUNCTION_KEY": "k", "KEYTURN_POLL": "0.05", "XDG_CONFIG_HOME": "/nowhere"}
    return Terminal(*arguments, env=env, **size)


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_a_run_is_seen_as_it_goes(columns: int) -> None:
    """State, bar, rate, time left, the vault's budget, throttles, and what it waits for until when: nothing is cut."""
    with (
        serving((*[sweeping(625)] * 3, *[UNDECIDED] * 2)) as app,
        at_a_terminal(app, "watch", ROTATION, columns=columns) as person,
        width_of_words(person),
    ):
        person.until_shown("sweeping", "625 of 1,000", "33.6 of 35.0", "throttled 2")
        seen = " ".join(person.lines)
        code = person.end()

    assert code == 0
    flat = re.sub(r"\s+", " ", seen)
    for text in ("625 of 1,000, 62.5 %, 33.6 a second, 1 min left", "(96%), throttled 2 times", ROTATION, "━"):
        assert text in flat
    after = re.sub(r"\s+", " ", " ".join(person.everything))
    assert "a decision by another person than dana, until 2999-12-01 12:00 UTC (in" in after
    command = "".join(person.everything).partition("decide:")[2].replace("\\", " ")
    assert command.split() == ["keyturn", "approve", ROTATION, "--digest", DIGEST]


def test_the_states_stay_above_the_picture() -> None:
    """Each with when it was seen; the picture is painted over."""
    with serving((*WAY, UNDECIDED)) as app, at_a_terminal(app, "watch", ROTATION) as person:
        person.end()

    stamped = [
        line.partition(" ")[2] for line in person.everything if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line)
    ]
    assert stamped == ["sweeping", "soaking", "awaiting approval"]
    assert [line for line in person.everything if line.startswith("state")] == ["state      awaiting approval"]


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_a_failure_is_shown_above_the_picture(columns: int) -> None:
    """In lines that fit; nothing of it is painted over, and the picture goes on below."""
    with serving((sweeping(100), UNDECIDED)) as app:
        app.answers.insert(1, (503, b"", "text/html"))
        with at_a_terminal(app, "watch", ROTATION, columns=columns) as person, width_of_words(person):
            code = person.end()

    assert code == 0
    shown = person.everything
    assert sum("sweeping" in line for line in shown) == 1  # above, with its time; the picture was painted over
    flat = re.sub(r"\s+", " ", " ".join(shown))
    assert "Z the app answered 503: waiting on, the next try is in 0 s hint: look at its log" in flat
    assert re.search(r"without the app:\s+keyturn direct --help$", "\n".join(shown), re.MULTILINE)
    assert flat.index("sweeping") < flat.index("503") < flat.index("answers again") < flat.index(f" {ROTATION} state")


def test_a_window_may_become_narrower() -> None:
    """The picture is painted for the window as it is: else each one would leave lines of the one before it."""
    with serving(sweeping(625)) as app, at_a_terminal(app, "watch", ROTATION) as person:
        person.until_shown("625 of 1,000, 62.5 %, 33.6 a second, 1 min left")
        person.resize(40)
        looks = len(app.asked)
        while len(app.asked) < looks + 10:
            person.until(ROTATION)
        shown = person.everything

    assert sum(ROTATION in line for line in shown) <= 2  # of the one that the window itself has folded, some stays


@pytest.mark.parametrize(
    ("command", "shown"), [(("watch", ROTATION), "100 of 1,000"), (("status", ROTATION, "--wait"), "sweeping")]
)
def test_ctrl_c_ends_the_watching_alone(command: tuple[str, ...], shown: str) -> None:
    """It says so, and how to see the run again; so does a wait."""
    with serving(sweeping(100)) as app, at_a_terminal(app, *command) as person:
        person.until_shown(shown)
        person.interrupt()
        code = person.end()

    assert code == 130
    assert person.everything[-1] == f"the run goes on; see it again: keyturn watch {ROTATION}"
    assert {method for method, *_ in app.asked} == {"GET"}


def test_lines_where_there_is_no_terminal() -> None:
    """One for every state, tenth of the way, and thing that is waited for; with its time, and no control characters."""
    with serving((*WAY, WAY[-1], UNDECIDED)) as app:
        result = app.run("watch", ROTATION)

    assert (result.exit_code, len(app.asked)) == (0, 6)
    lines = result.stdout.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ notes", line) for line in lines)
    vault = "vault 33.6 of 35.0 operations a second (96%), throttled 2 times"
    texts = [re.sub(r" \(in [^)]*\)", "", line.partition(" ")[2]) for line in lines]
    assert texts == [
        f"{ROTATION}: sweeping; 100 of 1,000, 10 %, 33.6 a second, 1 min left; {vault}",
        f"{ROTATION}: sweeping; 625 of 1,000, 62.5 %, 33.6 a second, 1 min left; {vault}",
        f"{ROTATION}: soaking; waits for the soak, until 2999-11-25 09:00 UTC",
        f"{ROTATION}: awaiting approval; waits for a decision by another person than dana, until 2999-12-01 12:00 UTC",
    ]
    assert result.stderr == f"decide: keyturn approve {ROTATION} \\\n  --digest {DIGEST}\n"
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"state": "completed"}, 0),
        ({"state": "failed", "detail": "why"}, 73),
        (waiting("needs_attention", "an operator, to retry or to abort", None, person=True), 73),
        ({"state": "completed", "clean": False, "quarantined": {"count": 2}}, 73),
    ],
)
def test_it_ends_as_a_wait_does(end: dict[str, Any], code: int) -> None:
    """With the same exit codes, and the command that tells more."""
    with serving((sweeping(100), end)) as app:
        result = app.run("watch", ROTATION)

    assert result.exit_code == code
    assert (f"keyturn report {ROTATION}" in result.stderr) == (code != 0)


@pytest.mark.parametrize(
    ("rotation", "watched"),
    [
        ("completed", f"/api/migrations/{MIGRATION}"),
        ("sweeping", f"/api/rotations/{ROTATION}"),
        (None, f"/api/migrations/{MIGRATION}"),
    ],
    ids=["newest", "under way", "alone"],
)
def test_without_an_id_the_run_under_way_is_watched(rotation: str | None, watched: str) -> None:
    """Else the newest, of either kind."""
    ended = {"endedAt": "2026-11-24T14:00:00Z"} if rotation == "completed" else {}
    listed = [{"rotationId": ROTATION, "requestedAt": "2026-11-24T12:00:00Z", **ended}] if rotation else []
    other = [{"migrationId": MIGRATION, "requestedAt": "2026-11-24T13:00:00Z", "endedAt": "2026-11-24T14:00:00Z"}]
    with serving(({"rotations": listed}, {"migrations": other}, {"state": "completed"})) as app:
        result = app.run("watch", "--keyring", "notes")

    paths = [path for _, path, _, _ in app.asked]
    assert result.exit_code == 0
    assert paths == ["/api/rotations?keyring=notes&limit=1", "/api/migrations?keyring=notes&limit=1", watched]


def test_a_keyring_without_runs_has_none_to_watch() -> None:
    """And the hint is a command that works."""
    with serving(({"rotations": []}, {"migrations": []})) as app:
        result = app.run("watch")

    assert (result.exit_code, result.stderr.splitlines()[1:]) == (
        66,
        ["hint: start one that changes nothing: keyturn rotate --dry-run"],
    )

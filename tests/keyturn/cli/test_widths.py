"""Whatever a command writes fits the terminal that it writes to: words are broken by no terminal, values stay whole."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn.cli.status_view import LINES_MAX
from tests.keyturn.cli.served import serving
from tests.keyturn.cli.terminal import Terminal, width_of_words

RUN = "a-long-name.20261124T120000Z.abcdef"
VERSION, DIGEST = "aa0545685aa34f4ca96b9be503899bdc", "3f" * 32
LONG = "words that go on and on " * 8
STATUS = {
    "rotationId": RUN,
    "keyring": "a-long-name",
    "requestedBy": "dana@example.com",
    "requestedAt": "2026-11-24T12:00:00Z",
    "endedAt": "2026-11-24T12:10:00Z",
    "state": "completed",
    "links": {"report": f"/api/rotations/{RUN}/report"},
    "detail": LONG,
    "evidenceDigest": DIGEST,
}
WAITING: dict[str, Any] = {**STATUS, "state": "awaiting_approval", "endedAt": None, "detail": ""} | {
    "waitsFor": {"what": "a decision by another person", "until": "2999-12-01T12:00:00Z", "person": True}
}
VERIFIED = {"id": "census", "subject": "", "outcome": "ok", "detail": f"60 rows on {VERSION}: {LONG}", "advice": ""}
PART = {
    "keyring": "a-long-name",
    "query": "SELECT VALUE COUNT(1) FROM c " + "c.mekVersion " * 20,
    "opened": 60,
    "token": None,
    "results": [VERIFIED, {**VERIFIED, "subject": "notes", "outcome": "problem", "advice": f"keyturn retry {RUN}"}],
}
ORPHANS = {
    **dict.fromkeys(("scanned", "tooYoung", "foreign", "shared"), 12_000),
    "orphans": [{"dekId": f"notes-{DIGEST[:30]}", "documentId": "note-1", "container": "notes", "seen": LONG}],
    "counts": [{"mekVersion": VERSION, "olderThanDays": 30, "rows": 12_000}],
    "caution": LONG,
    "token": None,
}
LINK = {"url": f"/api/console?token={DIGEST * 3}", "expiresAt": "2026-11-24T12:10:00.123456Z"}
KEYRINGS = {"keyrings": [{"keyring": f"a-long-name-{number}"} for number in range(9)]}
CASES: dict[str, tuple[Any, tuple[str, ...], int]] = {
    "login": (({"status": "ok"}, KEYRINGS), ("login", "an-app-of-ours"), 0),
    "open": (LINK, ("open",), 0),
    "list": ({"rotations": [STATUS], "migrations": []}, ("list",), 0),
    "status": (STATUS, ("status", RUN), 0),
    "status that waits": (WAITING, ("status", RUN), 0),
    "status --full": (STATUS, ("status", RUN, "--full"), 0),
    "diagnose": ({"verdict": "row_missing", "nextStep": LONG, "dekId": DIGEST}, ("diagnose", "dek", "d"), 73),
    "orphans": (ORPHANS, ("orphans", "unused-deks"), 0),
    "verify": (PART, ("verify",), 73),
    "reinstate": ({"state": "completed", "reinstated": [VERSION] * 3}, ("reinstate", RUN), 0),
    "abort": ({"state": "sweeping"}, ("abort", RUN), 0),
    "wait": ({**STATUS, "state": "failed"}, ("status", RUN, "--wait", "--field", "state"), 73),
    "doctor": ({"results": []}, ("doctor", "--from-app"), 0),
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A desk with a context, whose app is given by variables."""
    config = tmp_path / "keyturn" / "config.toml"
    config.parent.mkdir()
    config.write_text('[contexts.test]\nurl = "https://an-app-of-ours.azurewebsites.net"\nby = "dana@example.com"\n')
    return {"KEYTURN_FUNCTION_KEY": "k", "KEYTURN_BY": "dana@example.com", "XDG_CONFIG_HOME": str(tmp_path)}


@pytest.mark.parametrize("columns", [80, 60, 40])
@pytest.mark.parametrize("case", CASES)
def test_words_are_not_broken(case: str, columns: int, env: dict[str, str]) -> None:
    """By the terminal, whichever stream they go to; what is one word is left whole."""
    answer, arguments, code = CASES[case]
    with (
        serving(answer) as app,
        Terminal(*arguments, env={**env, "KEYTURN_URL": app.url}, columns=columns) as person,
        width_of_words(person),
    ):
        assert person.end() == code, person.everything
    assert person.everything


def test_what_is_pasted_elsewhere_is_one_line(env: dict[str, str]) -> None:
    """A query and an answer as JSON, however long."""
    with serving(PART) as app:
        for arguments, line in (("verify",), PART["query"]), (("verify", "--json"), json.dumps(VERIFIED["detail"])):
            with Terminal(*arguments, env={**env, "KEYTURN_URL": app.url}, columns=40) as person:
                person.end()
            assert str(line) in person.written


@pytest.mark.parametrize("columns", [60, 40])
def test_contexts_and_where_a_watch_goes_on(columns: int, env: dict[str, str]) -> None:
    """What goes without the app, or is written as it is left."""
    with Terminal("contexts", env=env, columns=columns) as person, width_of_words(person):
        assert person.end() == 0
    with (
        serving({"state": "sweeping"}) as app,
        Terminal("watch", RUN, env={**env, "KEYTURN_URL": app.url}, columns=columns) as person,
        width_of_words(person),
    ):
        person.until_shown("state")
        person.interrupt()
        assert person.end() == 130
    assert person.written.endswith(f"  keyturn watch {RUN}\r\n")


@pytest.mark.parametrize("left", [timedelta(days=99_999, minutes=59.5), timedelta(hours=3.5)], ids=["long", "short"])
@pytest.mark.parametrize("columns", [80, 60, 40])
def test_a_narrow_terminal_shows_the_same_status(columns: int, left: timedelta, env: dict[str, str]) -> None:
    """In more lines than twelve, and still on one screen: the run, what it waits for, and the command that is next."""
    until = datetime.now(UTC) + left
    waits = {**WAITING["waitsFor"], "until": until.isoformat()}
    with (
        serving({**WAITING, "waitsFor": waits}) as app,
        Terminal("status", RUN, env={**env, "KEYTURN_URL": app.url}, columns=columns) as person,
    ):
        person.end()

    told = " ".join(" ".join(person.everything).split())
    assert RUN in told
    assert f"awaiting_approval until {until:%Y-%m-%d %H:%M} UTC" in told
    assert "waits for a decision by another person" in told
    assert len(person.everything) <= (LINES_MAX if columns == 80 else 24)


BY = "someone.with.a.long.name@a-department-of-ours.example.com"
TEXTS = {
    "requestedBy": BY,
    "detail": "what it says goes on",
    "decision": {"decision": "approved", "by": BY, "at": "2026-11-24T12:09:00Z"},
    "census": dict.fromkeys(("onTarget", "stale", "foreign"), 1_234_567_890),
    "counts": {name: {"changed": 1_234_567_890} for name in ("sweep", "proof", "check")},
    "quarantined": {"count": 9, "named": [{"id": f"a-row-{number}", "reason": "unwrap_refused"} for number in (1, 2)]},
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("columns", [80, 60, 40])
def test_a_status_cuts_nothing_while_a_line_is_free(columns: int, name: str, env: dict[str, str]) -> None:
    """Whichever of its texts is the long one."""
    with (
        serving({**STATUS, "detail": "", name: TEXTS[name]}) as app,
        Terminal("status", RUN, env={**env, "KEYTURN_URL": app.url}, columns=columns) as person,
    ):
        person.end()

    assert " ... (--full)" not in " ".join(person.everything)
    assert len(person.everything) <= (LINES_MAX if columns == 80 else 24)

"""The tables of the runbook of rotations: every verdict and code with where to go, every check."""

import contextlib
import re
import shlex
from pathlib import Path

import pytest
from typer._click.exceptions import MissingParameter, NoArgsIsHelpError

from field_encrypt.row_states import QuarantineReason
from keyturn.contracts.states import TERMINAL, State
from keyturn.diagnosis.models import NEXT_STEPS, Verdict
from keyturn.documents.errors import DocumentReason
from keyturn.errors import OUTCOMES, SettingsError
from keyturn.notifications.events import EVENTS, ON_CALL, runbook
from keyturn.preflight.checks import CHECKLIST, WAIVABLE
from tests.docs.hints import parse
from tests.docs.runbook import Runbook


def test_every_verdict_is_in_the_runbook() -> None:
    """With the sentence that the diagnosis gives."""
    rows = Runbook("MEK_ROTATION.md").table("verdict")

    assert {f"`{verdict}`": verdict.next_step for verdict in Verdict} == dict(rows)


def test_a_command_that_is_named_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its options, in the text as in the blocks; what it is about may be left out where it is only named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()

    commands = re.findall(r"(?<![\w./-])keyturn [a-z][^`\n)|;]*", Runbook("MEK_ROTATION.md").text)
    assert len(commands) > 40
    for command in commands:
        words = shlex.split(command.partition(" > ")[0])[1:]
        with contextlib.suppress(MissingParameter, NoArgsIsHelpError):
            parse(words)


def test_every_check_is_in_the_runbook() -> None:
    """In the order in which they are made, each with whether it may be waived."""
    rows = Runbook("MEK_ROTATION.md").table("check")

    expected = [("waivers", "no"), *((name, "yes" if name in WAIVABLE else "no") for name in CHECKLIST)]
    assert [(check.strip("`"), waived[: len("yes")].rstrip(",;")) for check, _, waived in rows] == expected
    assert all(failing for _, failing, _ in rows)


# What a run, a row, a document or an error can say that an operator has to do something about.
CODES = {
    "states": {state.value for state in (TERMINAL | {State.NEEDS_ATTENTION, State.AWAITING_APPROVAL})},
    "reasons of rows": {reason.value for reason in QuarantineReason},
    "reasons of documents": {reason.value for reason in DocumentReason},
    "problem types": {outcome.problem for outcome in OUTCOMES.values()},
}


@pytest.mark.parametrize("kind", CODES)
def test_every_code_leads_to_a_section(kind: str) -> None:
    """Each stands once in the table of what is said, and its row has a link to where it is dealt with."""
    rows = Runbook("MEK_ROTATION.md").table("it says")
    named = [(code, row[2]) for row in rows for code in re.findall(r"`([a-z_-]+)`", row[0])]

    for code in CODES[kind]:
        [where] = [link for name, link in named if name == code]
        assert "](#" in where, code


def test_an_error_names_its_section() -> None:
    """The one that its problem type leads to; none where the request or the caller's own machine is wrong."""
    rows = Runbook("MEK_ROTATION.md").table("it says")
    sections = {
        code: re.findall(r"\[([^]]+)\]\(#", row[2])[0] for row in rows for code in re.findall(r"`([a-z-]+)`", row[0])
    }
    at_the_desk = "On the operator's machine"

    wrong = {
        kind.__name__: (outcome.section, sections[outcome.problem])
        for kind, outcome in OUTCOMES.items()
        if (outcome.section or at_the_desk) != sections[outcome.problem] and kind is not SettingsError
    }
    assert wrong == {}
    assert {outcome.section for outcome in OUTCOMES.values()} >= {"The record was changed", "Without the app"}


@pytest.mark.parametrize("event", [name for name, event in EVENTS.items() if event.urgent])
def test_a_message_that_wants_a_person_names_its_section(event: str) -> None:
    """It is there; the question whether anybody can be reached wants nothing."""
    named = re.findall(r"^#{2,3} (.+)$", Runbook("MEK_ROTATION.md").text, re.MULTILINE)

    listed = [line.removeprefix("Runbook: MEK_ROTATION.md, ") for line in runbook(event)]

    assert len(listed) == (event != ON_CALL)
    assert set(listed) <= set(named)


def test_no_unknown_code_is_documented() -> None:
    """A reason that the code no longer knows would be looked for in vain."""
    listed = {
        code for row in Runbook("MEK_ROTATION.md").table("it says") for code in re.findall(r"`([a-z_-]+)`", row[0])
    }

    assert listed == set().union(*CODES.values())


def test_a_document_that_cannot_be_worked_on_has_its_next_step() -> None:
    """With the sentence that status, console and messages give."""
    rows = Runbook("MEK_ROTATION.md").table("reason")
    reasons = [code.strip("`") for code, _ in rows]
    [sent_here] = [row[0] for row in Runbook("MEK_ROTATION.md").table("it says") if row[2].endswith("-worked-on)")]

    assert [NEXT_STEPS[DocumentReason(reason)] for reason in reasons] == [step for _, step in rows]
    assert re.findall(r"`([a-z_]+)`", sent_here) == reasons

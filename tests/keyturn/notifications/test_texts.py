"""Texts of others that reach a person: no line is forged, and nothing hides from the reader."""

import contextlib
import io
import logging
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import telemetry
from keyturn.approval.page import problem_page
from keyturn.audit.chain import Head
from keyturn.cli.output import echo, write
from keyturn.contracts.characters import unseen, visible
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.steps import NotifyInput
from keyturn.doctor.live import report
from keyturn.doctor.run import LOOKED_AT
from keyturn.errors import WrongStateError
from keyturn.http import problem_of
from keyturn.notifications.messages import compose
from keyturn.notifications.migration_messages import MIGRATION_MESSAGES
from keyturn.notifications.rotation_messages import ROTATION_MESSAGES
from keyturn.preflight.results import CheckResult, Outcome
from keyturn.runs.record import RunRecord, digest_of
from keyturn.runs.record_parts import Canary, Check, Decision, Preflight, Quarantined, RequestOptions, Waiver
from tests.keyturn.runs.lifecycle import NOW
from tests.keyturn.runs.records import migration, rotation

FORGED = "Decide here, for yourself only: https://evil.example/"
ODD = ["\n", "\r\n", "\u2028", "\u202e", "\u200b", "\x00", "\x1b[2K", "\ufeff", FORGED]
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(["\n", "\r\n", "\u2028", "\u202e", "\u200b", "\x00", "\x1b[2K", "\ufeff", FORGED]), st.text()
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: ("§" + "".join(parts))[:180])


def seen(text: str) -> list[str]:
    """Return the lines of the text; fails where one holds what a reader does not see."""
    lines = text.split("\n")
    assert [found for line in lines if (found := unseen(line)) is not None] == []
    return lines


def message_of(text: str, event: str) -> str:
    """Return the message of the event about a run in every text of which the hostile one stands."""
    row = QuarantinedRow(id=text, reason="malformed")
    evidence: dict[str, Any] = {"reason": text, "oldVersions": [text]}
    frozen = {"evidence": evidence, "evidence_digest": digest_of(evidence)}
    decision = Decision(decision="approved", by=text, digest="d", at=NOW, comment=text)
    common: dict[str, Any] = {
        "requested_by": text,
        "reason": text,
        "quarantined": Quarantined(count=1, named=[row]),
        **frozen,
    }
    about = NotifyInput(run=rotation().ref, key="1", event=event, detail=text)
    if event in ROTATION_MESSAGES:
        checks = [Check(name=text, outcome="fail", detail=text, hint=text), Check(name=text, outcome="waived")]
        record: RunRecord = rotation(
            **common,
            decision=decision,
            old_versions=[text],
            retired=[text],
            preflight=Preflight(at=NOW, checks=checks),
            canaries=[Canary(container=text, document_id=text, partition=text, outcome="fail")],
            options=RequestOptions(waivers=[Waiver(check=text, by=text, why=text)]),
        )
    else:
        record = migration(**common, decision=decision, versions=[text], target_version=text)
    message = compose(record, about, None, Head(7, "a" * 64))
    return f"{message.title}\n{message.body}"


@pytest.mark.parametrize("event", [*ROTATION_MESSAGES, *MIGRATION_MESSAGES])
@given(text=HOSTILE)
def test_a_message_has_no_forged_line(event: str, text: str) -> None:
    """As many lines as with a plain text in its place, none of which begins with what the other would."""
    lines, plain = seen(message_of(text, event)), seen(message_of("x", event))

    assert len(lines) == len(plain)
    assert not any(line.startswith(FORGED) for line in lines)


@given(text=HOSTILE)
def test_a_page_shows_what_is_there(text: str) -> None:
    """Nothing in it is markup, another line or unseen."""
    shown = problem_page(problem_of(WrongStateError(text, hint=text), instance=text))

    seen(unescape(shown))
    assert FORGED not in re.split(r"[\n\r\u2028]", shown)
    assert unescape(shown).count(visible(text)) == 2


@given(text=HOSTILE)
def test_a_report_of_the_doctor_has_no_forged_line(text: str) -> None:
    """Names and answers of services stand in the cells of its tables."""
    [name, *_] = LOOKED_AT

    def message_of(detail: str) -> str:
        found = CheckResult(id=name, subject=detail, outcome=Outcome.PROBLEM, detail=detail, advice=detail)
        return report([found], "rg-keyturn-x", "about", str)

    assert len(seen(message_of(text))) == len(seen(message_of("x")))


@pytest.fixture
def logged() -> Iterator[Callable[[str, BaseException | None], str]]:
    """Log a text through a logger of ours, as the app has set logging up, and return what was written."""
    before = logging.getLogRecordFactory()
    telemetry.configure({})
    written = io.StringIO()
    logger, handler = logging.getLogger("keyturn.texts"), logging.StreamHandler(written)
    logger.addHandler(handler)

    def log(text: str, error: BaseException | None) -> str:
        written.truncate(0)
        written.seek(0)
        logger.error("refused %s", text, exc_info=error)
        return written.getvalue()

    yield log
    logger.removeHandler(handler)
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("text", [f"x\n2026-11-26 ERROR {FORGED}", "x\r\u2028\u2029y", "\x1b[2Kx", "\u202ex"])
def test_a_log_line_is_one_line(logged: Callable[[str, BaseException | None], str], text: str) -> None:
    """Also where an error's own text is logged with its traceback."""
    lines = seen(logged(text, ValueError(text)))

    assert lines[0] == f"refused {visible(text)}"
    assert lines[-2] == f"ValueError: {visible(text)}"


@given(text=HOSTILE)
def test_the_command_line_writes_what_is_there(text: str) -> None:
    """A status, a member of it, a list, and an error's words."""
    for answer in ({"reason": text, "nested": {"by": text}, "named": [text]}, [text, {"id": text}], text):
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            write(answer, as_json=False)
        assert seen(written.getvalue())[-1:] == [""]
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        echo(visible(text), err=True)
    assert seen(errors.getvalue()) == [visible(text), ""]

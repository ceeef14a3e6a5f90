"""``status`` and ``report``: in 80 columns, whatever others have written into a run."""

import json
import re
import shlex
from datetime import timedelta
from typing import Any

import pytest

from keyturn.cli.status_view import LINES_MAX, status_lines
from keyturn.cli.tables import WIDTH, message_lines
from keyturn.contracts.migrations import Encrypt
from keyturn.contracts.pages import PageResult, QuarantinedRow
from keyturn.contracts.states import TERMINAL, TRANSITIONS, State
from keyturn.ids import RunKind, new_run_id
from keyturn.migrations.status import migration_status
from keyturn.rotation.status import report, status
from keyturn.runs.record_parts import (
    Check,
    Decision,
    HistoryEntry,
    PhaseProgress,
    Plan,
    Preflight,
    Proof,
    Quarantined,
    StaleWriters,
)
from keyturn.runs.records import MigrationRecord, RotationRecord
from tests.keyturn.cli.served import serving
from tests.keyturn.runs.lifecycle import CENSUS, NOW, make_record

DIGEST = "3f" * 32
KEYRING = "a-keyring-of-the-longest-name-that-is-so"  # 40 characters
HOSTILE = "\x1b[31mred\x1b[0m\u202e and\nnext " + "long " * 60
NOTES = "notes.20261124T120000Z.abcdef"


def rotation(state: State, text: str = "as asked", **fields: Any) -> RotationRecord:
    """Return a rotation that has everything that a status can tell."""
    sweep = PhaseProgress(
        pass_number=1,
        wave=4,
        scanned=10_000_000,
        current=PageResult(changed=5_000_000, vault_operations=5_000_000),
        rows_total=10_000_000,
        started_at=NOW,
        updated_at=NOW + timedelta(seconds=60_000),
    )
    values: dict[str, Any] = {
        "keyring": KEYRING,
        "run_id": new_run_id(RunKind.ROTATION, KEYRING, NOW),
        "state": state,
        "requested_by": text[:200].strip(),
        "reason": text[:500],
        "history": [HistoryEntry(at=NOW, source=None, target=state, step=3, actor="x", detail=text)],
        "census": CENSUS,
        "progress": {"sweep": sweep, "proof": sweep},
        "evidence_digest": DIGEST,
        "approval_expires_at": NOW + timedelta(days=3),
        "ended_at": NOW if state in TERMINAL else None,
        "quarantined": Quarantined(count=2, named=[QuarantinedRow(id="dek 1", reason="unwrap_refused")] * 2),
        **fields,
    }
    return make_record(**values)


@pytest.mark.parametrize("text", ["as asked", HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("state", sorted(set(TRANSITIONS)))
def test_a_status_fits_a_terminal(state: State, text: str) -> None:
    """Twelve lines of 80 columns in every state, with the longest of names; nothing of others' acts on the terminal."""
    found = status(rotation(state, text)).to_payload()
    with serving(found) as app:
        result = app.run("status", found["rotationId"])

    lines = result.stdout.splitlines()
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= WIDTH
    assert found["rotationId"] in result.stdout
    assert DIGEST in result.stdout
    assert state.value in lines[1] + lines[2]
    assert not re.search("[\x1b\u202e]", result.stdout)
    assert ("--full" in result.stdout) == (text == HOSTILE)


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (rotation(State.SWEEPING), ["watch", "RUN"]),
        (rotation(State.AWAITING_APPROVAL), ["approve", "RUN", "--digest", DIGEST]),
        (rotation(State.NEEDS_ATTENTION), ["retry", "RUN"]),
        (rotation(State.COMPLETED), ["report", "RUN"]),
        (rotation(State.BLOCKED), ["report", "RUN"]),
    ],
    ids=lambda value: value.state if isinstance(value, RotationRecord) else "",
)
def test_the_next_command_can_be_pasted(record: RotationRecord, command: list[str]) -> None:
    """A shell takes its lines as one command."""
    text = "\n".join(status_lines(status(record).to_payload()))

    pasted = text[text.index("next") + len("next") :].replace("\\\n", " ")
    assert shlex.split(pasted) == ["keyturn", *(record.run_id if word == "RUN" else word for word in command)]


def pasted(text: str) -> str:
    """Return the text as a shell reads it: a command that goes on in the next line is one."""
    return " ".join(text.replace("\\\n", " ").split())


def test_what_is_quarantined_comes_with_its_diagnosis() -> None:
    """An id is quoted for the shell; one that needs more than a line leads to the whole status."""
    short = "\n".join(status_lines(status(rotation(State.NEEDS_ATTENTION)).to_payload()))
    named = [QuarantinedRow(id="d" * 300, reason="unwrap_refused")]
    record = rotation(State.NEEDS_ATTENTION, quarantined=Quarantined(count=1, named=named))
    long = "\n".join(status_lines(status(record).to_payload()))

    assert "keyturn diagnose dek 'dek 1'" in pasted(short)
    assert f"keyturn status {record.run_id} --full" in pasted(long)


def test_a_migration_of_documents_has_the_same_lines() -> None:
    """Its quarantined documents are diagnosed as documents."""
    base = rotation(State.COMPLETED)
    own = {name: getattr(base, name) for name in RotationRecord.model_fields if name in MigrationRecord.model_fields}
    named = Quarantined(count=1, named=[QuarantinedRow(id="notes/n 1", reason="field_tampered")])
    run_id = new_run_id(RunKind.MIGRATION, KEYRING, NOW)
    changed = {"kind": RunKind.MIGRATION, "run_id": run_id, "quarantined": named, "state": State.NEEDS_ATTENTION}
    record = MigrationRecord(**{**own, **changed}, work=Encrypt(containers=["notes"]))

    lines = status_lines(migration_status(record).to_payload())

    assert "encrypt" in lines[0] + lines[1]
    assert "keyturn diagnose document 'n 1' --container notes" in pasted("\n".join(lines))
    assert len(lines) <= LINES_MAX


@pytest.mark.parametrize("text", ["as asked", HOSTILE], ids=["plain", "hostile"])
def test_a_report_is_tables(text: str) -> None:
    """Every part in 80 columns, no id cut, nothing of others' acts on the terminal; as JSON it is the app's own."""
    plan = Plan(rows=10, rows_by_version={"v": 10}, vault_operations=10, seconds=1.0, cost_usd=0.1)
    check = Check(name="backup", outcome="waived", detail=text, hint="do something")
    decision = Decision(decision="approved", by="sam", digest=DIGEST, at=NOW, comment=text[:500])
    more = {
        "preflight": Preflight(at=NOW, checks=[check], plan=plan),
        "old_versions": ["v" * 32, "w" * 32],
        "target_version": "f" * 32,
        "proof": Proof(mode="all", proven=10, quarantined=0, gone=0),
        "stale_writers": StaleWriters(count=82, last_seen=NOW),
        "quarantined": Quarantined(count=1, named=[QuarantinedRow(id="d" * 100, reason="unwrap_refused")]),
        "decision": decision,
        "evidence": {"a": 1},
    }
    found = report(rotation(State.COMPLETED, text, **more)).to_payload()
    with serving(found) as app:
        said = app.run("report", "x").stdout
        as_json = app.run("report", "x", "--json").stdout

    assert max(map(len, said.splitlines())) <= WIDTH
    assert not re.search("[\x1b\u202e]", said)
    for title in ("Checks", "Plan", "Versions", "Census", "Phases", "Proof", "Stale writers", "Quarantined: 1"):
        assert f"\n{title}" in said
    for title in ("Evidence", "Decisions", "History"):
        assert f"\n{title}" in said
    joined = re.sub(r"\s+", "", said)
    assert all(
        name in joined for name in ("v" * 32, "f" * 32, "backup", "waived", DIGEST, "does NOThash".replace(" ", ""))
    )
    assert said.count("d" * 20) >= 2
    assert json.loads(as_json) == found


def test_a_command_in_a_long_hint_has_a_line_of_its_own() -> None:
    """It can be pasted; a short one stays where it is, and text is broken between words."""
    long = f"it waits for a decision; an approver ends it: keyturn approve {NOTES}; an operator: keyturn abort {NOTES}"

    assert message_lines("hint: see: keyturn keyrings", WIDTH) == ["hint: see: keyturn keyrings"]
    assert message_lines(f"hint: {long}", WIDTH) == [
        "hint: it waits for a decision",
        "an approver ends it:",
        f"  keyturn approve {NOTES}",
        "an operator:",
        f"  keyturn abort {NOTES}",
    ]
    az = "az functionapp config appsettings list --resource-group a-group --name an-app > settings.json"
    assert message_lines(f"hint: with the values exported: {az}; then the same command", WIDTH) == [
        "hint: with the values exported:",
        f"  {az}",
        "then the same command",
    ]
    assert max(map(len, message_lines("error: " + "word; " * 40, WIDTH))) <= WIDTH
    assert " ".join(message_lines("error: " + "word; " * 40, WIDTH)) == ("error: " + "word; " * 40).strip()


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("pass  census: rows that are on it", ["pass  census: rows", "      that are on it"]),
        ("a name with a long gap  value value", ["a name with a long", "  gap  value value"]),
        ("  words that go on and on", ["  words that go on", "  and on"]),
        ("digest  3f3f3f3f3f3f3f3f3f", ["digest", "  3f3f3f3f3f3f3f3f3f"]),
        ("a 3f3f3f3f3f3f3f3f3f3f3f3f3f", ["a", "3f3f3f3f3f3f3f3f3f3f3f3f3f"]),
    ],
    ids=["below the value", "below the line", "below its indent", "as far as it fits", "not broken"],
)
def test_the_rest_of_a_line_stands_below_what_it_is_about(line: str, lines: list[str]) -> None:
    """And one word is never two."""
    assert message_lines(line, 20) == lines

"""Approving and rejecting: what was shown is what is decided on, and every warning is read before."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from keyturn.runs.record import digest_of
from tests.keyturn.cli.served import Served, serving
from tests.keyturn.cli.terminal import Terminal, width_of_words
from tests.keyturn.runs.records import SOUND, WAIVED

ROTATION = "notes.20261124T120000Z.abcdef"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
DIGEST = "a" * 64
EVIDENCE: dict[str, Any] = {**SOUND, "oldVersions": ["old"], "targetVersion": "new"}
STALE = {**EVIDENCE, "staleWriters": {"count": 82, "lastSeen": "2026-11-24T09:12:00Z"}, "waivedChecks": [WAIVED]}
DECIDED = {"decision": {"decision": "approved", "by": "sam"}, "state": "awaiting_approval"}
WITHOUT_A_KEY = {"KEYTURN_FUNCTION_KEY": ""}


def report(evidence: Mapping[str, Any], /, **changed: Any) -> dict[str, Any]:
    """Return the report of a run that waits for a decision on this evidence."""
    reported: dict[str, Any] = {
        "evidence": evidence,
        "evidenceDigest": digest_of(evidence),
        "requestedBy": "dana@example.com",
    }
    reported |= {"reason": "monthly", "approvalExpiresAt": "2026-12-01T12:00:00Z", "decision": None}
    status = {"state": "awaiting_approval", "decision": None}
    return {"status": status, "record": {**reported, **changed}}


def decide(app: Served, *arguments: str, **environment: str) -> Any:
    """Run a command as Sam, with the secret of the webhook."""
    return app.run(*arguments, **{"KEYTURN_BY": "sam", "APPROVAL_WEBHOOK_SECRETS": SECRET, **environment})


def sent(app: Served) -> dict[str, Any]:
    """Return the decision that was sent last, once its signature is found to be good."""
    method, path, headers, body = app.asked[-1]
    assert (method, path) == ("POST", "/api/approvals")
    verified: dict[str, Any] = Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
    return verified


@pytest.mark.parametrize("place", ["file", "variable"])
@pytest.mark.parametrize("command", [("reject",), ("approve", "--reject")], ids=["reject", "the old option"])
def test_a_decision_is_signed(tmp_path: Path, place: str, command: tuple[str, ...]) -> None:
    """With the first secret of a file or of the variable, over exactly the bytes that are sent."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET} whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk\n")
    arguments = [*command, ROTATION, "--comment", "fine", "--yes"]
    with serving((report(EVIDENCE), {"decision": {"decision": "rejected", "by": "sam"}})) as app:
        if place == "file":
            result = decide(app, *arguments, "--secret-file", str(file), APPROVAL_WEBHOOK_SECRETS="")
        else:
            result = decide(app, *arguments, APPROVAL_WEBHOOK_SECRETS=file.read_text())

    assert sent(app) == {
        "rotationId": ROTATION,
        "decision": "reject",
        "approver": "sam",
        "evidenceDigest": digest_of(EVIDENCE),
        "comment": "fine",
    }
    assert (result.exit_code, result.stdout) == (0, "decision  rejected\nby        sam\n")
    assert result.stderr.endswith(f"rejected; nothing is changed, and it ends:\n  keyturn watch {ROTATION}\n")


def test_what_was_shown_is_what_is_approved() -> None:
    """The digest is taken here, over the evidence that the verdict is of; then it is told what comes next."""
    with serving((report(EVIDENCE), DECIDED)) as app:
        result = decide(app, "approve", ROTATION, "--yes")

    assert {"evidenceDigest": digest_of(EVIDENCE), "decision": "approve", "acknowledged": []}.items() <= sent(
        app
    ).items()
    assert (result.exit_code, result.stdout) == (0, "decision  approved\nby        sam\n")
    lines = result.stderr.splitlines()
    assert lines[0] == f"{ROTATION}: All checks passed"
    after = "approved; the old version is disabled next, then watched for 30 minutes:"
    assert lines[-2:] == [after, f"  keyturn watch {ROTATION}"]


def test_every_warning_must_be_acknowledged(tmp_path: Path) -> None:
    """The refusal names them, and its hint is the whole command that does; then their names go with the decision."""
    secret = tmp_path / "the secret"
    secret.write_text(SECRET)
    options = ("--yes", "--secret-file", str(secret), "--comment", "as agreed")
    with serving((report(STALE), report(STALE), DECIDED)) as app:
        refused = app.run("approve", ROTATION, *options, "--acknowledge", "stale_writers", KEYTURN_BY="sam")
        hint = refused.stderr.splitlines()[-1]
        assert len(app.asked) == 1
        taken = app.run(*shlex.split(hint.partition(": keyturn ")[2]), KEYTURN_BY="sam")

    assert refused.exit_code == 64
    assert "error: 1 warning is not acknowledged: waived:backup" in refused.stderr
    assert "2 things to look at" in refused.stderr
    assert taken.exit_code == 0
    assert sent(app)["acknowledged"] == ["waived:backup", "stale_writers"]
    assert sent(app)["comment"] == "as agreed"


def test_an_unknown_warning_is_named_with_those_there_are() -> None:
    """Nothing is sent."""
    with serving((report(STALE),)) as app:
        result = decide(app, "approve", ROTATION, "--yes", "--acknowledge", "stale")

    assert (result.exit_code, len(app.asked)) == (64, 1)
    assert "--acknowledge stale: expected waived:backup, stale_writers" in result.stderr


def test_rejecting_takes_a_comment_and_no_acknowledgement() -> None:
    """Whoever rejects has nothing to make light of, and says why."""
    with serving((report(STALE), report(STALE), DECIDED)) as app:
        refused = decide(app, "reject", ROTATION, "--yes")
        taken = decide(app, "reject", ROTATION, "--yes", "--comment", "stale writers")

    assert (refused.exit_code, taken.exit_code) == (64, 0)
    assert "--comment" in refused.stderr
    assert "acknowledged" not in sent(app)


@pytest.mark.parametrize(
    ("reported", "arguments", "code", "said"),
    [
        (report(EVIDENCE, evidenceDigest=DIGEST), (), 65, "not what its digest names"),
        (report(EVIDENCE, evidence={**EVIDENCE, "rows": 2**60}), (), 65, "not what its digest names"),
        (report(EVIDENCE), ("--digest", DIGEST), 73, "other evidence is in force"),
        ({**report(EVIDENCE), "status": {"state": "sweeping"}}, (), 73, f"keyturn watch {ROTATION}"),
        (report(EVIDENCE) | {"status": {"state": "awaiting_approval", "decision": {"by": "x"}}}, (), 73, "no decision"),
    ],
    ids=["altered", "no canonical form", "another digest", "not waiting", "decided"],
)
def test_evidence_that_cannot_be_decided_on_is_named(
    reported: dict[str, Any], arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Nothing is sent."""
    with serving((reported,)) as app:
        result = decide(app, "approve", ROTATION, "--yes", *arguments)

    assert (result.exit_code, len(app.asked)) == (code, 1)
    assert said in result.stderr


def test_an_approval_system_decides_by_the_digest_alone() -> None:
    """It has no key to read evidence with: its people have read it elsewhere, and the digest binds it."""
    with serving(DECIDED) as app:
        without = decide(app, "approve", ROTATION, **WITHOUT_A_KEY)
        result = decide(app, "approve", ROTATION, "--digest", DIGEST, **WITHOUT_A_KEY)

    assert (without.exit_code, result.exit_code, len(app.asked)) == (64, 0, 1)
    assert "--digest" in without.stderr
    assert sent(app)["evidenceDigest"] == DIGEST
    assert "acknowledged" not in sent(app)


def test_a_script_says_yes_or_names_the_digest() -> None:
    """Without either, and without a terminal, nothing is decided."""
    with serving((report(EVIDENCE), report(EVIDENCE), DECIDED)) as app:
        refused = decide(app, "approve", ROTATION)
        taken = decide(app, "approve", ROTATION, "--digest", digest_of(EVIDENCE))

    assert (refused.exit_code, taken.exit_code) == (64, 0)
    assert "--yes" in refused.stderr


@pytest.mark.parametrize("secret", ["", "whsec_", "not a secret!", "whsec_???"])
def test_a_malformed_secret_is_refused_without_showing_it(secret: str) -> None:
    """Nothing is asked or sent."""
    with serving({}) as app:
        result = decide(app, "approve", ROTATION, "--digest", DIGEST, APPROVAL_WEBHOOK_SECRETS=secret)

    assert (result.exit_code, app.asked) == (78, [])
    assert "APPROVAL_WEBHOOK_SECRETS: expected whsec_ and the base64 of 24 to 64 random bytes" in result.stderr
    assert "not a secret!" not in result.stderr


@pytest.mark.parametrize("by_id", ["", "5b5450db-eb26-4c1a-981c-ba1d25f0483d"], ids=["not known", "known"])
def test_an_object_id_is_sent_where_there_is_one(by_id: str) -> None:
    """From the option or its variable; without one the body has none, as where people do not sign in."""
    with serving(DECIDED) as app:
        decide(app, "approve", ROTATION, "--digest", DIGEST, "--by-id", by_id, **WITHOUT_A_KEY)

    assert sent(app).get("approverId", "") == by_id


def test_who_decides_must_be_said() -> None:
    """The error names the option."""
    with serving({}) as app:
        result = decide(app, "approve", ROTATION, "--digest", DIGEST, KEYTURN_BY="")

    assert (result.exit_code, app.asked) == (64, [])
    assert "--by" in result.stderr


def at_a_terminal(app: Served, *arguments: str, columns: int = 80) -> Terminal:
    """Run a command as Sam in a terminal."""
    env = {"KEYTURN_URL": app.url, "KEYTURN_FUNCTION_KEY": "k", "KEYTURN_BY": "sam", "XDG_CONFIG_HOME": "/nowhere"}
    return Terminal(*arguments, env={**env, "APPROVAL_WEBHOOK_SECRETS": SECRET}, columns=columns)


@pytest.mark.parametrize("columns", [80, 60])
def test_a_person_reads_each_warning_and_says_yes(columns: int) -> None:
    """In 80 columns and fewer: the verdict first, then a question for each warning and one for the whole."""
    with (
        serving((report(STALE), DECIDED)) as app,
        at_a_terminal(app, "approve", ROTATION, columns=columns) as person,
        width_of_words(person),
    ):
        person.until("Acknowledge waived:backup?")
        shown = person.everything
        person.say("y")
        person.until("Acknowledge stale_writers?")
        person.say("y")
        person.until("Approve, as sam?")
        assert len(app.asked) == 1
        person.say("y")
        code = person.end()

    assert code == 0
    assert shown[0] == f"{ROTATION}: 2 things to look at"
    assert shown[1].startswith("look    The check backup failed and was waived by")
    assert sent(app)["acknowledged"] == ["waived:backup", "stale_writers"]
    assert any("approved; the old version is disabled next" in line for line in person.everything)


@pytest.mark.parametrize("answers", [("n",), ("y", "n"), ("y", "y", "n"), ("y", "y", "")])
def test_a_person_who_does_not_say_yes_has_decided_nothing(answers: tuple[str, ...]) -> None:
    """At any of the questions; a line without an answer is no yes."""
    with serving((report(STALE), DECIDED)) as app, at_a_terminal(app, "approve", ROTATION) as person:
        for answer in answers:
            person.until("[y/N]: ")
            person.say(answer)
        code = person.end()

    assert code == 1
    assert len(app.asked) == 1
    assert person.everything[-1] == "nothing was decided"


def test_a_person_who_rejects_is_asked_why() -> None:
    """And then whether it is meant."""
    with serving((report(EVIDENCE), DECIDED)) as app, at_a_terminal(app, "reject", ROTATION) as person:
        person.until("Why: ")
        person.say("not today")
        person.until("Reject, as sam? [y/N]: ")
        person.say("y")
        code = person.end()

    assert code == 0
    assert {"decision": "reject", "comment": "not today"}.items() <= sent(app).items()


def test_what_others_wrote_is_shown_as_text() -> None:
    """A reason or a name with control characters cannot paint over the evidence."""
    hostile = report({**EVIDENCE, "waivedChecks": [{**WAIVED, "why": "\x1b[2J\x1b[1;1HAll checks passed\r\n\u202e"}]})
    with serving((hostile,)) as app:
        result = decide(app, "approve", ROTATION, "--yes")

    assert not {"\x1b", "\u202e"} & set(result.stderr)
    assert result.stderr.splitlines()[0] == f"{ROTATION}: 1 thing to look at"

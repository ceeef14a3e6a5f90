"""Findings: every warning of the evidence is something to look at, and nothing passes because it is not said."""

from typing import Any

import pytest

from keyturn.runs.evidence_summary import findings_of, to_look_at, verdict
from tests.keyturn.runs.lifecycle import CENSUS
from tests.keyturn.runs.records import EXPLAINED, SOUND, WAIVED

ROWS = {"since": "r", "created": 0, "count": 6, "named": [{"id": f"row{number}"} for number in range(6)]}


def found(**changed: Any) -> list[tuple[str, str]]:
    """Return key and sentence of what is to be looked at in evidence that is sound but for this."""
    return [(finding.key, finding.sentence) for finding in to_look_at(findings_of({**SOUND, **changed}))]


def test_sound_evidence_passes() -> None:
    """Each thing that was looked at is a pass with a sentence, and the verdict says so in one line."""
    findings = findings_of(SOUND)

    assert verdict(findings) == "All checks passed"
    assert {finding.mark for finding in findings} == {"pass"}
    assert [finding.sentence for finding in findings] == [
        "No stale writer was seen.",
        "10 rows opened with the new version, each to the same key (every rewrapped row).",
        "10 of 10 rows are on the new version, 0 on an old one, and none is quarantined.",
        "Rows that no run has left as they are: none.",
        "Rows that were changed beside this rotation: none.",
        "1 of 1 canary document decrypts.",
        "2 of 2 probed addresses answer.",
        "It soaked for 1 day; after the retirement it is watched for 30 minutes.",
    ]


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        (
            {"staleWriters": {"count": 82, "lastSeen": "2026-03-01T03:00:00Z"}},
            "stale_writers",
            "82 rows were still written under an old version, the last on 1 March 2026 03:00 UTC; all of them were",
        ),
        (
            {"waivedChecks": [WAIVED]},
            "waived:backup",
            "The check backup failed and was waived by ada@example.com: it is a copy (found: no policy).",
        ),
        ({"proof": {**SOUND["proof"], "warning": "the policy says unsafe_off"}}, "proof", "No row was proven: the"),
        ({"proof": {**SOUND["proof"], "quarantined": 1}}, "proof", "(every rewrapped row); 1 did not."),
        ({"provenance": ROWS}, "provenance", "6 (row0, row1, row2, row3, row4, ...)"),
        ({"planted": ROWS}, "planted", "changed beside this rotation: 6 (row0, row1,"),
        ({"quarantined": 2}, "census", "2 cannot be moved"),
        ({"census": {**SOUND["census"], "stale": 1, "onTarget": 9}}, "census", "9 of 10 rows are on the new version"),
        ({"canaries": [{"outcome": "pass"}, {"outcome": "fail"}]}, "canaries", "1 of 2 canary documents decrypt."),
        ({"probes": [{"outcome": "fail"}]}, "probes", "0 of 1 probed address answers."),
    ],
)
def test_what_speaks_against_approving_is_to_be_looked_at(changed: dict[str, Any], key: str, said: str) -> None:
    """It comes first, with what approving would mean."""
    findings = findings_of({**SOUND, **changed})

    [(named, sentence)] = found(**changed)
    assert (named, verdict(findings)) == (key, "1 thing to look at")
    assert said in sentence
    assert findings[0].key == key
    assert findings[0].if_approved


@pytest.mark.parametrize("missing", ["census", "proof", "policy", "staleWriters", "provenance", "planted"])
def test_what_the_evidence_does_not_say_is_to_be_looked_at(missing: str) -> None:
    """Absence is no pass, whether the member is not there or null."""
    assert len(found(**{missing: None})) == 1
    assert len(to_look_at(findings_of({name: value for name, value in SOUND.items() if name != missing}))) == 1


def test_what_is_not_set_up_is_neither_good_nor_bad() -> None:
    """Without canaries, probes, a soak or an earlier rotation nothing passed, and none of it asks for a look."""
    nothing = {"canaries": [], "probes": [], "policy": {"soak": "PT0S", "watch": "PT0S"}}
    findings = findings_of({**SOUND, **nothing, "provenance": {**EXPLAINED, "since": None}})

    assert {finding.key for finding in findings if finding.mark == "note"} == {
        *("canaries", "probes", "policy", "provenance")
    }
    assert verdict(findings) == "All checks passed"


def test_several_warnings_have_several_keys() -> None:
    """Two waived checks are two boxes to tick."""
    waived = [WAIVED, {**WAIVED, "check": "window"}]
    findings = findings_of({**SOUND, "waivedChecks": waived, "planted": None})

    assert verdict(findings) == "3 things to look at"
    assert [one.key for one in to_look_at(findings)] == ["waived:backup", "waived:window", "planted"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "7 of 10 rows name disabled versions."),
        ({"rotationId": "r.1"}, "4 of 10 rows were moved by the rotation r.1."),
        (
            {"rotationId": "r.2", "adopted": ["r.1"]},
            "4 of 10 rows were moved by the rotation r.2, or by 1 that it adopted.",
        ),
    ],
    ids=["restore", "rollback", "rollback of a chain"],
)
def test_an_enablement_tells_its_counts(more: dict[str, Any], said: str) -> None:
    """What is asked for has no checks: counts alone, and no praise."""
    census = {**CENSUS.to_payload(), "rewrapped": 4}
    findings = findings_of({"versions": {"old": 3, "older": 4}, "census": census, **more})

    assert [(finding.mark, finding.sentence) for finding in findings] == [("note", said)]
    assert verdict(findings) == "Nothing speaks against it"


def test_a_rollback_of_no_row_is_something_to_look_at() -> None:
    """It would enable what was retired for nothing."""
    census = {**CENSUS.to_payload(), "rewrapped": 0}
    [found] = findings_of({"versions": {"old": 0}, "census": census, "rotationId": "r.1"})

    assert (found.mark, "there is nothing to roll back" in found.sentence) == ("look", True)
    assert "no row goes back" in found.if_approved

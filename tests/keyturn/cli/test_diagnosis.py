"""``diagnose`` and ``orphans``: what they ask, and what they write."""

import json
from urllib.parse import parse_qs, urlsplit

from tests.keyturn.cli.served import serving


def test_a_dek_is_asked_after() -> None:
    """Its id is one segment of the path, whatever it is made of."""
    with serving({"verdict": "sound", "nextStep": "nothing is to be done"}) as app:
        result = app.run("diagnose", "dek", "a b")

    assert app.asked[0][1] == "/api/deks/a%20b"
    assert result.stdout == "verdict   sound\nnextStep  nothing is to be done\n"


def test_a_document_is_asked_after() -> None:
    """Container, id and partition are parameters; what was not given is not sent."""
    with serving({"verdict": "row_missing", "fields": [{"fieldPath": "title", "verdict": "row_missing"}]}) as app:
        result = app.run("diagnose", "document", "note-1", "--container", "notes", "--partition", "w&1")

    asked = urlsplit(app.asked[0][1])
    assert asked.path == "/api/documents/diagnosis"
    assert parse_qs(asked.query) == {"id": ["note-1"], "container": ["notes"], "partition": ["w&1"]}
    assert "fields\n  -\n    fieldPath  title\n    verdict    row_missing\n" in result.stdout


def test_a_scan_is_followed_to_its_end() -> None:
    """Tokens are handed on; each orphan is a line, the sum goes to standard error."""
    first = {"kind": "missing_deks", "scanned": 500, "tooYoung": 1, "token": "next"}
    orphan = {"dekId": "d1", "container": "notes", "documentId": "n1"}
    last = {**first, "token": None, "scanned": 20, "orphans": []}
    with serving(({**first, "orphans": [orphan]}, last)) as app:
        result = app.run("orphans", "missing-deks", "--min-age", "PT5M")

    queries = [parse_qs(urlsplit(path).query) for _, path, _, _ in app.asked]
    assert [{"kind": ["missing_deks"], "minAge": ["PT5M"]}, {"token": ["next"]}.items()] == [
        queries[0],
        {"token": queries[1]["token"]}.items(),
    ]
    assert result.stdout == "d1  notes  n1\n"
    assert result.stderr == "520 looked at, 2 of them too young\n"


def test_a_scan_as_json_is_one_value() -> None:
    """However many calls it took."""
    page = {"kind": "unused_deks", "scanned": 3, "tooYoung": 0, "orphans": [{"dekId": "d"}], "token": None}
    with serving(page) as app:
        result = app.run("orphans", "unused-deks", "--json")

    assert json.loads(result.stdout) == {
        "kind": "unused_deks",
        "scanned": 3,
        "tooYoung": 0,
        "orphans": [{"dekId": "d"}],
    }

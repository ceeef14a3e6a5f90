"""``diagnose`` and ``orphans``: what they ask, and what they write."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.keyturn.cli.served import serving

PAGE = {"foreign": 0, "shared": 0, "counts": [], "caution": None}
UNNAMED = {"type": "urn:keyturn:problem:unknown-keyring", "status": 404, "detail": "name one", "known": ["a", "b"]}
NO_CONTAINER = {"type": "urn:keyturn:problem:invalid-request", "status": 400, "detail": "container: expected others"}
MISSING, FOREIGN = ({"verdict": verdict, "keyring": "a"} for verdict in ("row_missing", "row_foreign"))


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


@pytest.mark.parametrize(
    ("answers", "keyring", "code"),
    [
        ((MISSING, {"verdict": "sound", "keyring": "b"}), "b", 0),
        ((FOREIGN, {"verdict": "version_disabled", "keyring": "b"}), "b", 73),
        (({"verdict": "version_lost", "keyring": "a"}, MISSING), "a", 73),
        ((NO_CONTAINER, {"verdict": "sound", "keyring": "b"}), "b", 0),
        ((MISSING, MISSING), "a", 73),
        ((NO_CONTAINER, NO_CONTAINER), None, 64),
    ],
    ids=["second", "broken in the second", "broken in the first", "container of the second", "in none", "no container"],
)
def test_a_diagnosis_without_a_keyring_finds_it(
    answers: tuple[dict[str, object], ...], keyring: str | None, code: int
) -> None:
    """Of several keyrings, that one's is told whose key it is."""
    with serving(()) as app:
        app.answers = [
            (int(str(one.get("status", 200))), json.dumps(one).encode(), "application/json")
            for one in (UNNAMED, *answers)
        ]
        result = app.run("diagnose", "document", "note-1", "--container", "notes", "--json")

    assert result.exit_code == code
    assert [parse_qs(urlsplit(path).query).get("keyring") for _, path, *_ in app.asked] == [None, ["a"], ["b"]]
    assert (json.loads(result.stdout)["keyring"] if result.stdout else None) == keyring


def test_a_keyring_that_is_named_and_unknown_is_refused() -> None:
    """No other is looked through."""
    with serving(UNNAMED, status=404) as app:
        result = app.run("diagnose", "dek", "d1", "--keyring", "c")

    assert (result.exit_code, len(app.asked)) == (66, 1)


def test_a_scan_is_followed_to_its_end() -> None:
    """Tokens are handed on; each orphan is a line, the sum goes to standard error."""
    first = {**PAGE, "kind": "missing_deks", "scanned": 500, "tooYoung": 1, "token": "next"}
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


def test_a_report_of_unused_deks_is_summed() -> None:
    """Rows of the same version and age are added up over the calls; the first are listed by id, and all are counted."""

    def page(token: str | None, *ids: str, **counted: int) -> dict[str, object]:
        counts = [{"mekVersion": "v1", "olderThanDays": 30, "rows": len(ids)}]
        counts += [{"mekVersion": None, "olderThanDays": 365, "rows": rows} for rows in counted.values()]
        orphans = [{"dekId": dek_id, "mekVersion": "v1", "createdAt": "2026-01-01T00:00:00Z"} for dek_id in ids]
        sums = {"kind": "unused_deks", "scanned": 500, "tooYoung": 2, "foreign": 3, "shared": 4}
        return {**sums, "orphans": orphans, "counts": counts, "caution": "take care", "token": token}

    pages = (page("next", "d", "b"), page(None, "a", "c", old=7))
    with serving(pages) as app:
        listed = app.run("orphans", "unused-deks", "--first", "3")
    with serving(pages) as app:
        as_json = json.loads(app.run("orphans", "unused-deks", "--first", "1", "--json").stdout)

    assert listed.stdout == "".join(f"{dek_id}  v1  2026-01-01T00:00:00Z\n" for dek_id in "abc")
    assert listed.stderr == (
        "7 unused under no version, 365 days old or more\n"
        "4 unused under v1, 30 days old or more\n"
        "1000 looked at, 4 of them too young\n"
        "not listed: 6 of another key, 8 unused that writers may take again\n"
        "take care\n"
    )
    assert [orphan["dekId"] for orphan in as_json["orphans"]] == ["a"]
    assert as_json["counts"] == [
        {"mekVersion": None, "olderThanDays": 365, "rows": 7},
        {"mekVersion": "v1", "olderThanDays": 30, "rows": 4},
    ]


def test_a_scan_may_be_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two calls, and not after the last, it waits as long as it was told."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("asyncio.sleep", record)
    page = {**PAGE, "kind": "missing_deks", "scanned": 1, "tooYoung": 0, "orphans": []}
    with serving(({**page, "token": "next"}, {**page, "token": None})) as app:
        result = app.run("orphans", "missing-deks", "--pause", "86400.5")

    assert (result.exit_code, len(app.asked)) == (0, 2)
    assert waits.count(86400.5) == 1


def test_a_scan_as_json_is_one_value() -> None:
    """However many calls it took."""
    page = {**PAGE, "kind": "unused_deks", "scanned": 3, "tooYoung": 0, "orphans": [{"dekId": "d"}], "token": None}
    with serving(page) as app:
        result = app.run("orphans", "unused-deks", "--json")

    assert json.loads(result.stdout) == {
        **PAGE,
        "kind": "unused_deks",
        "scanned": 3,
        "tooYoung": 0,
        "orphans": [{"dekId": "d"}],
    }


def test_a_row_is_repaired() -> None:
    """The order says who gives it and why; what to do next is in the answer."""
    with serving({"dekId": "a b", "mekVersion": "v1", "nextStep": "keyturn retry x"}) as app:
        result = app.run("repair", "dek", "a b", "--reason", "its wrap does not open")

    [(method, path, _, body)] = app.asked
    assert (method, path) == ("POST", "/api/deks/a%20b/repair")
    assert json.loads(body) == {"requestedBy": "dana@example.com", "reason": "its wrap does not open"}
    assert result.stdout == "dekId       a b\nmekVersion  v1\nnextStep    keyturn retry x\n"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("sound", 0), ("no_key_check", 0), ("field_copied", 0), ("document_missing", 73), ("wrap_refused", 73)],
)
@pytest.mark.parametrize("option", [[], ["--json"], ["--field", "verdict"]])
def test_what_does_not_open_is_in_the_exit_code(verdict: str, code: int, option: list[str]) -> None:
    """Of a DEK and of a document, however the answer is written."""
    with serving({"verdict": verdict}) as app:
        dek = app.run("diagnose", "dek", "d", *option)
        document = app.run("diagnose", "document", "n", "--container", "notes", *option)

    assert (dek.exit_code, document.exit_code) == (code, code)
    assert verdict in dek.stdout

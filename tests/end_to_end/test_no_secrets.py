"""Everything that a whole rotation leaves behind while much goes wrong: no key, no token, no secret, in any form."""

import asyncio
import base64
import contextlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from local.callers import POLL_SECONDS, Answer
from local.identity.tokens import person_id
from local.supervisor import LocalAzure, Options
from tests.azure_option import as_asked
from tests.end_to_end.app_settings import QUICK, VERSION_MAX_AGE
from tests.end_to_end.guarded import APPROVER, READER, GuardedApp
from tests.invariants.traces import (
    FOR_ONE_APPROVER,
    SentLink,
    findings_in,
    links_of,
    logs_of,
    overheard,
    secrets_of,
    shown,
    traces_of,
)
from tests.scanner import Scanner, Secret, forms_of

# One rotation of about a minute, set up once for all tests of the file.
pytestmark = [pytest.mark.end_to_end, pytest.mark.long, pytest.mark.xdist_group("no_secrets"), pytest.mark.timeout(400)]

SAM = "sam@example.com"
STRANGER = f"whsec_{base64.b64encode(b'a secret of nobody here.').decode()}"
# Three canaries: what a service's error says, what a channel's URL holds, what somebody writes where nothing belongs.
QUOTED, CHANNEL, MISPLACED = (secrets.token_hex(16) for _ in range(3))
PREFLIGHT = 10  # unwraps, or more than it makes
FORM = {"content-type": "application/x-www-form-urlencoded", "x-functions-key": ""}
TRACES = ("log", "telemetry", "history", "documents", "events", "messages", "answers", FOR_ONE_APPROVER)


class LeftBehind(NamedTuple):
    """What was left where, what must not be in it, and what has happened."""

    traces: Mapping[str, Any]
    known: list[Secret]
    links: list[SentLink]
    status: dict[str, Any]
    answered: Mapping[str, list[int]]
    went_wrong: Mapping[str, int]
    planted: list[str]  # rows that say they are old and were not there before
    named: list[str]  # rows that the evidence names


def settings_of(azure: LocalAzure) -> dict[str, str]:
    """Return the settings: spans and metrics in the log, channels whose URLs hold a password."""
    inbox = f"json://someone:{CHANNEL}@localhost:{azure.layout.ports['inbox']}/channels"
    return {
        **QUICK,
        "KEYTURN_TELEMETRY": "console",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "NOTIFICATION_URLS": f"{inbox}/everything {inbox}/broken",
        "ON_CALL_URLS": f"{inbox}/on-call",
        "APPROVER_URLS": json.dumps({person_id(SAM): f"{inbox}/{SAM}"}),
    }


def break_things(app: GuardedApp) -> None:
    """Arm what goes wrong while rows are moved; every error of a service quotes a canary."""
    said = {"error": {"code": "InternalServerError", "message": f"the request was {QUOTED}"}}
    # Pre-flight opens a few rows, and must pass.
    app.arm("key_vault", operation="unwrap", kind="throttle", skip=PREFLIGHT, count=5)
    app.arm("key_vault", operation="unwrap", kind="status", status=500, body=said, skip=PREFLIGHT + 8, count=2)
    app.arm("key_vault", operation="unwrap", kind="reset_before", skip=PREFLIGHT + 16)
    app.arm("cosmos", operation="patch", kind="status", status=500, body=said, skip=4)
    app.arm("cosmos", operation="patch", kind="reset_after", skip=8)
    app.arm("cosmos", operation="patch", kind="etag_race", count=3)
    app.arm("functions_host", operation="record_progress", kind="kill_after")  # when the pages have met all that
    app.control("inbox", "POST", "faults", json={"operation": "broken", "kind": "status", "count": None})


def fired(app: GuardedApp) -> dict[str, int]:
    """Return how often each kind of fault has struck."""
    rules = [rule for service in ("key_vault", "cosmos") for rule in app.control(service, "GET", "faults")]
    return {f"{rule['operation']} {rule['kind']}": rule["fired"] for rule in rules}


async def forge(app: GuardedApp, run_id: str, digest: str) -> list[int]:
    """Send decisions that count for nothing, and secrets to where they do not belong; return the statuses."""
    eve = app.person("eve@example.com", READER)
    key, address = app.azure.endpoints()["functionKey"], f"/api/rotations/{run_id}"
    beside = json.dumps({"requestedBy": "dana@example.com", "password": MISPLACED}).encode()
    answers = [
        await app.callers.decide(run_id, digest, secret=STRANGER),
        await app.callers.decide(run_id, digest, approver="dana@example.com"),
        await app.callers.call("POST", "/api/approvals", data=MISPLACED.encode()),
        await app.callers.call("GET", f"/api/rotations?code={quote(key)}&password={MISPLACED}"),
        await app.callers.call("GET", "/api/rotations", headers={"authorization": f"Bearer {MISPLACED}"}),
        await app.callers.call("POST", f"{address}/retry", data=beside),
        await eve.call("POST", f"{address}/abort", data=beside),
        await eve.call("GET", f"{address}/approval?token={MISPLACED}"),
    ]
    return [answer.status for answer in answers]


async def approve_on_the_page(app: GuardedApp, run_id: str) -> list[int]:
    """Open the link that was sent, also as somebody else and cut short; decide, twice; return the statuses."""
    sam, olga = app.person(SAM, APPROVER), app.person("olga@example.com", APPROVER)
    [token] = [link.token for link in links_of(app) if link.run_id == run_id]
    page = f"/api/rotations/{run_id}/approval"
    answers = [
        await olga.call("GET", f"{page}?token={quote(token)}", headers=FORM),
        await sam.call("GET", f"{page}?token={quote(token[:-2])}", headers=FORM),
        await sam.call("GET", f"{page}?token={quote(token)}", headers=FORM),
    ]
    warnings = re.findall(r'name="acknowledged" value="([^"]+)"', answers[-1].body)
    stated = {"token": token, "comment": "looked at it", "decision": "approve", "acknowledged": warnings}
    form = urlencode(stated, doseq=True).encode()
    answers += [await sam.call("POST", page, data=form, headers=FORM) for _ in range(2)]
    return [answer.status for answer in answers]


async def rotate_badly(app: GuardedApp) -> dict[str, Any]:
    """Rotate while everything that can goes wrong, and return what a ``LeftBehind`` says of it."""
    await app.rotate()  # the next one compares the rows with what this one leaves
    old = await app.newest_version()
    planted = await app.add_row(old)  # it says that it is older than that
    malformed = await app.add_row(old, wrappedDek=f"no base64! {QUOTED}")
    break_things(app)
    async with app.keep_alive(app.azure, "functions_host") as restarts:
        run_id = await app.start(reason="much goes wrong")
        await app.callers.wait_for(run_id, "needs_attention")
        went_wrong = {**fired(app), "kill": restarts.count}
        await app.delete_row(malformed)
        assert (await app.callers.command(run_id, "retry", by="dana@example.com")).status == 202
        waiting = await app.callers.wait_for(run_id, "awaiting_approval")
        await sent(app, run_id)
        answered = {
            "forged": await forge(app, run_id, waiting["evidenceDigest"]),
            "page": await approve_on_the_page(app, run_id),
        }
        status = await app.callers.wait_for(run_id, "completed")
    named = (await app.callers.report(run_id))["record"]["provenance"]["named"]
    names = {"planted": [planted, malformed], "named": [row["id"] for row in named]}
    return {"status": status, "answered": answered, "went_wrong": went_wrong, **names}


async def sent(app: GuardedApp, run_id: str) -> None:
    """Wait until the approver has the link: messages follow the change of state."""
    deadline = time.monotonic() + 60
    while not any(link.run_id == run_id for link in links_of(app)):
        assert time.monotonic() < deadline, "no link was sent"
        await asyncio.sleep(POLL_SECONDS)


@pytest.fixture(scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> LeftBehind:
    """What a rotation on a local Azure of its own has left behind."""
    options = Options(
        state=tmp_path_factory.mktemp("azure"),
        deks=40,
        bits=2048,
        vault_limits="off",
        version_max_age=VERSION_MAX_AGE,
        sign_in=True,
    )
    azure = LocalAzure(as_asked(options))
    azure.options = replace(azure.options, settings=settings_of(azure))
    heard: list[Answer] = []
    with azure.running(), overheard(heard):
        async with GuardedApp(azure) as app:
            known = await secrets_of(app)
            happened = await rotate_badly(app)
            known += await secrets_of(app)
            traces = await traces_of(app, happened["status"]["rotationId"])
            sent_links = links_of(app)
            headers = [person._signed_in["authorization"] for person in app._persons]
            known += [Secret("a caller's token", header.partition(" ")[2].encode()) for header in headers]
        azure.processes["functions_host"].terminate()  # what waits to be sent is sent
        log = logs_of(azure)
    canaries = {"an error's text": QUOTED, "a channel's password": CHANNEL, "what was misplaced": MISPLACED}
    known += [Secret(name, canary.encode()) for name, canary in canaries.items()]
    return LeftBehind(traces=whole(traces, log, heard), known=known, links=sent_links, **happened)


def whole(traces: dict[str, Any], log: bytes, heard: list[Answer]) -> dict[str, Any]:
    """Return the traces with all answers, and with spans and metrics by themselves; the page is for one approver."""
    pages = [answer for answer in heard if isinstance(answer.body, str) and "<form" in answer.body]
    return {
        **traces,
        "log": log,
        "telemetry": telemetry_of(log.decode()),
        "answers": [*traces["answers"], *(shown(answer) for answer in heard if answer not in pages)],
        FOR_ONE_APPROVER: [*traces[FOR_ONE_APPROVER], *(shown(answer) for answer in pages)],
    }


def telemetry_of(log: str) -> list[dict[str, Any]]:
    """Return spans, metrics and log records as the console exporters wrote them; one may be cut off by a kill."""
    found = []
    for match in re.finditer(r'^\{\n    "(name|resource_metrics|body)": ', log, re.MULTILINE):
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.JSONDecoder().raw_decode(log, match.start())[0])
    return found


def test_no_secret_is_left_behind(left: LeftBehind) -> None:
    """No log line, history, record, event, message, span, metric or answer has a key, a token or a secret."""
    found = {f"{one.secret} in {one.where}" for one in findings_in(left.traces, left.known, left.links)}

    assert not found, "\n".join(sorted(found))


def test_much_has_gone_wrong(left: LeftBehind) -> None:
    """Every fault has struck, every forgery was refused, the planted row was named, and the rotation completed."""
    assert [fault for fault, count in left.went_wrong.items() if not count] == []
    assert b"rewrap_page will be tried again" in left.traces["log"]
    assert left.answered["forged"] == [401, 403, 401, 200, 401, 400, 403, 403]
    assert left.answered["page"] == [403, 401, 200, 200, 409]
    assert set(left.planted) == set(left.named)
    assert left.status["state"] == "completed"


def test_a_planted_row_is_reported_before_it_moves(left: LeftBehind) -> None:
    """The receiver of the audit events has the row's name before the first sweep begins."""
    events = left.traces["events"]
    begun = [number for number, event in enumerate(events) if event["data"].get("to") == "sweeping"]
    [(number, unexplained)] = [
        (n, event["data"]) for n, event in enumerate(events) if event["type"].endswith("_unexplained")
    ]

    assert number < begun[0]
    assert len(left.planted) == unexplained["count"]
    assert {(row_id, "changed") for row_id in left.planted} == {
        (row["id"], row["reason"]) for row in unexplained["named"]
    }


def test_all_of_it_was_looked_at(left: LeftBehind) -> None:
    """Nothing is clean because it is empty: every kind of trace is there, and every kind of secret."""
    kinds = Counter(next(iter(unexplained)) for unexplained in left.traces["telemetry"])
    names = {secret.name.partition(" of ")[0] for secret in left.known}

    assert set(left.traces) == set(TRACES)
    assert [name for name, trace in left.traces.items() if not trace] == []
    assert set(kinds) == {"name", "resource_metrics", "body"}
    assert {"a DEK", "a wrapped DEK", "a private key's d", "a private key's p", "the function key"} <= names
    assert {
        "the master key",
        "the identity",
        "an approval secret",
        "an actiontrail secret",
        "a caller's token",
    } <= names
    assert len(left.links) == 2  # of this rotation and of the one before


def as_text(written: bytes) -> str:
    """Return what a program has as a text that writes these bytes."""
    with contextlib.suppress(UnicodeDecodeError):
        return written.decode()
    return written.decode("latin-1")


@pytest.mark.parametrize("where", TRACES)
def test_a_planted_canary_is_found(left: LeftBehind, where: str) -> None:
    """The scan of each kind of trace finds a secret in each form in which it could have been written down."""
    canary = Secret("the canary", secrets.token_bytes(32))
    scanner, trace = Scanner([canary]), left.traces[where]
    missed = []
    for form, written in forms_of(canary.raw).items():
        if isinstance(trace, bytes):
            planted: Any = trace[:1000] + b"<" + written + b">" + trace[1000:]
        else:
            planted = [*trace[:1], {"text": f"<{as_text(written)}>"}, *trace[1:]]
        if [("the canary", where)] != [*{(found.secret, found.where) for found in scanner.scan(planted, where)}]:
            missed.append(form)

    assert scanner.scan(trace, where) == []
    assert missed == []

"""I6: everything that a rotation on the local Azure leaves behind, and everything that must not be in it."""

import asyncio
import base64
import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.callers import POLL_SECONDS, Answer, Callers
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.scanner import Finding, Scanner, Secret

# What anybody may ask the app; the answers must not say more than they should.
PATHS = (
    *("/api/rotations", "/api/rotations/{id}", "/api/rotations/{id}/report", "/api/rotations/{id}x", "/api/health"),
    *("/api/rotations/{id}/audit", "/api/keyrings", "/api/openapi.json", "/api/rotations/{id}/approval?token=made.up"),
    *("/api/console", "/api/console/runs/{id}", "/api/console/runs/{id}/evidence", "/api/console?token=made.up"),
)
WEBHOOK_PREFIX = "whsec_"
# An approver's link is for its approver: it is in the message to that one person, and in the page that it opens.
FOR_ONE_APPROVER = "what one approver gets"
DELIVERY_SECONDS = 100.0


async def secrets_of(app: AppHarness) -> list[Secret]:
    """Return every DEK, wrapped or not, and every private key, password and access key of the local Azure."""
    found = []
    async for row in app.rows.read_all_items():
        with contextlib.suppress(ValueError):  # a malformed row wraps nothing
            wrapped = base64.b64decode(row["wrappedDek"], validate=True)
            if "mekVersion" in row and row.get("mekName") == app.mek_name:
                found.append(Secret("a DEK", await app.mek.unwrap(wrapped, row["mekVersion"], row["algorithm"])))
            found.append(Secret("a wrapped DEK", wrapped))
    return [*found, *_private_keys(app.azure), *_passwords(app.azure)]


def _private_keys(azure: LocalAzure) -> Iterator[Secret]:
    path = azure.layout.folder("key_vault") / "keys.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (pem,) in database.execute("SELECT private_key FROM key_version"):
            key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
            assert isinstance(key, RSAPrivateKey)
            numbers = key.private_numbers()
            for name, number in {"d": numbers.d, "p": numbers.p, "q": numbers.q}.items():
                yield Secret(f"a private key's {name}", number.to_bytes(-(-number.bit_length() // 8)))
                yield Secret(f"a private key's {name}", str(number).encode())


def _passwords(azure: LocalAzure) -> Iterator[Secret]:
    keys = json.loads((azure.layout.folder("functions_host") / "keys.json").read_bytes())
    yield from (Secret(f"the {kind} key", key.encode()) for kind, key in keys.items())
    yield from (Secret(f"the identity of {name}", header.encode()) for name, header in azure.headers.items())
    yield Secret("the database's master key", (azure.layout.folder("cosmos") / "master_key").read_bytes().strip())
    for name, secrets in {
        "an approval secret": azure.approval_secret,
        "an actiontrail secret": azure.actiontrail_secrets.read_text(),
    }.items():
        for secret in secrets.split():
            text = secret.removeprefix(WEBHOOK_PREFIX)
            yield Secret(name, text.encode())
            yield Secret(f"{name}'s bytes", base64.b64decode(text))


class SentLink(NamedTuple):
    """A link that an approver was sent."""

    run_id: str
    token: str
    channel: str


_LINK = re.compile(r"/api/rotations/(\S+)/approval\?token=([^\s&]+)")


def links_of(app: AppHarness) -> list[SentLink]:
    """Return every link that an approver was sent."""
    sent = [(item["channel"], _LINK.search(item["message"])) for item in messages_of(app)]
    return [SentLink(found[1], unquote(found[2]), channel) for channel, found in sent if found is not None]


def messages_of(app: AppHarness) -> list[dict[str, str]]:
    """Return every message that arrived at the inbox."""
    messages: list[dict[str, str]] = app.control("inbox", "GET", "messages")["messages"]
    return messages


async def traces_of(app: AppHarness, run_id: str) -> dict[str, Any]:
    """Return all logs, durable history, the app's documents, events, messages and HTTP answers, by what they are."""
    hub = "task_hub_control"
    instances = app.control(hub, "GET", "instances")["instanceIds"]
    answers = [await app.callers.call("GET", path.format(id=run_id)) for path in PATHS]
    answers += [await app.callers.request_rotation(keyring="no such keyring")]
    answers += [await app.callers.decide(run_id, "0" * 64)]
    approvers, messages = {link.channel for link in links_of(app)}, messages_of(app)
    return {
        "log": logs_of(app.azure),
        "history": [app.control(hub, "GET", f"instances/{name}/history") for name in instances],
        "documents": [document async for document in app.runs.read_all_items()],
        "events": await delivered(app, run_id),
        "messages": [message for message in messages if message["channel"] not in approvers],
        "answers": [shown(answer) for answer in answers],
        FOR_ONE_APPROVER: [message for message in messages if message["channel"] in approvers],
    }


def logs_of(azure: LocalAzure) -> bytes:
    """Return what every service has written to its output."""
    return b"".join(path.read_bytes() for path in sorted(azure.layout.log("functions_host").parent.glob("*.log")))


def shown(answer: Answer) -> str:
    """Return everything that an HTTP answer shows."""
    return json.dumps([answer.status, dict(answer.headers), answer.body])


async def delivered(app: AppHarness, run_id: str) -> list[dict[str, Any]]:
    """Wait until the receiver has the rotation's whole audit chain, and return what it has of it."""
    answer = await app.callers.call("GET", f"/api/rotations/{run_id}/audit")
    wanted = [json.loads(line)["id"] for line in answer.body.splitlines()]
    deadline = time.monotonic() + DELIVERY_SECONDS
    events: list[dict[str, Any]] = []
    while len(events) < len(wanted):
        assert time.monotonic() < deadline, f"{len(events)} of {len(wanted)} events were delivered"
        await asyncio.sleep(POLL_SECONDS)
        events = app.control("actiontrail", "GET", "events", params={"subject": run_id})["events"]
    return events


@contextlib.contextmanager
def overheard(answers: list[Answer]) -> Iterator[None]:
    """Note every answer that anybody gets meanwhile."""
    call = Callers.call

    async def noted(self: Callers, method: str, path: str, **options: Any) -> Answer:
        answer = await call(self, method, path, **options)
        answers.append(answer)
        return answer

    with patch.object(Callers, "call", noted):
        yield


def findings_in(traces: Mapping[str, Any], known: list[Secret], sent: list[SentLink]) -> list[Finding]:
    """Scan for every secret; for the tokens of links only where they do not belong."""
    links = [Secret("an approver's link", link.token.encode()) for link in sent]
    own = {name: trace for name, trace in traces.items() if name == FOR_ONE_APPROVER}
    others = {name: trace for name, trace in traces.items() if name not in own}
    return [*Scanner([*known, *links]).scan_all(others), *Scanner(known).scan_all(own)]

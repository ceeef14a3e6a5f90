"""The people around a rotation, as callers of the app's HTTP API: who requests, who approves, who looks.

Used by the demo and by end-to-end tests: both act from outside, with what ``endpoints.json`` tells.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
from standardwebhooks import Webhook

from local.identity.tokens import person_id

POLL_SECONDS = 0.2

ENDS = frozenset({"completed", "blocked", "rejected", "expired", "aborted", "reinstated", "failed"})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: Any


class UnexpectedStateError(Exception):
    """The rotation reached a state in which waiting on is hopeless, or not in time; carries its last status."""


def path_of(run_id: str) -> str:
    """Return where a run is found: a migration's id is ``<keyring>.m.<time>.<hex>``, a rotation's lacks the m."""
    return f"/api/{'migrations' if '.m.' in run_id else 'rotations'}/{run_id}"


class Callers:
    """Callers of the app on one local Azure."""

    def __init__(self, endpoints: Mapping[str, Any], token: str | None = None) -> None:
        """Call with the function key, and with an access token where callers must sign in."""
        self._signed_in = {"authorization": f"Bearer {token}"} if token is not None else {}
        self._url: str = endpoints["functionsUrl"]
        self._key: str = endpoints["functionKey"]
        self._secret: str = endpoints["approvalSecret"]
        self._session = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(
        self, method: str, path: str, *, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call the app with its function key."""
        sent = {"x-functions-key": self._key, "content-type": "application/json"}
        sent |= {**self._signed_in, **(headers or {})}
        async with self._session.request(method, f"{self._url}{path}", data=data, headers=sent) as response:
            text = await response.text()
            known = "json" in response.content_type and "jsonl" not in response.content_type
            return Answer(response.status, dict(response.headers), json.loads(text) if text and known else text or None)

    async def request_rotation(self, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        """Ask for a rotation."""
        wanted = {"requestedBy": "dana@example.com", "reason": "monthly", **body}
        return await self.call("POST", "/api/rotations", data=json.dumps(wanted).encode(), headers=headers)

    async def status(self, run_id: str) -> dict[str, Any]:
        """Read a rotation's or a migration's status."""
        body: dict[str, Any] = (await self.call("GET", path_of(run_id))).body
        return body

    async def report(self, run_id: str) -> dict[str, Any]:
        """Read a rotation's or a migration's whole record."""
        body: dict[str, Any] = (await self.call("GET", f"{path_of(run_id)}/report")).body
        return body

    async def command(self, run_id: str, command: str, by: str = "ops@example.com") -> Answer:
        """Tell a rotation or a migration to ``retry`` or to ``abort``."""
        body = json.dumps({"requestedBy": by}).encode()
        return await self.call("POST", f"{path_of(run_id)}/{command}", data=body)

    async def decide(
        self,
        run_id: str,
        digest: str,
        *,
        decision: str = "approve",
        approver: str = "sam@example.com",
        approver_id: str | None = None,
        message_id: str | None = None,
        at: datetime | None = None,
        secret: str | None = None,
    ) -> Answer:
        """Send a signed decision, as an approval system does: without a function key.

        Where people sign in, it names the approver's object id, that of the local tenant where no other is given.
        """
        decided = {"rotationId": run_id, "decision": decision, "evidenceDigest": digest, "approver": approver}
        if self._signed_in or approver_id is not None:
            decided["approverId"] = person_id(approver) if approver_id is None else approver_id
        body = json.dumps(decided)
        message = message_id or f"msg_{uuid.uuid4().hex}"
        sent_at = at or datetime.now(UTC)
        headers = {
            "webhook-id": message,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "x-functions-key": "",
            "webhook-signature": Webhook(secret or self._secret).sign(message, sent_at, body),
        }
        return await self.call("POST", "/api/approvals", data=body.encode(), headers=headers)

    async def wait_for(
        self,
        run_id: str,
        *states: str,
        seconds: float = 120,
        seen: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        """Wait until the run is in one of the states; ``seen`` is shown every status on the way.

        An app that is down for a while is waited for.

        Raises:
            UnexpectedStateError: another end was reached, or the time is over.
        """
        deadline = time.monotonic() + seconds
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                status = await self.status(run_id)
            except aiohttp.ClientError:
                status = {"state": "(the app does not answer)"}
            if seen is not None:
                await seen(status)
            if status.get("state") in states:
                return status
            if status.get("state") in ENDS:
                break
            await asyncio.sleep(POLL_SECONDS)
        raise UnexpectedStateError(f"expected {' or '.join(states)}, found {json.dumps(status, indent=1)}")

"""The actiontrail endpoint: takes one structured CloudEvent a request, signed as Standard Webhooks 1.0 says.

The message's id is the event's, so it is the same however often the event is delivered. While one secret replaces
another, each signs, and the receiver takes whichever it knows.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from keyturn.audit.chain import canonical

TIMEOUT_SECONDS = 10


class UndeliveredError(Exception):
    """The endpoint did not take an event; ``reason`` is ours, ``reached`` tells whether it answered at all."""

    def __init__(self, reason: str, *, reached: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reached = reached


class Actiontrail:
    """One endpoint and the secrets that sign what it gets; made where an event loop runs."""

    def __init__(self, url: str, secrets: Sequence[str]) -> None:
        self._url = url
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))

    async def deliver(self, event: Mapping[str, Any]) -> None:
        """Deliver the event; raises UndeliveredError unless the endpoint answered 2xx."""
        body = canonical(event).decode()
        try:
            async with self._session.post(
                self._url, data=body.encode(), headers=self._headers(event["id"], body), allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UndeliveredError(type(error).__name__, reached=False) from error
        if not HTTPStatus(status).is_success:
            raise UndeliveredError(f"HTTP {status}", reached=True)

    def _headers(self, message_id: str, body: str) -> dict[str, str]:
        now = datetime.now(UTC)  # of this attempt: the receiver refuses what was signed more than five minutes ago
        return {
            "content-type": JSONFormat.CONTENT_TYPE,
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(webhook.sign(message_id, now, body) for webhook in self._webhooks),
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

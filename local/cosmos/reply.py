"""Answers, and the headers that every answer carries."""

import json
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web

from local.cosmos import charges
from local.cosmos.catalog import Container
from local.cosmos.errors import CosmosError
from local.cosmos.partitions import Partition

_HEADERS = {"x-ms-version": "2020-07-15", "x-ms-gatewayversion": "2.0.0", "x-ms-serviceversion": "local"}


@dataclass(slots=True)
class Reply:
    """A status, a JSON text and headers; the charge is reported and was taken from the budget already."""

    status: HTTPStatus
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    charge: float = 0.0

    def response(self) -> web.Response:
        """Return the HTTP response."""
        return web.Response(
            status=self.status,
            text=self.text,
            content_type="application/json",
            headers={
                **_HEADERS,
                "x-ms-activity-id": str(uuid.uuid4()),
                "x-ms-request-charge": f"{self.charge:.2f}",
                **self.headers,
            },
        )


def json_reply(content: Any, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Reply:
    """Return an answer of plain JSON."""
    return Reply(status, dump(content), dict(headers))


def dump(content: Any) -> str:
    """Return compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def error_reply(error: CosmosError) -> Reply:
    """Return the answer for a failure."""
    headers = {**error.headers, "x-ms-substatus": str(error.substatus)} if error.substatus else error.headers
    return Reply(error.status, dump({"code": error.code, "message": error.message}), headers, charges.FAILURE)


def item_headers(container: Container, partition: Partition, token: str) -> dict[str, str]:
    """Return the headers by which the SDK keeps its session and its routing map."""
    return {
        "x-ms-session-token": token,
        "x-ms-alt-content-path": container.link,
        "x-ms-documentdb-partitionkeyrangeid": partition.id,
    }

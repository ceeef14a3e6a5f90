"""Answers, and the headers that every answer carries."""

import json
import uuid
from collections.abc import Mapping
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

    status: int
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


def json_reply(content: Any, status: int = HTTPStatus.OK, **headers: str) -> Reply:
    """Return an answer of plain JSON."""
    return Reply(status, dump(content), dict(headers))


def dump(content: Any) -> str:
    """Return compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def error_reply(error: CosmosError) -> Reply:
    """Return the answer for a failure."""
    headers = {**error.headers, "x-ms-substatus": str(error.substatus)} if error.substatus else error.headers
    return Reply(error.status, dump({"code": error.code, "message": error.message}), headers, charges.FAILURE)


def item_headers(container: Container, partition: Partition, token: str, item_lsn: int | None = None) -> dict[str, str]:
    """Return the headers by which the SDK keeps its session and its routing map, and the lsns behind them.

    With one region, what the partition has committed is committed globally.
    """
    lsn = token.rpartition("#")[2]
    headers = {
        "x-ms-session-token": token,
        "x-ms-alt-content-path": container.link,
        "x-ms-documentdb-partitionkeyrangeid": partition.id,
        "lsn": lsn,
        "x-ms-quorum-acked-lsn": lsn,
        "x-ms-global-committed-lsn": lsn,
    }
    return headers if item_lsn is None else {**headers, "x-ms-item-lsn": str(item_lsn)}


def metrics_headers(asked: Mapping[str, str], *, loaded: int, returned: int, size: int) -> dict[str, str]:
    """Return the metrics that a query asks for: how many items it loaded and returned, and the bytes of its answer.

    Times are zero: nothing here takes as long as it does there.
    """
    if asked.get("x-ms-documentdb-populatequerymetrics", "").lower() != "true":
        return {}
    values = {
        "totalExecutionTimeInMs": "0.00",
        "queryCompileTimeInMs": "0.00",
        "queryLogicalPlanBuildTimeInMs": "0.00",
        "queryPhysicalPlanBuildTimeInMs": "0.00",
        "queryOptimizationTimeInMs": "0.00",
        "VMExecutionTimeInMs": "0.00",
        "indexLookupTimeInMs": "0.00",
        "instructionCount": "0",
        "documentLoadTimeInMs": "0.00",
        "systemFunctionExecuteTimeInMs": "0.00",
        "userFunctionExecuteTimeInMs": "0.00",
        "retrievedDocumentCount": str(loaded),
        "retrievedDocumentSize": str(size if loaded else 0),
        "outputDocumentCount": str(returned),
        "outputDocumentSize": str(size),
        "writeOutputTimeInMs": "0.00",
        "indexUtilizationRatio": f"{min(1.0, returned / loaded) if loaded else 1.0:.2f}",
    }
    return {"x-ms-documentdb-query-metrics": ";".join(f"{name}={value}" for name, value in values.items())}

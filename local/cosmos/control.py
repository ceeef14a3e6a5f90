"""What may be done to the service besides faults and data: split a partition, change the lag, the throughput, queries.

Containers are made and deleted here for the local resource manager, which decides on rights.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.common.faults import CONTROL_PREFIX
from local.cosmos.account import Account
from local.cosmos.errors import CosmosError
from local.cosmos.reply import error_reply
from local.cosmos.sql.values import MixedTypes
from local.cosmos.validation import check_name

Endpoint = Callable[[web.Request], Awaitable[web.Response]]


class SplitRequest(BaseModel):
    """Body of ``POST /_control/split``."""

    model_config = ConfigDict(extra="forbid")

    database: str
    container: str
    partitionKeyRangeId: str  # noqa: N815 - JSON property of the control endpoint


class ContainerRequest(BaseModel):
    """Body of ``PUT`` and ``DELETE /_control/containers``; ``resource`` is what the data plane takes."""

    model_config = ConfigDict(extra="forbid")

    database: str
    resource: dict[str, Any]


class SettingsRequest(BaseModel):
    """Body of ``POST /_control/settings``; what is left out stays, ``throughput: null`` lifts the limit."""

    model_config = ConfigDict(extra="forbid")

    replicaLagMs: float | None = None  # noqa: N815 - JSON property of the control endpoint
    throughput: float | None = Field(default=None, gt=0)
    mixedTypes: MixedTypes | None = None  # noqa: N815 - JSON property of the control endpoint
    shortPages: int | None = Field(default=None, ge=0)  # noqa: N815 - JSON property of the control endpoint


def add_routes(app: web.Application, account: Account) -> None:
    """Serve the control endpoints."""

    async def split(request: web.Request) -> web.Response:
        asked = SplitRequest.model_validate_json(await request.read())
        container = account.catalog.container(asked.database, asked.container)
        children = account.catalog.split(container, asked.partitionKeyRangeId)
        return web.json_response({"partitionKeyRangeIds": [child.id for child in children]})

    async def settings(request: web.Request) -> web.Response:
        asked = SettingsRequest.model_validate_json(await request.read())
        if asked.replicaLagMs is not None:
            account.set_replica_lag(asked.replicaLagMs)
        if "throughput" in asked.model_fields_set:
            account.throughput.limit = asked.throughput
        account.mixed_types = asked.mixedTypes or account.mixed_types
        account.short_pages = account.short_pages if asked.shortPages is None else asked.shortPages
        return web.json_response(
            {
                "replicaLagMs": account.replica_lag_ms,
                "throughput": account.throughput.limit,
                "mixedTypes": account.mixed_types,
                "shortPages": account.short_pages,
            }
        )

    async def create_container(request: web.Request) -> web.Response:
        asked = ContainerRequest.model_validate_json(await request.read())
        return web.json_response(account.catalog.create_container(asked.database, asked.resource).properties)

    async def delete_container(request: web.Request) -> web.Response:
        asked = ContainerRequest.model_validate_json(await request.read())
        account.catalog.delete_container(asked.database, check_name(asked.resource))
        return web.json_response({})

    app.router.add_post(f"{CONTROL_PREFIX}split", _checked(split))
    app.router.add_put(f"{CONTROL_PREFIX}containers", _checked(create_container))
    app.router.add_delete(f"{CONTROL_PREFIX}containers", _checked(delete_container))
    app.router.add_post(f"{CONTROL_PREFIX}settings", _checked(settings))


def _checked(endpoint: Endpoint) -> Endpoint:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await endpoint(request)
        except ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        except CosmosError as error:
            return error_reply(error).response()

    return answer

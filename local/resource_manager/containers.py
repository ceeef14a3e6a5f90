"""Containers of the account, made and deleted in the local Cosmos DB through its control endpoint."""

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict

from local.common.faults import CONTROL_PREFIX
from local.resource_manager.refusals import RefusedError


class ContainerBody(BaseModel):
    """Body of a container's PUT, as far as it is used."""

    class _Properties(BaseModel):
        model_config = ConfigDict(extra="ignore")
        resource: dict[str, Any]

    model_config = ConfigDict(extra="ignore")
    properties: _Properties


class Containers:
    """The containers of one account."""

    def __init__(self, cosmos: str, authority: Path) -> None:
        self._url = f"{cosmos}{CONTROL_PREFIX}containers"
        self._tls = ssl.create_default_context(cafile=str(authority))

    async def create(self, database: str, body: bytes) -> dict[str, Any]:
        """Create a container and return its properties."""
        resource = ContainerBody.model_validate_json(body).properties.resource
        return {"properties": {"resource": await self._ask("PUT", database, resource)}}

    async def delete(self, database: str, name: str) -> None:
        """Delete a container with everything in it."""
        await self._ask("DELETE", database, {"id": name})

    async def _ask(self, method: str, database: str, resource: dict[str, Any]) -> dict[str, Any]:
        asked = {"database": database, "resource": resource}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self._url, json=asked, ssl=self._tls) as response,
        ):
            answered: dict[str, Any] = await response.json()
            if response.status != HTTPStatus.OK:
                raise RefusedError(response.status, "BadRequest", str(answered))
            return answered

"""The HTTP side: one database account and its containers, and a control endpoint for the account's backup policy."""

from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import add_health
from local.identity.roles import COSMOS
from local.identity.tokens import TokenError, verify
from local.resource_manager.backup_policy import BackupPolicy, BackupPolicyFile
from local.resource_manager.containers import Containers
from local.resource_manager.refusals import RefusedError

API_VERSION = "2026-03-15"  # what azure-mgmt-cosmosdb 10.0.0 asks for
READ_ACCOUNT = f"{COSMOS}/read"
WRITE_CONTAINER = f"{COSMOS}/sqlDatabases/containers/write"
DELETE_CONTAINER = f"{COSMOS}/sqlDatabases/containers/delete"


class ResourceManager:
    """A subscription that holds one database account; ``containers`` is None where nothing serves its data."""

    def __init__(
        self, state: Path, *, port: int, identity_key: bytes, account: str, containers: Containers | None
    ) -> None:
        self._backup = BackupPolicyFile(state / "backup_policy.json")
        self._audience = f"https://localhost:{port}"
        self._identity_key = identity_key
        self._account = account
        self._containers = containers

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        faults = Faults()
        app = web.Application(middlewares=[faults.middleware(lambda _request: "read_account"), _refusals])
        add_health(app, "resource_manager")
        faults.add_routes(app)
        app.router.add_post(f"{CONTROL_PREFIX}backup", self._change_backup)
        container = "/{account:.*}/sqlDatabases/{database}/containers/{container}"
        app.router.add_put(container, self._create_container)
        app.router.add_delete(container, self._delete_container)
        app.router.add_get("/{account:.*}", self._read_account)
        return app

    async def _read_account(self, request: web.Request) -> web.Response:
        self._check(request, READ_ACCOUNT)
        return web.json_response(self._described())

    async def _create_container(self, request: web.Request) -> web.Response:
        self._check(request, WRITE_CONTAINER)
        return web.json_response(await self._data_plane().create(request.match_info["database"], await request.read()))

    async def _delete_container(self, request: web.Request) -> web.Response:
        self._check(request, DELETE_CONTAINER)
        await self._data_plane().delete(request.match_info["database"], request.match_info["container"])
        return web.Response(status=204)

    def _data_plane(self) -> Containers:
        if self._containers is None:
            raise RefusedError(404, "ResourceNotFound", "this account has no data plane")
        return self._containers

    def _check(self, request: web.Request, action: str) -> None:
        self._authorize(request, action)
        if request.query.get("api-version") != API_VERSION:
            raise RefusedError(400, "InvalidApiVersionParameter", f"api-version: must be {API_VERSION}")
        if f"/{request.match_info['account']}".lower() != self._account.lower():
            raise RefusedError(404, "ResourceNotFound", f"The Resource '{request.path}' was not found.")

    def _described(self) -> dict[str, Any]:
        return {
            "id": self._account,
            "name": self._account.rpartition("/")[2],
            "type": "Microsoft.DocumentDB/databaseAccounts",
            "location": "West Europe",
            "kind": "GlobalDocumentDB",
            "properties": {
                "provisioningState": "Succeeded",
                "databaseAccountOfferType": "Standard",
                "disableLocalAuth": True,
                "backupPolicy": self._backup.policy.properties(),
            },
        }

    def _authorize(self, request: web.Request, action: str) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        try:
            principal = verify(token, self._identity_key, lambda audience: audience.rstrip("/") == self._audience)
        except TokenError as error:
            raise RefusedError(401, "InvalidAuthenticationToken", str(error)) from error
        if not principal.may(action):
            raise RefusedError(
                403,
                "AuthorizationFailed",
                f"The client '{principal.name}' with object id '{principal.object_id}' does not have authorization to"
                f" perform action '{action}' over scope '{request.path}' or the scope is invalid.",
            )

    async def _change_backup(self, request: web.Request) -> web.Response:
        try:
            policy = BackupPolicy.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        self._backup.change(policy)
        return web.json_response(policy.model_dump())


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as error:
        return web.json_response(error.body, status=error.status)

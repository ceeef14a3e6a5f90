"""How a request passes through the vault: faults, token, limits, rights, the operation, and the log."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from local.common.faults import Faults
from local.common.serve import add_health
from local.identity.tokens import Principal, TokenError, verify
from local.key_vault.backup import load_cipher
from local.key_vault.errors import (
    VAULT_RESOURCE,
    VaultError,
    bad_parameter,
    forbidden_by_rbac,
    throttled,
    unauthorized,
)
from local.key_vault.keys import API_VERSION
from local.key_vault.limits import Limits
from local.key_vault.operation_log import OperationLog
from local.key_vault.routes import OPERATIONS, ROUTES, Operation
from local.key_vault.store import KeyStore
from local.key_vault.vault import Call, Vault

RSA_THREADS = 4
MAX_BODY = 16 * 1024 * 1024  # a backup of 500 versions of RSA-4096 is some 3 MiB
SMALLEST_KEY = 2048  # what an operation on no particular key weighs


class KeyVaultService:
    """One vault behind its REST surface."""

    def __init__(
        self,
        state: Path,
        *,
        port: int,
        identity_key: bytes,
        limits: Limits | None,
        latency_seconds: float,
        throw_away: bool = False,
    ) -> None:
        self._identity_key = identity_key
        self._limits = limits
        self._latency_seconds = latency_seconds
        self._faults = Faults()
        self._log = OperationLog(OPERATIONS)
        self._operations: dict[web.AbstractRoute, Operation] = {}
        self._vault = Vault(
            url=f"https://localhost:{port}",
            store=KeyStore(state / "keys.sqlite"),
            backup_cipher=load_cipher(state / "backup_key"),
            threads=ThreadPoolExecutor(RSA_THREADS, thread_name_prefix="rsa"),
            throw_away=throw_away,
        )

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        middlewares = [self._faults.middleware(self._operation_name), _errors_as_json]
        app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
        add_health(app, "key_vault")
        self._faults.add_routes(app)
        self._log.add_routes(app)
        for method, path, operation in ROUTES:
            self._operations[app.router.add_route(method, path, self._handle)] = operation
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        self._vault.threads.shutdown()
        self._vault.store.close()

    def _operation_name(self, request: web.Request) -> str:
        """Return what fault rules call the request.

        A client's first request carries no token and no body, only to be told where tokens come from. It is named
        apart, so that a fault armed for an operation hits the operation itself.
        """
        if "Authorization" not in request.headers:
            return "challenge"
        operation = self._operations.get(request.match_info.route)
        return "unknown" if operation is None else operation.name

    async def _handle(self, request: web.Request) -> web.Response:
        operation = self._operations[request.match_info.route]
        call = Call(
            name=request.match_info.get("name"),
            version=request.match_info.get("version"),
            query=request.query,
            body=await request.read(),
        )
        who, versionless = None, not call.version
        result, code = web.HTTPInternalServerError.status_code, None
        try:
            principal = self._authenticate(request)
            who = principal.name
            answer = await self._perform(request, principal, operation, call)
            response = web.json_response(answer) if answer else web.Response(status=204)
            result = response.status
        except VaultError as error:
            response = error.response()
            result, code = error.status, error.inner or error.code
        finally:
            key = (call.name, call.version or None)
            self._log.add(who=who, operation=operation.name, key=key, versionless=versionless, result=result, code=code)
        return response

    async def _perform(
        self, request: web.Request, principal: Principal, operation: Operation, call: Call
    ) -> dict[str, Any]:
        if request.query.get("api-version") != API_VERSION:
            raise bad_parameter(f"api-version: must be {API_VERSION}")
        if self._faults.take("throttle", operation.name, request.path_qs) is not None or not self._admit(
            operation, call
        ):
            raise throttled()
        if not principal.may(operation.action):
            raise forbidden_by_rbac(principal, operation.action, f"/keys/{call.name or ''}")
        await asyncio.sleep(self._latency_seconds)
        return await operation.perform(self._vault, call)

    def _authenticate(self, request: web.Request) -> Principal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("AKV10000: Request is missing a Bearer or PoP token.")
        try:
            return verify(token, self._identity_key, {VAULT_RESOURCE})
        except TokenError as error:
            raise unauthorized(f"AKV10032: {error}") from error

    def _admit(self, operation: Operation, call: Call) -> bool:
        if self._limits is None:
            return True
        if operation.name == "create":
            return self._limits.admit_create()
        return self._limits.admit(self._key_size(call))

    def _key_size(self, call: Call) -> int:
        versions = self._vault.store.versions(call.name or "")
        named = [key for key in versions if key.version == call.version] or versions[-1:]
        return named[0].size if named else SMALLEST_KEY


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is not served here in the vault's own form; a path that is, for another method, is not found."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed:
        message = f"{request.method} {request.path} is not served here"
        return VaultError(web.HTTPNotFound.status_code, "NotFound", message).response()
    except web.HTTPException as error:
        message = f"{request.method} {request.path} is not served here: {error.reason}"
        return VaultError(error.status, error.reason.replace(" ", ""), message).response()

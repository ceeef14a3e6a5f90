"""The HTTP surface: App Service's managed-identity protocol, and the control endpoint for principals.

Protocol: "REST endpoint reference" of App Service's managed-identity page, api-version 2019-08-01.
"""

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import ValidationError

from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import add_health
from local.identity.principals import PrincipalChange, Principals, SecretInUseError
from local.identity.signing_key import load_signing_key
from local.identity.tokens import issue

TOKEN_PATH = "/msi/token"  # noqa: S105 - a path, not a password
API_VERSION = "2019-08-01"
# What SDK clients ask for: Key Vault by its challenge, Cosmos DB by its account's host or, failing that, its own name;
# what callers of the app ask for where they must sign in: api://keyturn, its registration's; and the demo backend's own
# audience, api://notelett.
RESOURCE_HOSTS = frozenset({"vault.azure.net", "cosmos.azure.com", "localhost", "127.0.0.1", "keyturn", "notelett"})
USER_ASSIGNED = ("client_id", "principal_id", "object_id", "mi_res_id")


class IdentityService:
    """Issues tokens for the principals of one state folder."""

    def __init__(self, state: Path, token_seconds: int) -> None:
        self._signing_key: RSAPrivateKey = load_signing_key(state)
        self._principals = Principals(state / "principals.json")
        self._token_seconds = token_seconds

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        faults = Faults()
        app = web.Application(middlewares=[faults.middleware(lambda _request: "token")])
        add_health(app, "identity")
        faults.add_routes(app)
        app.router.add_get(TOKEN_PATH, self._token)
        app.router.add_get(f"{CONTROL_PREFIX}principals", self._list)
        path = f"{CONTROL_PREFIX}principals/{{name}}"
        app.router.add_get(path, self._get)
        app.router.add_put(path, self._put)
        app.router.add_delete(path, self._delete)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        if request.query.get("api-version") != API_VERSION:
            return _refusal(400, f"api-version: must be {API_VERSION}")
        if chosen := [name for name in USER_ASSIGNED if name in request.query]:
            return _refusal(400, f"{chosen[0]}: no user-assigned identity exists here, the header picks the principal")
        resource = request.query.get("resource", "")
        if urlsplit(resource).hostname not in RESOURCE_HOSTS:
            return _refusal(400, f"resource: {resource!r} is unknown, expected a URL of {sorted(RESOURCE_HOSTS)}")
        found = self._principals.by_header(request.headers.get("X-IDENTITY-HEADER", ""))
        if found is None:
            return _refusal(401, "X-IDENTITY-HEADER: missing, or not the secret of any principal")
        name, record = found
        token, expires_on = issue(
            name=name,
            object_id=record.objectId,
            roles=record.roles,
            resource=resource,
            signing_key=self._signing_key,
            seconds=self._token_seconds,
        )
        body = {"access_token": token, "expires_on": str(expires_on), "resource": resource, "token_type": "Bearer"}
        return web.json_response(body)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({name: record.model_dump() for name, record in self._principals.by_name.items()})

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        record = self._principals.by_name.get(name)
        return _unknown(name) if record is None else web.json_response(record.model_dump())

    async def _put(self, request: web.Request) -> web.Response:
        try:
            change = PrincipalChange.model_validate_json(await request.read())
            record = self._principals.put(request.match_info["name"], change)
        except (ValidationError, SecretInUseError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(record.model_dump())

    async def _delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.Response(status=204) if self._principals.remove(name) else _unknown(name)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)


def _unknown(name: str) -> web.Response:
    return web.json_response({"error": f"name: no principal {name!r}"}, status=404)

"""The backend's HTTP surface."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from pydantic import ValidationError

from field_encrypt import DekCache, DekFollower, DekStore, KeyVaultProvider, RetryingProvider, RowDefaults
from field_encrypt.errors import FieldEncryptError, RetryError
from field_encrypt.mek_errors import MekError
from local.backend import readiness
from local.backend.clients import Clients
from local.backend.load import Load, LoadSettings
from local.backend.notes import NewNote, NoteKey, Notes
from local.backend.providers import PinnableProvider
from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import add_health
from local.identity.tokens import TokenError, verify

AUDIENCE = "api://notelett"  # of the tokens with which notes are read
LOAD_PATH = f"{CONTROL_PREFIX}load"


class BackendService:
    """The note service and its live load."""

    def __init__(
        self,
        state: Path,
        clients: Clients,
        load: LoadSettings,
        *,
        identity_key: bytes,
        version_max_age_seconds: float,
        follow_interval_seconds: float,
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        current = KeyVaultProvider(clients.mek, current_version_max_age_seconds=version_max_age_seconds)
        self._clients = clients
        self._identity_key = identity_key
        self._provider = PinnableProvider(RetryingProvider(current), clients.mek)
        dek_store = DekStore(clients.dek_store, RowDefaults(mek_name=clients.mek.mek_name))
        cache = DekCache()
        self._notes = Notes(clients.notes, self._provider, dek_store, cache)
        self._follower = DekFollower(dek_store, cache, interval_seconds=follow_interval_seconds)
        self._load = Load(self._notes, load, state / "failures.jsonl")

    def application(self) -> web.Application:
        """Return the service's aiohttp application."""
        faults = Faults()
        app = web.Application(middlewares=[faults.middleware(_operation_of), _errors_as_json])
        add_health(app, "backend")
        faults.add_routes(app)
        app.router.add_get("/health", self._health, name="health")
        app.router.add_get("/api/diagnostics/readiness", self._readiness, name="readiness")
        app.router.add_get("/api/notes/{id}", self._read_note, name="read_note")
        app.router.add_post("/api/notes", self._create_note, name="create_note")
        app.router.add_get(LOAD_PATH, self._get_load)
        app.router.add_put(LOAD_PATH, self._put_load)
        app.cleanup_ctx.append(self._run_in_background)
        return app

    async def _run_in_background(self, _app: web.Application) -> AsyncIterator[None]:
        await self._load.prepare()
        tasks = [asyncio.create_task(self._load.run()), asyncio.create_task(self._follower.run())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readiness(self, _request: web.Request) -> web.Response:
        checks = await readiness.check(self._clients, self._provider)
        ready = all(outcome == readiness.READY for outcome in checks.values())
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.json_response({"status": "ready" if ready else "not ready", "checks": checks}, status=status)

    async def _read_note(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            verify(token if scheme.lower() == "bearer" else "", self._identity_key, {AUDIENCE})
        except TokenError:
            return _refusal(HTTPStatus.UNAUTHORIZED, f"a bearer token for {AUDIENCE} is needed")
        workspace_id = request.query.get("workspaceId")
        if not workspace_id:
            return _refusal(HTTPStatus.BAD_REQUEST, "workspaceId: a query parameter of this name is needed")
        key = NoteKey(id=request.match_info["id"], workspace_id=workspace_id)
        try:
            return web.json_response(await self._notes.read(key))
        except CosmosResourceNotFoundError:
            return _refusal(HTTPStatus.NOT_FOUND, f"no note {key.id} in workspace {key.workspace_id}")

    async def _create_note(self, request: web.Request) -> web.Response:
        key = await self._notes.create(NewNote.model_validate_json(await request.read()))
        return web.json_response(key.model_dump(by_alias=True), status=HTTPStatus.CREATED)

    async def _get_load(self, _request: web.Request) -> web.Response:
        return web.json_response(self._load.report())

    async def _put_load(self, request: web.Request) -> web.Response:
        change = LoadSettings.model_validate_json(await request.read())
        settings = LoadSettings.model_validate(
            {**self._load.settings.model_dump(), **change.model_dump(exclude_unset=True)}
        )
        try:
            if "pinned_version" in change.model_fields_set:
                await self._provider.pin(change.pinned_version)
        except MekError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, f"pinnedVersion: {error}")
        self._notes.use(settings.key_policy)
        self._load.change(settings)
        return web.json_response(self._load.report())


def _operation_of(request: web.Request) -> str:
    resource: Any = request.match_info.route.resource
    return str(resource.name) if resource is not None else "unknown"


def _refusal(status: HTTPStatus, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        return _refusal(HTTPStatus.BAD_REQUEST, str(error))
    except RetryError as error:
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    except FieldEncryptError as error:
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

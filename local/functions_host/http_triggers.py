"""HTTP triggers: authorisation, the request and response in the worker's messages."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import web

from local.functions_host.durable_binding import ClientBinding
from local.functions_host.functions import Function
from local.functions_host.keys import Keys
from local.functions_host.messages import RpcHttp, RpcHttpCookie, SameSite, TypedData
from local.functions_host.routing import Router
from local.functions_host.sign_in import SignIn
from local.functions_host.worker import InvocationError, Worker

ANSWER_SECONDS = 230.0  # the idle timeout of Azure's load balancer

SAME_SITE = {SameSite.Lax: "Lax", SameSite.Strict: "Strict", SameSite.ExplicitNone: "None"}


class HttpTriggers:
    """Answers every request that is not for the host itself."""

    def __init__(
        self,
        worker: Worker,
        router: Router,
        keys: Keys,
        client: ClientBinding,
        sign_in: SignIn | None,
        body_limit: int,
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._body_limit = body_limit  # bytes
        self._seconds = seconds
        self._late: set[asyncio.Task[TypedData | None]] = set()
        self._sign_in = sign_in
        self._worker = worker
        self._router = router
        self._keys = keys
        self._client = client

    async def handle(self, request: web.Request) -> web.Response:
        """Run the function whose route matches: 404 without one, 401 without sign-in or key, 500 when it raises.

        After the time that Azure's load balancer waits for an answer it is 504, and the function runs on.
        """
        headers = self._sign_in.headers(request) if self._sign_in is not None else _lowered(request)
        found = self._router.match(request.method, request.rel_url.raw_path)
        if found is None:
            return web.Response(status=404)
        function, parameters = found
        if function.disabled and not self._keys.opens_admin(request):
            return web.Response(status=404)
        if not self._keys.opens_function(request, str(function.trigger.get("authLevel", "function")).lower()):
            return web.Response(status=401)
        if (request.content_length or 0) > self._body_limit:
            return _too_large()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:  # a body without a length: read up to the limit, and no further
            return _too_large()
        inputs = {function.trigger["name"]: TypedData(http=_rpc_request(request, headers, parameters, body))}
        invoked = self._worker.invoke(
            function, inputs | self._client.inputs(function), _trigger_metadata(request, function, parameters)
        )
        return await self._answer(asyncio.create_task(invoked))

    async def _answer(self, invocation: asyncio.Task[TypedData | None]) -> web.Response:
        done, _ = await asyncio.wait({invocation}, timeout=self._seconds)
        if not done:
            self._late.add(invocation)
            invocation.add_done_callback(self._ended)
            return web.Response(status=504)
        try:
            return _response(invocation.result())
        except InvocationError:
            return web.Response(status=500)  # the real host's answer is empty too; the failure is in the log

    def _ended(self, invocation: asyncio.Task[TypedData | None]) -> None:
        self._late.discard(invocation)
        invocation.exception()  # is in the log, and nothing waits for it any more


def _too_large() -> web.Response:
    response = web.Response(status=413)
    response.force_close()  # as Kestrel does: the rest of the body is still on its way
    return response


def _lowered(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _rpc_request(request: web.Request, headers: dict[str, str], parameters: dict[str, str], body: bytes) -> RpcHttp:
    # As the platform's front end does: the address it has seen, behind whatever the caller has sent.
    forwarded = [headers["x-forwarded-for"]] if "x-forwarded-for" in headers else []
    return RpcHttp(
        method=request.method,
        url=str(request.url),
        headers={**headers, "x-forwarded-for": ", ".join([*forwarded, request.remote or ""])},
        params=parameters,
        query=dict(request.query),
        body=TypedData(bytes=body),
    )


def _trigger_metadata(request: web.Request, function: Function, parameters: dict[str, str]) -> dict[str, TypedData]:
    """Return what the real host binds beside the request: its parts, and each query and route parameter by name."""
    system = {
        "MethodName": function.name,
        "UtcNow": datetime.now(UTC).isoformat(),
        "RandGuid": str(uuid.uuid4()),
    }
    parts = {"Headers": dict(request.headers), "Query": dict(request.query), "sys": system}
    values = {**request.query, **parameters}
    return {
        **{name: TypedData(string=value) for name, value in values.items()},
        **{name: TypedData(json=json.dumps(part)) for name, part in parts.items()},
    }


def _response(result: TypedData | None) -> web.Response:
    match result.WhichOneof("data") if result is not None else None:
        case "http":
            return _http_response(result.http)  # type: ignore[union-attr]  # a result of this kind has the attribute
        case "string":
            return web.Response(text=result.string)  # type: ignore[union-attr]  # the same
        case kind:
            raise TypeError(f"the worker encoded an HTTP result as {kind}")


def _http_response(http: RpcHttp) -> web.Response:
    body = http.body.bytes if http.body is not None else b""
    response = web.Response(status=int(http.status_code), body=body, headers=http.headers)
    for cookie in http.cookies or ():
        response.headers.add("Set-Cookie", _set_cookie(cookie))
    return response


def _set_cookie(cookie: RpcHttpCookie) -> str:
    jar: SimpleCookie = SimpleCookie({cookie.name: cookie.value})
    attributes: dict[str, Any] = {
        "domain": cookie.domain,
        "path": cookie.path,
        "secure": cookie.secure,
        "httponly": cookie.http_only,
        "max-age": cookie.max_age,
    }
    for name, nullable in attributes.items():
        if nullable is not None and nullable.value:
            jar[cookie.name][name] = int(nullable.value) if name == "max-age" else nullable.value
    if cookie.expires is not None:
        moment = cookie.expires.value.ToDatetime(tzinfo=UTC)
        jar[cookie.name]["expires"] = f"{moment:%a, %d %b %Y %H:%M:%S} GMT"
    if cookie.same_site in SAME_SITE:
        jar[cookie.name]["samesite"] = SAME_SITE[cookie.same_site]
    return jar[cookie.name].OutputString()

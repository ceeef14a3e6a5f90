"""The HTTP side: identify, authorize, hand over, answer."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from local.common.faults import FaultRule
from local.common.serve import add_health
from local.cosmos import batch, change_feed, control, items, metadata, metadata_queries, offers, query
from local.cosmos.account import Account
from local.cosmos.auth import authorize
from local.cosmos.call import Call
from local.cosmos.errors import CosmosError, bad_request, partition_full, retry_with, throttled
from local.cosmos.operations import Operation, operation_of
from local.cosmos.reply import Reply, error_reply
from local.cosmos.resource_ids import resolve

_MAX_REQUEST_BYTES = 8 * 1024 * 1024
_THROTTLE_FAULT_MS = 20
_OPERATION = web.RequestKey("operation", Operation)

Handler = Callable[[Call], Awaitable[Reply]]

_HANDLERS: dict[str, Handler] = {
    "read_account": metadata.read_account,
    "create_database": metadata.create_database,
    "read_database": metadata.read_database,
    "list_databases": metadata.list_databases,
    "delete_database": metadata.delete_database,
    "create_container": metadata.create_container,
    "read_container": metadata.read_container,
    "list_containers": metadata.list_containers,
    "replace_container": metadata.replace_container,
    "delete_container": metadata.delete_container,
    "read_ranges": metadata.read_ranges,
    "read_conflicts": metadata.read_conflicts,
    "read_conflict": metadata.read_conflict,
    "delete_partition_key": items.delete_partition_key,
    "query_offers": metadata_queries.query_offers,
    "replace_offer": offers.replace_offer,
    "query_databases": metadata_queries.query_databases,
    "query_containers": metadata_queries.query_containers,
    "read": items.read,
    **dict.fromkeys(items.WRITES, items.write),
    "batch": batch.batch,
    "query": query.query,
    "query_plan": query.query_plan,
    "read_feed": query.read_feed,
    "change_feed": change_feed.change_feed,
}

# Kinds of faults that refuse a request before it does anything, as the service does.
_REFUSALS: dict[str, Callable[[FaultRule], CosmosError]] = {
    "throttle": lambda rule: throttled(rule.delayMs or _THROTTLE_FAULT_MS),
    "retry_with": lambda _rule: retry_with(),
    "partition_full": lambda _rule: partition_full(),
}


def application(account: Account) -> web.Application:
    """Return the service as an aiohttp application."""
    app = web.Application(
        client_max_size=_MAX_REQUEST_BYTES,
        middlewares=[account.faults.middleware(lambda request: _identify(request).name)],
    )
    add_health(app, "cosmos")
    account.faults.add_routes(app)
    control.add_routes(app, account)

    async def dispatch(request: web.Request) -> web.Response:
        try:
            return (await _answer(account, request)).response()
        except CosmosError as error:
            return error_reply(error).response()

    app.router.add_route("*", "/{path:.*}", dispatch)
    return app


def _identify(request: web.Request) -> Operation:
    if _OPERATION not in request:
        request[_OPERATION] = operation_of(request.method, request.rel_url.raw_path, request.headers)
    return request[_OPERATION]


async def _answer(account: Account, request: web.Request) -> Reply:
    operation = resolve(_identify(request), account.catalog, account.store)
    principal = account.authenticator.principal(request.method, operation, request.headers)
    if operation.name == "unsupported":
        raise bad_request(f"{request.method} {request.path} is not supported by the local Cosmos DB")
    authorize(principal, operation, operation.link)
    for kind, refusal in _REFUSALS.items():
        if (rule := account.faults.take(kind, operation.name, request.path_qs)) is not None:
            raise refusal(rule)
    body = await request.read()
    call = Call(account, operation, principal, request.path_qs, request.scheme, request.headers, body)
    return await _HANDLERS[operation.name](call)

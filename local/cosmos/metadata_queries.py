"""Queries of what is no item: databases, containers, offers. Each is answered in one page."""

from typing import Any

from local.cosmos.call import Call
from local.cosmos.query import parse_call
from local.cosmos.reply import Reply, dump, json_reply
from local.cosmos.sql.execute import Execution


async def query_databases(call: Call) -> Reply:
    """Answer with the databases that a query finds."""
    return _found(call, "Databases", list(call.account.catalog.databases.values()))


async def query_containers(call: Call) -> Reply:
    """Answer with the containers of a database that a query finds."""
    name = call.operation.names[0]
    call.account.catalog.database(name)
    owned = [one.properties for (owner, _), one in call.account.catalog.containers.items() if owner == name]
    return _found(call, "DocumentCollections", owned)


async def query_offers(call: Call) -> Reply:
    """Answer with the offers that a query finds."""
    return _found(call, "Offers", call.account.offers.all())


def _found(call: Call, kind: str, resources: list[dict[str, Any]]) -> Reply:
    page = Execution(*parse_call(call)).page(enumerate(map(dump, resources)), len(resources) + 1, None)
    reply = json_reply({"_rid": ""})
    reply.text = f'{{"_rid":"","{kind}":[{",".join(page.texts)}],"_count":{len(page.texts)}}}'
    return reply

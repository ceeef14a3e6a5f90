"""What the routes of rotations and of migrations share: list, status, report, retry, abort, audit chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.contracts.base import Payload
from keyturn.http import parse
from keyturn.ids import run_link
from keyturn.resources import Resources
from keyturn.runs.commands import CommandRequest
from keyturn.runs.record import RunRecord
from keyturn.runs.store import Runs
from triggers.access import Work
from triggers.http import RETRY_AFTER_SECONDS, json_response, limit_of, read_json
from triggers.orders import command as give

AUDIT_CONTENT_TYPE = "application/jsonl"


@dataclass(frozen=True)
class RunRoutes[R: RunRecord]:
    """The routes of one kind of run; each method returns a route's work."""

    store: Callable[[Resources], Runs[R]]
    collection: str  # its address
    plural: str  # the property of a list that holds the runs
    parameter: str  # of a route that names one run
    summary: Callable[[R], Payload]
    status: Callable[[R], Payload]
    report: Callable[[R], Payload]

    def list(self, req: func.HttpRequest) -> Work:
        """List a keyring's runs, newest first, a page at a time."""

        async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
            keyring = resources.settings.keyring(req.params.get("keyring")).name
            limit = limit_of(req)
            records = await self.store(resources).newest(keyring, before=req.params.get("before"), limit=limit)
            listed = [self.summary(record).to_payload() for record in records]
            return json_response({self.plural: listed, "next": self._following(keyring, records, limit)})

        return work

    def _following(self, keyring: str, records: Sequence[R], limit: int) -> str | None:
        if len(records) < limit:
            return None
        return f"{self.collection}?{urlencode({'keyring': keyring, 'before': records[-1].run_id, 'limit': limit})}"

    def get(self, req: func.HttpRequest) -> Work:
        """Return the status of a run."""

        async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
            record = await self._record(resources, req)
            headers = {} if record.ended else {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return json_response(self.status(record), headers=headers)

        return work

    def whole(self, req: func.HttpRequest) -> Work:
        """Return everything that is known about a run."""

        async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
            return json_response(self.report(await self._record(resources, req)))

        return work

    def audit(self, req: func.HttpRequest) -> Work:
        """Export a run's audit chain."""

        async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
            record = await self._record(resources, req)
            exported = await self.store(resources).audit.export(record.run_id)
            return func.HttpResponse(exported, mimetype=AUDIT_CONTENT_TYPE)

        return work

    def command(
        self, req: func.HttpRequest, client: df.DurableFunctionsClient, command: Literal["retry", "abort"]
    ) -> Work:
        """Record an operator's command, and wake the workflow."""

        async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
            request = parse(CommandRequest, read_json(req, default={}))
            by = caller.identity(request.requested_by).name
            run_id = req.route_params[self.parameter]
            record = await give(client, resources, self.store(resources), run_id, command, by)
            headers = {"Location": run_link(record.run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
            return json_response(self.status(record), status=202, headers=headers)

        return work

    async def _record(self, resources: Resources, req: func.HttpRequest) -> R:
        return await self.store(resources).read(req.route_params[self.parameter])

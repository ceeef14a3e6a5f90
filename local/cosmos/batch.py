"""Transactional batches: all operations of one partition key take effect together, or none does."""

import json
from http import HTTPStatus
from typing import Any

from local.cosmos import charges
from local.cosmos.auth import require
from local.cosmos.call import Call
from local.cosmos.errors import CosmosError, bad_request, not_found, too_large
from local.cosmos.items import Write, Written, perform, race_etag
from local.cosmos.operations import ACTIONS
from local.cosmos.reply import Reply, dump, item_headers
from local.cosmos.sessions import token_of
from local.cosmos.store import Commit
from local.cosmos.validation import check_id, parse_json

MAX_OPERATIONS = 100
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_KINDS = ("create", "upsert", "replace", "patch", "delete", "read")


async def batch(call: Call) -> Reply:
    """Do the operations in order; if one fails, undo all and answer 207 with 424 for the others."""
    operations = [_parse(call, operation, f"operations[{index}]") for index, operation in enumerate(_listed(call))]
    partition = call.partition
    for wanted in operations:
        race_etag(call, wanted)
    results: list[dict[str, Any]] = []
    status, size = HTTPStatus.OK, 0
    try:
        with call.account.store.commit(call.container, partition) as commit:
            for wanted in operations:
                written = _perform(call, commit, wanted)
                size += len(written.row.body.encode()) if written.row is not None else 0
                if size > MAX_ANSWER_BYTES:
                    raise too_large(f"The answer to the batch is over {MAX_ANSWER_BYTES} bytes")
                results.append(_result(written))
    except CosmosError as error:
        status, failed = HTTPStatus.MULTI_STATUS, len(results)
        results = [{"statusCode": HTTPStatus.FAILED_DEPENDENCY, "requestCharge": 0} for _ in operations]
        results[failed] = {
            "statusCode": error.status,
            "subStatusCode": error.substatus,
            "requestCharge": charges.FAILURE,
            "message": error.message,
        }
    charge = sum(result["requestCharge"] for result in results)
    call.account.throughput.consume(partition, charge)
    headers = item_headers(call.container, partition, token_of(partition, partition.lsn))
    return Reply(status, dump(results), headers, charge)


def _listed(call: Call) -> list[Any]:
    operations = parse_json(call.body)
    if not isinstance(operations, list) or not operations:
        raise bad_request("Batch request has no operations.")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(
            "Batch request has more operations than what is supported."
            f" At most {MAX_OPERATIONS} are allowed, not {len(operations)}."
        )
    return operations


def _parse(call: Call, operation: Any, where: str) -> Write:
    kind = str(operation.get("operationType", "")).lower() if isinstance(operation, dict) else ""
    if kind not in _KINDS:
        raise bad_request(f"{where}.operationType: one of {', '.join(_KINDS)} is needed")
    for action in ACTIONS[kind] or ():
        require(call.principal, action, call.operation.link)
    body = operation.get("resourceBody")
    name = check_id(body) if kind in ("create", "upsert") else operation.get("id")
    if not isinstance(name, str):
        raise bad_request(f"{where}.id: a string is needed")
    conditions = operation.get("ifMatch"), operation.get("ifNoneMatch")
    return Write(kind, name, body, *conditions, call.account.mixed_types)


def _perform(call: Call, commit: Commit, wanted: Write) -> Written:
    if wanted.kind == "read":
        row = call.account.store.newest(call.container, call.epk, wanted.name)
        if row is None:
            raise not_found(f"Entity with the specified id does not exist in the system: {wanted.name}")
        return Written(HTTPStatus.OK, row, charges.point_read(len(row.body)))
    return perform(call.account.store, commit, call.container, call.epk, wanted)


def _result(written: Written) -> dict[str, Any]:
    result: dict[str, Any] = {"statusCode": written.status, "requestCharge": written.charge}
    if written.row is not None:
        result |= {"eTag": written.row.etag, "resourceBody": json.loads(written.row.body)}
    return result

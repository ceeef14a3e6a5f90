"""The service's failures, with the status, substatus and body that the SDK reads."""

from http import HTTPStatus

_RETRY_WITH = 449  # not a registered status; azure.cosmos StatusCodes.RETRY_WITH


class CosmosError(Exception):
    """A failure that is answered to the client as the service would.

    Substatus values are those of azure.cosmos.http_constants.SubStatusCodes.
    """

    def __init__(
        self, status: int, code: str, message: str, *, substatus: int = 0, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.substatus = substatus
        self.headers = headers or {}


def bad_request(message: str, *, substatus: int = 0) -> CosmosError:
    """Return the error for a request that the service cannot serve as written."""
    return CosmosError(HTTPStatus.BAD_REQUEST, "BadRequest", message, substatus=substatus)


def not_found(message: str, *, substatus: int = 0) -> CosmosError:
    """Return the error for a resource that does not exist."""
    return CosmosError(HTTPStatus.NOT_FOUND, "NotFound", message, substatus=substatus)


def conflict(message: str) -> CosmosError:
    """Return the error for an id that is taken."""
    return CosmosError(HTTPStatus.CONFLICT, "Conflict", message)


def retry_with() -> CosmosError:
    """Return the error for a write that met another one inside the service; the same request may succeed at once."""
    return CosmosError(_RETRY_WITH, "RetryWith", "Conflicting request to resource has been attempted. Retry.")


def partition_full() -> CosmosError:
    """Return the error for a write beyond the 20 GB of a logical partition."""
    message = "Partition key reached maximum size of 20 GB"
    return CosmosError(HTTPStatus.FORBIDDEN, "Forbidden", message, substatus=1014)


def precondition_failed() -> CosmosError:
    """Return the error for an ETag or a filter predicate that does not hold."""
    return CosmosError(
        HTTPStatus.PRECONDITION_FAILED,
        "PreconditionFailed",
        "Operation cannot be performed because one of the specified precondition is not met",
    )


def too_large(message: str) -> CosmosError:
    """Return the error for an item or a request over the service's size limit."""
    return CosmosError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", message)


def range_gone(range_id: str) -> CosmosError:
    """Return the error for a partition key range that was split."""
    return CosmosError(HTTPStatus.GONE, "Gone", f"Partition key range {range_id} no longer exists", substatus=1002)


def throttled(retry_after_ms: float) -> CosmosError:
    """Return the error for a request over the provisioned throughput."""
    return CosmosError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "TooManyRequests",
        "The request rate is too large. Please retry after sometime.",
        substatus=3200,
        headers={"x-ms-retry-after-ms": str(max(1, round(retry_after_ms)))},
    )

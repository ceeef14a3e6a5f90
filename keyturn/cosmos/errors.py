"""What a failed call to Cosmos DB becomes, by who must act; conditions that a caller expects are caught before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.cosmos.exceptions import CosmosClientTimeoutError, CosmosHttpResponseError

from keyturn.errors import (
    KeyturnError,
    NotSettledError,
    PermissionMissingError,
    ResourceMissingError,
    UnavailableError,
)

# Substatus of a 404 (Microsoft's REST reference): the item is absent (0), or something else is the matter.
SESSION_NOT_AVAILABLE = 1002
# Throttled after the SDK's own retries, a partition that moved, "retry with", timeouts.
TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS, 449})
SERVER_ERRORS = 500


def is_absent_item(error: CosmosHttpResponseError) -> bool:
    """Tell whether a 404 means that the item does not exist, rather than its container or the session."""
    return error.status_code == HTTPStatus.NOT_FOUND and not error.sub_status


@asynccontextmanager
async def cosmos_failures(resource: str, operation: str) -> AsyncIterator[None]:
    """Turn the client's failures into ours.

    Raises:
        PermissionMissingError: the identity may not do this.
        ResourceMissingError: the database or container does not exist.
        NotSettledError, UnavailableError: the same call may succeed later.
    """
    try:
        yield
    except CosmosHttpResponseError as error:
        raise _failure(resource, operation, error) from error
    except (CosmosClientTimeoutError, ServiceRequestError, ServiceResponseError) as error:
        raise UnavailableError(f"{resource} did not answer", resource=resource) from error


def _failure(resource: str, operation: str, error: CosmosHttpResponseError) -> KeyturnError:
    status = error.status_code or 0
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return PermissionMissingError(
            f"the app's identity may not {operation} in {resource}", resource=resource, operation=operation
        )
    if status == HTTPStatus.NOT_FOUND and error.sub_status == SESSION_NOT_AVAILABLE:
        return NotSettledError(f"{resource} has not received what this session has seen", resource=resource)
    if status == HTTPStatus.NOT_FOUND:
        return ResourceMissingError(f"{resource} does not exist", resource=resource)
    if status in TRANSIENT or status >= SERVER_ERRORS:
        return UnavailableError(f"{resource} answered {status}", resource=resource)
    return KeyturnError(f"{resource} refused to {operation} with {status}", resource=resource, operation=operation)

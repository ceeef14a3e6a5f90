"""The edge of the Cosmos DB SDK: its failures as ours, the change feed, and a transport that measures charges.

A failed call becomes an error by who must act; conditions that a caller expects are caught before that.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, override

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosClientTimeoutError, CosmosHttpResponseError

from field_encrypt import change_feed
from field_encrypt.change_feed import FeedPage
from field_encrypt.errors import LostFeedPositionError
from keyturn import errors
from keyturn.telemetry import names, signals

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
        raise errors.UnavailableError(f"{resource} did not answer", resource=resource) from error


def _failure(resource: str, operation: str, error: CosmosHttpResponseError) -> errors.KeyturnError:
    status = error.status_code or 0
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        refused = f"the app's identity may not {operation} in {resource}"
        return errors.PermissionMissingError(refused, resource=resource, operation=operation)
    if status == HTTPStatus.NOT_FOUND and error.sub_status == SESSION_NOT_AVAILABLE:
        return errors.NotSettledError(f"{resource} has not received what this session has seen", resource=resource)
    if status == HTTPStatus.NOT_FOUND:
        return errors.ResourceMissingError(f"{resource} does not exist", resource=resource)
    if status in TRANSIENT or status >= SERVER_ERRORS:
        return errors.UnavailableError(f"{resource} answered {status}", resource=resource)
    refused = f"{resource} refused to {operation} with {status}"
    return errors.KeyturnError(refused, resource=resource, operation=operation)


async def open_account(endpoint: str, credential: AsyncTokenCredential) -> CosmosClient:
    """Return a client of the account, which is asked where its containers are; the caller closes it.

    Raises:
        PermissionMissingError: the identity may not read the account's metadata.
        UnavailableError: the account did not answer.
    """
    client = CosmosClient(endpoint, credential, transport=MeteredTransport())
    try:
        async with cosmos_failures(f"the Cosmos DB account {endpoint}", "read the metadata"):
            await client.__aenter__()
    except BaseException:
        await client.close()
        raise
    return client


RESOURCE = "the dek store"


async def list_feed_ranges(container: ContainerProxy) -> list[str]:
    """Return the store's feed ranges, one per physical partition, as JSON texts in the order of their keys."""
    async with cosmos_failures(RESOURCE, "read its partitions"):
        return await change_feed.list_feed_ranges(container)


async def read_feed_page(container: ContainerProxy, feed_range: str, cursor: str | None, max_items: int) -> FeedPage:
    """Read on from the cursor, or from the beginning; the service may return a few more items than asked for.

    Raises:
        InvariantError: the cursor is not one of this container, which was made anew or is another one.
        KeyturnError: of the kind that the failure means.
    """
    try:
        async with cosmos_failures(RESOURCE, "read its change feed"):
            return await change_feed.read_feed_page(
                container, feed_range, cursor, start="Beginning", max_items=max_items
            )
    except LostFeedPositionError as error:
        raise errors.InvariantError(str(error)) from error


CHARGE_HEADER = "x-ms-request-charge"


class MeteredTransport(AioHttpTransport):  # type: ignore[misc]  # the SDK imports it lazily, so it has no type
    """Adds the request units up, those of answers that are errors included."""

    @override
    async def send(self, request: Any, **config: Any) -> Any:
        """Send the request and return the answer."""
        response = await super().send(request, **config)
        if (charge := response.headers.get(CHARGE_HEADER)) is not None:
            work = signals.current_work.get()
            signals.record(names.REQUEST_CHARGE, float(charge), {} if work is None else {names.KEYRING: work.keyring})
        return response

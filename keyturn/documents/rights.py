"""Whether the app may change documents: asked before a row is made that a document could then not name."""

import uuid

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from keyturn.cosmos_failures import cosmos_failures, is_absent_item


async def require_replace(container: ContainerProxy, name: str) -> None:
    """Ask to replace a document that does not exist, which a replace never creates.

    Raises:
        PermissionMissingError: the app's identity may not replace documents of the container.
        ResourceMissingError, UnavailableError: the container is not there, or did not answer.
    """
    absent = f"keyturn-{uuid.uuid4()}"
    async with cosmos_failures(f"container {name}", "replace documents"):
        try:
            await container.replace_item(absent, {"id": absent})
        except CosmosHttpResponseError as error:
            if not is_absent_item(error):
                raise

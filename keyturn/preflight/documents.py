"""The containers of documents from which canaries are chosen: they answer, and the identity may read them."""

from azure.cosmos.exceptions import CosmosResourceNotFoundError

from keyturn.cosmos_failures import cosmos_failures, is_absent_item
from keyturn.preflight.inquiry import Finding, Inquiry, good, nobody


async def can_read_documents(inquiry: Inquiry) -> Finding:
    """The identity may query each container and read from it; asked for a document that does not exist."""
    for name, container in inquiry.keyring.documents.items():
        async with cosmos_failures(f"the container {name}", "read documents"):
            [_ async for _ in container.query_items("SELECT TOP 1 VALUE c.id FROM c")]
            absent = nobody()
            try:
                await container.read_item(absent, partition_key=absent)
            except CosmosResourceNotFoundError as error:
                if not is_absent_item(error):
                    raise
    return good(f"{len(inquiry.keyring.documents)} containers of encrypted documents were read from")

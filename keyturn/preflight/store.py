"""The dek store: it answers, the identity may do what a sweep does, it is not too large, and its rows are counted."""

from azure.cosmos.exceptions import CosmosHttpResponseError

from keyturn.contracts import RANGES_MAX
from keyturn.contracts.pages import RowRef
from keyturn.cosmos_failures import cosmos_failures, is_absent_item
from keyturn.dek_store.census import OTHER_LABELS
from keyturn.dek_store.feed import read_feed_page
from keyturn.dek_store.store import RESOURCE
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good, nobody

RIGHTS = "Microsoft.DocumentDB/databaseAccounts/"
ITEMS = f"{RIGHTS}sqlDatabases/containers/items/"
CONTAINERS = f"{RIGHTS}sqlDatabases/containers/"


async def store_reachable(inquiry: Inquiry) -> Finding:
    """The container answers, and is partitioned as the settings say."""
    async with cosmos_failures(RESOURCE, "read its properties"):
        properties = await inquiry.keyring.dek_container.read()
    paths: list[str] = properties["partitionKey"]["paths"]
    expected = f"/{inquiry.keyring.keyring.row_names.partition_key}"
    if paths != [expected]:
        return bad(
            f"the dek store is partitioned by {', '.join(paths)}, not by {expected}",
            "correct partitionKey in the keyring's rowNames",
        )
    return good(f"container {properties['id']} answers, partitioned by {expected}")


async def can_read_rows(inquiry: Inquiry) -> Finding:
    """The identity may read a row: asked for one that does not exist."""
    name = nobody()
    await inquiry.keyring.rows.read(RowRef(id=name, partition=name), "")
    return good("a point read was answered")


async def can_query(inquiry: Inquiry) -> Finding:
    """The identity may query rows."""
    async with cosmos_failures(RESOURCE, "query"):
        found = [row async for row in inquiry.keyring.dek_container.query_items("SELECT TOP 1 VALUE c.id FROM c")]
    return good(f"a query was answered with {len(found)} rows")


async def can_read_change_feed(inquiry: Inquiry) -> Finding:
    """The identity may read the change feed."""
    first = (await inquiry.facts.ranges())[0]
    page = await read_feed_page(inquiry.keyring.dek_container, first, None, 1)
    return good(f"the change feed was answered with {len(page.items)} rows")


async def can_patch_rows(inquiry: Inquiry) -> Finding:
    """The identity may change a row: asked for one that does not exist, which a patch never creates."""
    name = nobody()
    async with cosmos_failures(RESOURCE, "change rows"):
        try:
            await inquiry.keyring.dek_container.patch_item(
                name, name, [{"op": "set", "path": "/rotationId", "value": inquiry.record.rotation_id}]
            )
        except CosmosHttpResponseError as error:
            if is_absent_item(error):
                return good("a patch of a row that does not exist was answered with 404")
            raise
    return bad("a row was changed that cannot exist", f"look at row {name} of the dek store")


async def store_partitions(inquiry: Inquiry) -> Finding:
    """The store has no more physical partitions than a pass can keep cursors of."""
    count = len(await inquiry.facts.ranges())
    if count <= RANGES_MAX:
        return good(f"{count} physical partitions, of at most {RANGES_MAX}")
    return bad(
        f"{count} physical partitions, at most {RANGES_MAX} can be swept", "merge partitions, or split the store"
    )


async def census(inquiry: Inquiry) -> Finding:
    """Every row is counted, by the version that wraps it and by kind."""
    counted = await inquiry.facts.counted()
    by_version = [f"{version}: {count}" for version, count in counted.by_version.items() if version != OTHER_LABELS]
    return good(
        f"{counted.total} rows; stale after the rotation's start: {counted.stale}, "
        f"of them unlabelled: {counted.unlabelled}, malformed label: {counted.by_version.get(OTHER_LABELS, 0)}; "
        f"foreign: {counted.foreign}; by version: {', '.join(by_version) or 'none'}"
    )


async def store_has_rows(inquiry: Inquiry) -> Finding:
    """There are rows of this MEK: none at all looks like the wrong container or the wrong key."""
    counted = await inquiry.facts.counted()
    if counted.stale:
        return good(f"{counted.stale} rows are wrapped by this MEK")
    return bad(
        f"no row of the dek store is wrapped by this MEK, {counted.foreign} are by others",
        "compare COSMOS_DATABASE, DEK_CONTAINER and FIELD_ENCRYPT_MEK_NAME with the backend's; waive for a new store",
    )

"""Documents are found through the container's change feed: exactly those that an operation has to do with."""

from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import ScanInput
from keyturn.cosmos.client import list_feed_ranges
from keyturn.documents import store as scan
from keyturn.documents.operations import reencrypt_page
from tests.keyturn.documents.harness import MIGRATION, NAME, DocumentsHarness, page_of


async def found(documents_harness: DocumentsHarness, chosen: scan.RowFilter) -> set[str]:
    """Return the ids that a scan of the whole container finds."""
    ids: set[str] = set()
    for feed_range in await list_feed_ranges(documents_harness.container):
        cursor, drained = None, False
        while not drained:
            request = ScanInput(
                run=RunRef(run_id=MIGRATION, keyring="notes", fencing_token=1),
                target_version="",
                selection="chosen",
                source=NAME,
                range=feed_range,
                cursor=cursor,
                page_rows=2,
            )
            result = await scan.scan_documents(documents_harness.documents, request, chosen)
            ids |= {ref.id for ref in result.refs}
            cursor, drained = result.cursor, result.drained
    return ids


async def test_each_operation_finds_its_documents(documents_harness: DocumentsHarness) -> None:
    """The backfill finds plaintext, the check all with fields, and re-encryption what is not under its own DEKs."""
    encrypted = await documents_harness.add("e1", "e2", "e3", side=documents_harness.source)
    await documents_harness.add("p1", "p2")
    await documents_harness.container.create_item({"id": "nothing", "likes": 1})
    await reencrypt_page(page_of(encrypted[:1]), documents_harness.ids, documents_harness.dependencies())

    assert await found(documents_harness, scan.with_plaintext(documents_harness.documents)) == {"p1", "p2"}
    assert await found(documents_harness, scan.with_fields(documents_harness.documents)) == {
        "e1",
        "e2",
        "e3",
        "p1",
        "p2",
    }
    assert await found(
        documents_harness, scan.under_other_deks(scan.NewDeks(documents_harness.documents, documents_harness.ids, None))
    ) == {"e2", "e3", "p1", "p2"}

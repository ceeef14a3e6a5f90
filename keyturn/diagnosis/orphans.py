"""Orphans: documents that name DEKs which the store lacks, and rows that no document names.

A scan reads a container's change feed, a bounded number of items at a time, and returns a token with which it goes on.
An item younger than ``min_age`` is left out: a document is stored after its row, and a replica may lag behind. An
unused row does no harm, and nothing here deletes it (docs/adr/0009).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Annotated, Any, Literal

from pydantic import Field

from field_encrypt.key_policy import is_shared
from field_encrypt.row_states import Row, RowKind, classify
from keyturn.contracts.base import Payload
from keyturn.deks.queries import Condition, select_rows
from keyturn.diagnosis.feed_scan import FeedScan
from keyturn.diagnosis.models import is_possible_id
from keyturn.documents.queries import deks_named, named_deks
from keyturn.errors import InvalidRequestError
from keyturn.keyring_clients import KeyringClients

ITEMS_MAX = 500  # items a call looks at before it hands out its token: some seconds of work
IDS_PER_QUERY = 100
AGES = (365, 90, 30, 7, 1, 0)  # days: the steps by which unused rows are counted
CAUTION = (
    "do not delete these rows on the strength of this answer: it knows the containers and fields of KEYTURN_DOCUMENTS,"
    " and no backup, export or other copy of a document"
)
ORPHANS_MAX = 200  # a call ends early where it found so many, so that its answer stays small

Kind = Literal["missing_deks", "unused_deks"]


class OrphanRequest(Payload):
    """What to look for, and where an earlier call left off."""

    kind: Kind
    min_age: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=365))] = timedelta(hours=1)
    token: str | None = None


class Orphan(Payload):
    """A document that names a missing DEK, or a row that nothing names: what is the other's is null."""

    dek_id: str
    container: str | None = None
    document_id: str | None = None
    mek_version: str | None = None
    created_at: datetime | None = None  # as the row says


class UnusedCount(Payload):
    """How many unused rows of a version, null where they name none, are at least so old and below the next step."""

    mek_version: str | None
    older_than_days: int
    rows: int


class OrphanPage(Payload):
    """What one call has found; without a token the scan has come to its end."""

    kind: Kind
    scanned: int
    too_young: int
    foreign: int  # rows of another key, whose documents may be another keyring's
    shared: int  # rows that no document names, of ids that writers compute: they may be taken again at any time
    orphans: list[Orphan]
    counts: list[UnusedCount]  # of the unused rows among them
    caution: str | None
    token: str | None


async def scan_orphans(keyring: KeyringClients, request: OrphanRequest, *, now: datetime) -> OrphanPage:
    """Scan some more items, from the beginning or from where the token says.

    Raises:
        InvalidRequestError: the token is none of this scan's, or no query can tell what documents name.
        KeyturnError: of the kind that a failure means.
    """
    return await _Scan(keyring, request, now).run()


class _Scan:
    def __init__(self, keyring: KeyringClients, request: OrphanRequest, now: datetime) -> None:
        self._keyring = keyring
        self._request = request
        self._now = now
        self._found: Counter[str] = Counter()
        self._unused: Counter[tuple[str | None, int]] = Counter()
        if request.kind == "missing_deks":
            self._containers = dict(keyring.documents)
        else:
            self._containers = {keyring.keyring.dek_container: keyring.dek_container}
            if not keyring.keyring.documents:
                expected = "a container at least: without one, every row would look unused"
                raise InvalidRequestError.expected("kind", expected, named="KEYTURN_DOCUMENTS")

    async def run(self) -> OrphanPage:
        found, scan = self._found, FeedScan(self._request.kind, self._containers)
        orphans: list[Orphan] = []
        await scan.begin(self._request.token)
        while scan.token is not None and found["scanned"] < ITEMS_MAX and len(orphans) < ORPHANS_MAX:
            container, items = await scan.next_page()
            settled = [item for item in items if self._is_settled(item)]
            orphans += await self._orphans(container, settled)
            found.update(scanned=len(items), too_young=len(items) - len(settled))
        return OrphanPage(
            kind=self._request.kind,
            scanned=found["scanned"],
            too_young=found["too_young"],
            foreign=found["foreign"],
            shared=found["shared"],
            orphans=orphans,
            counts=[
                UnusedCount(mek_version=version, older_than_days=days, rows=rows)
                for (version, days), rows in sorted(
                    self._unused.items(), key=lambda entry: (entry[0][0] or "", entry[0][1])
                )
            ],
            caution=CAUTION if self._request.kind == "unused_deks" else None,
            token=scan.token,
        )

    def _is_settled(self, item: Mapping[str, Any]) -> bool:
        changed = datetime.fromtimestamp(item["_ts"], UTC)
        if self._request.kind == "unused_deks":
            changed = _made_at(classify(item, self._keyring.keyring, ""))
        return changed <= self._now - self._request.min_age

    async def _orphans(self, container: str, items: list[dict[str, Any]]) -> list[Orphan]:
        if self._request.kind == "unused_deks":
            return await self._unused_rows([classify(item, self._keyring.keyring, "") for item in items])
        named = [(str(item["id"]), dek_id) for item in items for dek_id in sorted(named_deks(item))]
        there = await self._existing(sorted({dek_id for _, dek_id in named}))
        return [
            Orphan(dek_id=dek_id, container=container, document_id=document_id)
            for document_id, dek_id in named
            if dek_id not in there
        ]

    async def _unused_rows(self, rows: list[Row]) -> list[Orphan]:
        own = [row for row in rows if row.kind is not RowKind.FOREIGN]
        used = await self._used([row.id for row in own])
        unused = [row for row in own if row.id not in used]
        free = [row for row in unused if not is_shared(row.id)]
        self._found.update(foreign=len(rows) - len(own), shared=len(unused) - len(free))
        ages = ((row, (self._now - _made_at(row)).days) for row in free)
        self._unused.update((row.version, next(step for step in AGES if step <= max(age, 0))) for row, age in ages)
        return [Orphan(dek_id=row.id, mek_version=row.version, created_at=row.created_at) for row in free]

    async def _used(self, dek_ids: list[str]) -> set[str]:
        used: set[str] = set()
        documents = self._keyring.keyring.documents
        # Twice: a document may move into a container that was looked at from one that is yet to be.
        for description in [*documents, *documents]:
            container = self._keyring.documents[description.name]
            for chunk in batched([dek_id for dek_id in dek_ids if dek_id not in used], IDS_PER_QUERY, strict=False):
                used |= await deks_named(container, description, chunk)
        return used

    async def _existing(self, dek_ids: list[str]) -> set[str]:
        there: set[str] = set()
        for chunk in batched(filter(is_possible_id, dek_ids), IDS_PER_QUERY, strict=False):
            names = {f"@id{place}": dek_id for place, dek_id in enumerate(chunk)}
            listed = Condition(f"c.id IN ({', '.join(names)})", names)
            there |= {str(found) for found in await select_rows(self._keyring.dek_container, listed, "VALUE c.id")}
        return there


def _made_at(row: Row) -> datetime:
    """Return when the row was made: a rewrap makes it newer, and its document does not become newer with it."""
    return row.created_at or row.changed_at

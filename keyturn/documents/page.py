"""A page of documents: the shared loop, a MEK at the pace of the page, and a dek store for dry runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, override

from field_encrypt import DekCache, DekStore, FieldEncryptError, FieldEncryption, KeyPolicy, KeyVaultProvider, MekClient
from field_encrypt.dek import Dek
from field_encrypt.pacing import Pacer
from field_encrypt.rows import DekRow, WrappedDek
from keyturn.clock import Clock
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.deks.page import Handle, Hold, PageLoop, Quarantine
from keyturn.deks.store import Outcome
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.errors import DocumentReason, RefusedDocumentError, reason_of
from keyturn.documents.store import DocumentStore, NewDeks
from keyturn.key_vault.pacing import PacedVault


class PacedProvider(KeyVaultProvider):
    """Wraps in this process, under the newest enabled version; unwraps are calls, and keep the page's pace."""

    def __init__(self, mek: MekClient, pacer: Pacer) -> None:
        super().__init__(mek)
        self._vault = PacedVault(mek, pacer)

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Have the vault unwrap; raises as :meth:`PacedVault.unwrap` does."""
        unwrap = super().unwrap
        return await self._vault.with_retries(lambda: unwrap(wrapped))


class PageRows(DekStore):
    """The rows of another store, to which a page adds while it may, and a dry run nothing."""

    def __init__(self, rows: DekStore, page: PageLoop[dict[str, Any]]) -> None:
        self._rows = rows
        self._page = page

    @override
    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Create the row, and have the lease looked at again before a document names it; a dry run leaves it out."""
        if not self._page.request.dry_run:
            await self._page.check_may_write()
            await self._rows.create(dek_id, wrapped, key_check)
            self._page.look_again()

    @override
    async def create_counted(
        self, dek_id: str, wrapped: WrappedDek, key_check: bytes, *, uses: int, documents: int
    ) -> bool:
        """Create the row of a DEK that documents share, as :meth:`create` does; no dry run asks for one."""
        await self._page.check_may_write()
        created = await self._rows.create_counted(dek_id, wrapped, key_check, uses=uses, documents=documents)
        self._page.look_again()
        return created

    @override
    async def reserve(self, dek_id: str, *, uses: int, documents: int) -> DekRow:
        await self._page.check_may_write()
        return await self._rows.reserve(dek_id, uses=uses, documents=documents)

    @override
    async def read(self, dek_id: str) -> DekRow:
        return await self._rows.read(dek_id)


# A row that was created a moment ago may not have reached the replica that is asked: so often is looked for it.
LOOKS_MAX = 3

# Returns the document as it is to be, or None if there is nothing to do.
Change = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class KeyAndRows:
    """A MEK, and the dek store whose rows it wraps."""

    mek: MekClient
    rows: DekStore


@dataclass(frozen=True, slots=True)
class DocumentDependencies:
    """What a page works with; ``source`` opens the documents as they are, new DEKs belong to ``target``."""

    documents: DocumentStore
    source: KeyAndRows
    target: KeyAndRows
    quarantine: Quarantine
    hold: Hold
    policy: KeyPolicy | None = None  # None: a fresh DEK for every document
    clock: Clock = field(default_factory=Clock)


class DocumentPage(PageLoop[dict[str, Any]]):
    """One run of one page of documents."""

    read_ahead = 32  # at most 64 MB

    def __init__(self, request: PageInput, dependencies: DocumentDependencies) -> None:
        self.documents = documents = dependencies.documents
        super().__init__(request, documents.container, dependencies.quarantine, dependencies.hold, dependencies.clock)
        self.description = documents.description
        self.prefix = f"{self.description.name}/"
        source, target = dependencies.source, dependencies.target
        rows = PageRows(target.rows, self)
        # A DEK that documents share is unwrapped once a page.
        cache, new = (DekCache(max_entries=max(1, len(request.refs))) for _ in range(2))
        self.source = FieldEncryption(PacedProvider(source.mek, self.pacer), source.rows, cache)
        self._policy = dependencies.policy
        policy = self._policy or KeyPolicy()
        self.target = FieldEncryption(PacedProvider(target.mek, self.pacer), rows, new, policy=policy)
        self.one_key = source == target

    def new_deks(self, ids: DekIds) -> NewDeks:
        """Return which DEK each document is to be under; a dry run shares none, because it makes none."""
        return NewDeks(self.documents, ids, self._policy, one_key=self.one_key, dry_run=self.request.dry_run)

    @override
    async def run(self, handle: Handle) -> PageResult:
        result = await super().run(handle)
        await self.target.give_back_leases()  # the next page has other documents, maybe in another process
        return result

    @override
    async def fetch(self, ref: RowRef) -> dict[str, Any] | None:
        return await self.documents.read(ref)

    async def change(self, ref: RowRef, change: Change) -> None:
        """Have a document changed and replace it, again as it is now if it changed meanwhile; raises as handle does."""
        tried = False

        async def work(document: dict[str, Any]) -> Outcome:
            nonlocal tried
            changed = await change(document)
            if changed is None:
                # After a try of ours the write has arrived, only its answer has not.
                return Outcome.CHANGED if tried else Outcome.UNCHANGED
            if self.request.dry_run:
                return Outcome.CHANGED  # a lost race cannot be seen without writing
            tried = True
            return await self.written(self.documents.replace, changed)

        await self.handle(ref, work)

    async def handle(self, ref: RowRef, work: Callable[[dict[str, Any]], Awaitable[Outcome]]) -> None:
        """Work on a document as it is now, again while it asks for it; name it where it cannot be worked on.

        Raises:
            KeyturnError, FieldEncryptError: a service failed or refused for a reason that is not the document's.
        """
        looks = 0

        async def attempt(document: dict[str, Any]) -> Outcome:
            nonlocal looks
            try:
                return await work(document)
            except (FieldEncryptError, RefusedDocumentError) as error:
                reason, looks = reason_of(error), looks + 1
                if reason is DocumentReason.MISSING_DEK and looks < LOOKS_MAX:
                    return Outcome.AGAIN
                return self.quarantine(ref.id, reason)

        await self.settle(ref, attempt)

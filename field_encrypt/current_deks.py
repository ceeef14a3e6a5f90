"""The DEK that a save is to use: the one that its document has, or the current one of its scope, as the policy allows.

The generations of a scope's DEK leave none out, so the newest is found by a few point reads: ahead in growing steps
until a row is missing, then halfway back. Going on to a generation is a conditional create: however many processes do
it at once, one row comes to be, and all use it. A read from a replica that lags ends at an older generation, whose
counters are true all the same: it is either still good, or its next one exists and is taken.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from field_encrypt.dek import Dek, key_check
from field_encrypt.dek_store import DekStore
from field_encrypt.deks import Deks, NewDek
from field_encrypt.errors import DekExistsError, DekNotFoundError, InvalidSettingError
from field_encrypt.key_policy import KeyPolicy, Scope
from field_encrypt.leases import LEASE_SECONDS, Lease, asked_for, granted
from field_encrypt.mek_errors import MekVersionDisabledError, MekVersionNotFoundError
from field_encrypt.provider import MekProvider
from field_encrypt.rows import DekRow, same_name

ENTRIES_MAX = 10_000  # leases, and scopes whose generation is known
# Processes learn of a new MEK version within a minute of each other. One that does not know it yet must not leave
# behind a DEK that another has just made under it: a row this young is taken, whatever version it names.
SETTLING = timedelta(seconds=120)


class CurrentDeks:
    """Finds and makes the DEKs to encrypt with, for one event loop, and holds this process's leases of them."""

    def __init__(
        self,
        provider: MekProvider,
        dek_store: DekStore,
        deks: Deks,
        policy: KeyPolicy,
        *,
        settling: timedelta = SETTLING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._provider = provider
        self._dek_store = dek_store
        self._deks = deks
        self._settling = settling
        self._clock = clock
        self._leases: OrderedDict[str, Lease] = OrderedDict()  # by dekId; the one that was renewed last is last
        self._generations: OrderedDict[Scope, int] = OrderedDict()
        self._locks: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    async def take(self, scope: Scope, uses: int, *, named: str | None) -> Lease:
        """Return a DEK for one document of a scope, its uses counted.

        ``named`` is the DEK that the document is under already: it is kept while the policy allows it, and the document
        is not counted again.

        Raises:
            InvalidSettingError: one document has more fields than the policy allows a DEK uses.
            CallerError: a row was changed.
            OperatorError, RetryError: a right is missing; a service did not answer.
        """
        if self.policy.max_uses is not None and uses > self.policy.max_uses:
            raise InvalidSettingError("max_uses", f"at least {uses}, the number of a document's fields")
        if named is not None and scope.owns(named):
            try:
                kept = await self._taken(named, uses, 0)
            except DekNotFoundError:
                kept = None  # the document could not be read either: its save is what makes it readable again
            if kept is not None:
                return kept
        if scope.name is None:
            return await self._own(uses)
        return await self._of_scope(scope, uses)

    async def give_back(self) -> None:
        """Take what is left of the leases off the rows' counters again: for a process that ends after some documents.

        Raises:
            DekStoreForbiddenError, DekStoreUnavailableError: what is left of a lease is lost, as after a crash.
        """
        while self._leases:
            dek_id, lease = self._leases.popitem()
            if lease.uses or lease.documents:
                with suppress(DekNotFoundError):
                    await self._dek_store.reserve(dek_id, uses=-lease.uses, documents=-lease.documents)

    async def _own(self, uses: int) -> Lease:
        while True:  # ends at the first turn, unless a new row is not allowed to serve
            dek_id = str(uuid.uuid4())
            await self._made(dek_id, uses)
            if (lease := await self._taken(dek_id, uses, 0, by_write=True)) is not None:
                return lease

    async def _of_scope(self, scope: Scope, uses: int) -> Lease:
        async with self._lock(scope):
            generation = self._generations.get(scope)
            if generation is None:
                generation = await self._newest_generation(scope)
            while (lease := await self._taken_or_made(scope.dek_id(generation), uses)) is None:
                generation += 1
            self._generations[scope] = generation
            _bound(self._generations, scope)
            return lease

    async def _newest_generation(self, scope: Scope) -> int:
        """Return the newest generation, or 0 if there is none."""
        known, step = -1, 1
        while await self._exists(scope, known + step):
            known, step = known + step, step * 2
        missing = known + step
        while missing - known > 1:
            middle = (known + missing) // 2
            if await self._exists(scope, middle):
                known = middle
            else:
                missing = middle
        return max(known, 0)

    async def _exists(self, scope: Scope, generation: int) -> bool:
        try:
            await self._dek_store.read(scope.dek_id(generation))
        except DekNotFoundError:
            return False
        return True

    async def _taken_or_made(self, dek_id: str, uses: int) -> Lease | None:
        try:
            return await self._taken(dek_id, uses, 1)
        except DekNotFoundError:
            await self._made(dek_id, uses)
        # Where another process was faster, its row is asked by a write: a read may come from a replica that lacks it.
        return await self._taken(dek_id, uses, 1, by_write=True)

    async def _made(self, dek_id: str, uses: int) -> None:
        """Make a DEK with its first lease, unless there is a row of this id."""
        new = await self._deks.make(dek_id)
        first_uses = asked_for(self.policy.max_uses, uses)
        first_documents = asked_for(self.policy.documents_bound, 1)
        check = key_check(new.dek)
        if first_uses or first_documents:
            created = await self._dek_store.create_counted(
                dek_id, new.wrapped, check, uses=first_uses, documents=first_documents
            )
        else:
            created = await self._created_uncounted(new, check)
        if created:
            self._deks.remember(new)
            lease = self._new_lease(dek_id, new.wrapped.mek_version, new.dek, datetime.now(UTC))
            lease.uses, lease.documents = first_uses, first_documents

    async def _created_uncounted(self, new: NewDek, check: bytes) -> bool:
        try:
            await self._dek_store.create(new.dek_id, new.wrapped, check)
        except DekExistsError:
            return False
        return True

    async def _taken(self, dek_id: str, uses: int, documents: int, *, by_write: bool = False) -> Lease | None:
        """Take from the lease, which is renewed before if need be; None if the policy does not allow it any more.

        Raises:
            DekNotFoundError: there is no row of this id.
        """
        async with self._lock(dek_id):
            lease = self._leases.get(dek_id)
            if lease is None or not lease.covers(uses, documents):
                lease = await self._renewed(dek_id, lease, uses, documents, by_write=by_write)
            if lease is None or not lease.covers(uses, documents):
                return None
            lease.take(uses, documents)
            return lease

    async def _renewed(
        self, dek_id: str, old: Lease | None, uses: int, documents: int, *, by_write: bool
    ) -> Lease | None:
        lacking = (uses, documents) if old is None else old.lacking(uses, documents)
        asked_uses = asked_for(self.policy.max_uses, lacking[0])
        asked_documents = asked_for(self.policy.documents_bound, lacking[1])
        if by_write or asked_uses or asked_documents:
            row = await self._dek_store.reserve(dek_id, uses=asked_uses, documents=asked_documents)
        else:
            row = await self._dek_store.read(dek_id)
        self._leases.pop(dek_id, None)
        if row.mek_version is None or not await self._allowed(row, row.mek_version):
            return None
        try:
            dek = await self._deks.get_of_row(row)
        except (MekVersionDisabledError, MekVersionNotFoundError):
            return None  # disabled before its time: what is written now must not depend on it
        lease = self._new_lease(dek_id, row.mek_version, dek, row.created_at)
        lease.uses = granted(self.policy.max_uses, asked_uses, row.uses) + (old.uses if old else 0)
        lease.documents = granted(self.policy.documents_bound, asked_documents, row.documents)
        lease.documents += old.documents if old else 0
        return lease

    async def _allowed(self, row: DekRow, version: str) -> bool:
        """Tell whether the DEK may serve on by its age and by the MEK version of its row."""
        now = datetime.now(UTC)
        if self.policy.max_age is not None and (row.created_at is None or now - row.created_at >= self.policy.max_age):
            return False
        # Only a wrap tells what is current: a provider has two methods. It is done in this process, and thrown away.
        current = await self._provider.wrap(Dek.generate())
        if not same_name(row.mek_name, current.mek_name):
            return False
        if version.rpartition("/")[2] == current.mek_version:  # some writers label their rows with the whole key id
            return True
        moments = [moment for moment in (row.created_at, row.rewrapped_at) if moment is not None]
        return any(now - moment < self._settling for moment in moments)

    def _new_lease(self, dek_id: str, mek_version: str, dek: Dek, created_at: datetime | None) -> Lease:
        seconds = LEASE_SECONDS
        if self.policy.max_age is not None and created_at is not None:
            seconds = min(seconds, (created_at + self.policy.max_age - datetime.now(UTC)).total_seconds())
        now = self._clock()
        while self._leases and next(iter(self._leases.values())).ends <= now:
            self._leases.popitem(last=False)  # a DEK is not kept in memory for a lease that has ended
        lease = self._leases[dek_id] = Lease(self.policy, dek_id, mek_version, dek, now + seconds, clock=self._clock)
        _bound(self._leases, dek_id)
        return lease

    def _lock(self, key: object) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock


def _bound[Key, Value](entries: OrderedDict[Key, Value], newest: Key) -> None:
    entries.move_to_end(newest)
    while len(entries) > ENTRIES_MAX:
        entries.popitem(last=False)

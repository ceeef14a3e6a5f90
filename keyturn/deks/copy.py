"""Copies a page of rows back from another account: those that are missing here, or damaged here and whole there.

A row that opens here is never written: it is named where documents open with the DEK of the row there, and it holds
another one. What is missing is created, which fails where another writer was first; what is damaged is replaced on
condition of its ETag. A row is copied as it is, with the fence of the run that copies it: what it has may be greater
than that of any run to come, where the records were lost too, and would keep runs out.

A row there must open, to the DEK of the key check that the row here has; where that differs too, documents that name
the DEK must open with it. Where its version is disabled, it cannot be tried: then the key checks of both rows must be
the same one, and a restore, which comes next, opens and moves it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, override

from azure.core import MatchConditions
from azure.cosmos.exceptions import CosmosResourceExistsError

from field_encrypt.dek import KEY_CHECK_BYTES, Dek, matches_key_check
from field_encrypt.encoding import from_base64
from field_encrypt.rewrapping import NotUnwrapped, Unwrapped, unwrap_row
from field_encrypt.row_patches import partition_key_of
from field_encrypt.row_states import FENCE, QuarantineReason, Row, RowKind
from keyturn.contracts.pages import PageInput, RowRef
from keyturn.cosmos.client import cosmos_failures
from keyturn.cosmos.session_tokens import SESSION_TOKEN
from keyturn.deks.page import PageDependencies, PageLoop
from keyturn.deks.store import RESOURCE, Outcome, WriteResult, conditional_write
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.pacing import PacedVault

# What Cosmos DB adds to an item ("Azure Cosmos DB resource model", system-generated properties).
_SYSTEM = frozenset({"_rid", "_self", "_etag", "_attachments", "_ts"})


class Found(StrEnum):
    """How a row here stands to the one there."""

    MISSING = "missing"
    DAMAGED = "damaged"  # it does not open, or is malformed
    SAME = "same"
    NEWER = "newer"  # it is another one, and opens
    RETIRED = "retired"  # it is another one, and names a disabled version
    PRESENT = "present"  # it is there; where only missing rows are copied, no more is asked
    FOREIGN = "foreign"  # one of the two names another key


@dataclass(frozen=True, slots=True)
class Pair:
    """A row there, and the one here."""

    there: Row
    here: Row | None


class RowCopies(PageLoop[Pair]):
    """One run of one page; ``found`` tells how each row stood, ``copied`` which were, or in a dry run would be."""

    read_ahead = 100

    def __init__(
        self,
        request: PageInput,
        dependencies: PageDependencies,
        there: Mapping[RowRef, Row],
        in_documents: Callable[[str, Dek], Awaitable[bool]],
        *,
        missing_only: bool,
    ) -> None:
        self._store = dependencies.store
        super().__init__(request, self._store.container, dependencies.quarantine, dependencies.hold, dependencies.clock)
        self._mek = dependencies.mek
        self._vault = PacedVault(dependencies.mek, self.pacer)
        self._there, self._missing_only = there, missing_only
        self._in_documents = in_documents  # tells whether documents show that this is the DEK of that id
        self._sent: dict[RowRef, Found] = {}  # rows that were written, or may have been: an answer was lost
        self.found: dict[RowRef, Found] = {}
        self.copied: set[RowRef] = set()
        self.retired: dict[RowRef, str | None] = {}  # disabled versions of those, and of rows here that are kept

    @override
    async def fetch(self, ref: RowRef) -> Pair:
        """Read the row here as it is now; nothing writes the other account."""
        return Pair(self._there[ref], await self._store.read(ref, self.request.target_version))

    async def copy(self, ref: RowRef) -> None:
        """Copy the row if it is to be, and note how it stood."""
        await self.settle(ref, lambda pair: self._attempt(ref, pair))

    async def _attempt(self, ref: RowRef, pair: Pair) -> Outcome:
        found, unopened = await self._judge(pair)
        if found is Found.SAME and ref in self._sent:  # only the answer of our write was lost
            return self._copied(ref, self._sent[ref])
        self.found[ref] = found
        self.retired.pop(ref, None)
        if found is Found.RETIRED and pair.here is not None:
            self.retired[ref] = pair.here.version
        if found is Found.NEWER and await self._misses_its_documents(pair):
            return self.quarantine(ref.id, QuarantineReason.KEY_CHECK_MISMATCH, pair.there.version)
        if found not in (Found.MISSING, Found.DAMAGED):
            return Outcome.UNCHANGED
        if (reason := await self._refused(ref, pair, unopened)) is not None:
            return self.quarantine(ref.id, reason, pair.there.version)
        if not self.request.dry_run:
            self._sent[ref] = found
            if (outcome := await self._send(ref, pair)) is not Outcome.CHANGED:
                return outcome
        return self._copied(ref, found)

    def _copied(self, ref: RowRef, found: Found) -> Outcome:
        self.found[ref] = found
        self.copied.add(ref)
        return Outcome.CHANGED

    async def _judge(self, pair: Pair) -> tuple[Found, NotUnwrapped | None]:
        """Return how the row here stands, and of a damaged one why it does not open."""
        there, here = pair.there, pair.here
        if RowKind.FOREIGN in (there.kind, here and here.kind):
            return Found.FOREIGN, None
        if here is None:
            return Found.MISSING, None
        if content(here) == content(there):
            return Found.SAME, None
        if self._missing_only:
            return Found.PRESENT, None
        opened = await self._unwrap(here)
        if isinstance(opened, Unwrapped):
            return Found.NEWER, None
        disabled = opened.reason is QuarantineReason.VERSION_DISABLED
        return (Found.RETIRED if disabled else Found.DAMAGED), opened

    async def _misses_its_documents(self, pair: Pair) -> bool:
        """Tell whether documents open with the DEK of the row there, and the row here, which opens, has another one."""
        there, here = pair.there, pair.here
        if here is None or None in (here.key_check, there.key_check) or here.key_check == there.key_check:
            return False
        opened = await self._unwrap(there)
        return isinstance(opened, Unwrapped) and await self._in_documents(there.id, opened.dek)

    async def _refused(self, ref: RowRef, pair: Pair, here: NotUnwrapped | None) -> QuarantineReason | None:
        """Return why the row there is not to be copied, or None; ``here`` is why the one here does not open."""
        there = await self._unwrap(pair.there)
        expected = _key_check(pair.here, self._store.keyring.row_names.key_check) if pair.here is not None else None
        if isinstance(there, NotUnwrapped):
            untried = there.reason is QuarantineReason.VERSION_DISABLED
            if not untried or (pair.here is not None and (expected is None or expected != pair.there.key_check)):
                return there.reason
            self.retired[ref] = pair.there.version
            return None
        if pair.here is None or here is None:
            return None
        # Of a row that names no version it is not known what it opens under: a disabled version is not asked.
        unknown = pair.here.kind is RowKind.UNLABELLED and here.reason is QuarantineReason.UNWRAP_REFUSED
        if expected is None and not unknown:
            return None
        same = expected is not None and matches_key_check(there.dek, expected)
        if same or here.dek == there.dek or await self._in_documents(pair.there.id, there.dek):
            return None
        return QuarantineReason.UNWRAP_REFUSED if expected is None else QuarantineReason.KEY_CHECK_MISMATCH

    async def _unwrap(self, row: Row) -> Unwrapped | NotUnwrapped:
        with vault_failures("unwrap", self._mek.mek_name):
            return await unwrap_row(row, self._vault.unwrap, self._vault.enabled_versions)

    async def _send(self, ref: RowRef, pair: Pair) -> Outcome:
        """Write the row and read it again: what it holds has just been opened."""
        outcome = await self.written(self._write, pair.there, pair.here)
        if outcome is not Outcome.CHANGED:
            return outcome
        arrived = (await self.fetch(ref)).here
        return outcome if arrived is not None and content(arrived) == content(pair.there) else Outcome.AGAIN

    async def _write(self, there: Row, here: Row | None) -> WriteResult:
        body = {**content(there), FENCE: self.request.run.fencing_token}
        key, container = partition_key_of(there, self._store.keyring), self._store.container
        if here is not None:
            unchanged = MatchConditions.IfNotModified
            replaced = container.replace_item(here.id, body, etag=here.etag, match_condition=unchanged)
            return await conditional_write(RESOURCE, key, replaced, "replace rows")
        async with cosmos_failures(RESOURCE, "create rows"):
            try:
                headers = (await container.create_item(body)).get_response_headers()
            except CosmosResourceExistsError:
                return WriteResult(Outcome.AGAIN, key)
        return WriteResult(Outcome.CHANGED, key, headers.get(SESSION_TOKEN))


def content(row: Row) -> dict[str, Any]:
    """Return what the row holds, without what the account adds and without the fence, which a copy has its own of."""
    return {name: value for name, value in row.item.items() if name not in _SYSTEM and name != FENCE}


def _key_check(row: Row, name: str) -> bytes | None:
    """Return the row's key check, also where the rest of the row is malformed."""
    found = from_base64(row.raw.get(name))
    return found if found is not None and len(found) == KEY_CHECK_BYTES else None

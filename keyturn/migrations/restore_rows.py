"""Copy rows of the dek store back from another account: the one into which a backup of this one was restored.

An operator's own process does it, under their own sign-in, with the app or without. It is a run like any other: a
record, the keyring's lease, a fence, an audit chain. It has no workflow: whoever finds that its lease is renewed no
longer ends it in ``failed``, and whoever runs it again begins anew, and meets as ``same`` what is copied already.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched, chain
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt.dek import Dek
from field_encrypt.row_states import classify
from keyturn.access.identity import Identity
from keyturn.clock import Clock
from keyturn.contracts.base import RunRef, StepInput
from keyturn.contracts.migrations import RestoreRows
from keyturn.contracts.pages import PageInput, QuarantinedRow, RowRef
from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput
from keyturn.cosmos.client import cosmos_failures
from keyturn.deks.copy import Found, RowCopies
from keyturn.deks.page import PageDependencies
from keyturn.deks.queries import has_id, select_rows
from keyturn.diagnosis.document import opens_documents
from keyturn.errors import AbortRequestedError, InvariantError, KeyturnError, PermissionMissingError
from keyturn.keyring_clients import KeyringClients
from keyturn.migrations.start import start_migration
from keyturn.resources import Resources
from keyturn.rotation.start import Workflows
from keyturn.runs import budget
from keyturn.runs.audit import anchor
from keyturn.runs.lease import Hold, read_lease
from keyturn.runs.migration_leases import keep_lease
from keyturn.runs.progress import record_quarantined
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore
from keyturn.runs.transitions import check_live, lose, record_failure, record_step

PAGE = 100  # rows that are compared at a time, and between two looks at the record
SHARE_SECONDS = 5.0  # between two questions for a share of the vault, while others hold it
NAMED_MAX = 100  # rows that a report names


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows, and from where; ``name`` is how records call the container."""

    source: ContainerProxy
    name: str
    ids: Sequence[str] | None = None  # None: all
    missing_only: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Compared:
    """What was found and done so far."""

    run_id: str | None = None  # None of a dry run, which leaves no record
    found: Counter[Found] = field(default_factory=Counter)
    copied: Counter[Found] = field(default_factory=Counter)  # or, in a dry run, would be
    retired: set[str] = field(default_factory=set)  # disabled versions that copied rows, or rows here, name
    named: dict[str, Found] = field(default_factory=dict)  # the first of the copied rows
    left: list[QuarantinedRow] = field(default_factory=list)  # missing or damaged, and not to be had from there
    absent: list[str] = field(default_factory=list)  # ids that were asked for and that the other account has not

    def add(self, page: RowCopies) -> None:
        """Add what a page came to."""
        self.found.update(page.found.values())
        self.copied.update(page.found[ref] for ref in page.copied)
        self.named |= {ref.id: page.found[ref] for ref in list(page.copied)[: NAMED_MAX - len(self.named)]}
        self.retired |= {version for version in page.retired.values() if version is not None}

    @property
    def summary(self) -> str:
        """What came of it, for the record."""
        copied = ", ".join(f"{count} {found}" for found, count in sorted(self.copied.items())) or "none"
        versions = f"; they name retired versions: {', '.join(sorted(self.retired))}" if self.retired else ""
        return f"rows copied: {copied}; left: {len(self.left) + len(self.absent)}{versions}"


async def restore_rows(
    resources: Resources,
    keyring: KeyringClients,
    wanted: Wanted,
    operator: Identity,
    *,
    reason: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> Compared:
    """Compare, and copy what is missing or damaged here; a dry run changes nothing, and leaves no record.

    Raises:
        RotationRunningError, MigrationRunningError: another run holds the keyring.
        FencedError: another process took the keyring over; it does the rest.
        AbortRequestedError: an operator asked to end it.
        KeyturnError: of the kind that the failure means; what is copied stays, and another call does the rest.
    """
    clock = resources.clock
    if wanted.dry_run:
        run = RunRef(run_id="(dry run)", keyring=keyring.keyring.name, fencing_token=0)
        return await _Copying(resources, keyring, wanted, clock, tell).run(run, None)
    record = await _begin(resources, keyring, wanted, operator, reason, tell, clock)
    try:
        compared = await _Copying(resources, keyring, wanted, clock, tell).run(record.ref, record)
        await _give_back(resources, keyring, record, clock)
        step = StepInput(run=record.ref, step=record.step + 1, target=State.COMPLETED, detail=compared.summary)
        await _leave(resources, keyring, await record_step(resources.migrations, step, clock.now()), clock)
    except BaseException as error:
        with suppress(KeyturnError):  # where that cannot be told either, the lease runs out
            await _give_back(resources, keyring, record, clock)
            await _leave(resources, keyring, await _failed(resources.migrations, record, error, clock.now()), clock)
        raise
    return compared


async def _begin(
    resources: Resources,
    keyring: KeyringClients,
    wanted: Wanted,
    operator: Identity,
    reason: str,
    tell: Callable[[str], None],
    clock: Clock,
) -> MigrationRecord:
    runs, name = resources.migrations, keyring.keyring.name
    lease = await read_lease(runs, name)
    earlier = await resources.every_run.find(lease.holder) if lease is not None and lease.holder is not None else None
    if isinstance(earlier, MigrationRecord) and isinstance(earlier.work, RestoreRows) and not earlier.ended:
        # Of a process that was killed. Where it lives, it has lost its lease, and changes nothing any more.
        tell(f"{earlier.run_id}, which has not ended, is ended: this goes on in its place")
        await lose(runs, earlier.run_id, f"{operator.name} began anew", clock.now())
        await _give_back(resources, keyring, earlier, clock)
    record = await start_migration(
        runs,
        RestoreRows(source=wanted.name),
        keyring=name,
        requested_by=operator.name,
        requested_by_id=operator.object_id,
        reason=reason,
        dry_run=False,
        policy=resources.settings.policy,
        workflows=Workflows(is_alive=_is_alive, start=_start),
        now=clock.now(),
    )
    await keep_lease(runs.documents, record, clock.now())
    which = "all rows" if wanted.ids is None else f"{len(wanted.ids)} rows by id"
    detail = f"{which}{', those that are missing' if wanted.missing_only else ''}, of {wanted.name}"
    begun = StepInput(run=record.ref, step=record.step + 1, target=State.RUNNING, detail=detail)
    record = await record_step(runs, begun, clock.now())
    await anchor(runs.audit, keyring.versions, record)
    return record


async def _is_alive(_instance_id: str) -> bool:
    return True  # as far as is known here: a run of the app's is left to the app


async def _start(record: RunRecord) -> None:
    raise InvariantError("a workflow was to be started without the app", rotationId=record.run_id)


async def _failed(
    runs: MigrationStore, record: MigrationRecord, error: BaseException, now: datetime
) -> MigrationRecord:
    """End the run, and return its record; raises KeyturnError of the kind that a failure means."""
    if isinstance(error, AbortRequestedError):
        return await record_step(runs, StepInput(run=record.ref, step=record.step + 1, target=State.ABORTED), now)
    said = error.message if isinstance(error, KeyturnError) else "the process was ended"
    failure = FailureInput(run=record.ref, step=record.step, error_type=type(error).__name__, message=said)
    return await record_failure(runs, failure, now)


async def _give_back(resources: Resources, keyring: KeyringClients, record: RunRecord, clock: Clock) -> None:
    """Give the vault's budget back, before the run ends: whoever finds one that has not ended does it in its place."""
    documents = resources.migrations.documents
    await budget.give_back(documents, keyring.keyring.vault_url, record.run_id, clock.now())


async def _leave(resources: Resources, keyring: KeyringClients, ended: MigrationRecord, clock: Clock) -> None:
    """Give the lease of other migrations back, and anchor the run's audit chain."""
    await keep_lease(resources.migrations.documents, ended, clock.now())
    await anchor(resources.migrations.audit, keyring.versions, ended)


@dataclass(frozen=True, slots=True)
class _Copying:
    """One call."""

    resources: Resources
    keyring: KeyringClients
    wanted: Wanted
    clock: Clock
    tell: Callable[[str], None]
    compared: Compared = field(default_factory=Compared)

    async def run(self, run: RunRef, record: MigrationRecord | None) -> Compared:
        compared, dependencies = self.compared, self._dependencies(run, record)
        compared.run_id = None if record is None else record.run_id
        async for items in self._pages():
            rows = [classify(item, self.keyring.keyring, "") for item in items]
            refs = {RowRef(id=row.id, partition=row.partition): row for row in rows}
            request = PageInput(
                run=run,
                target_version="",
                dry_run=record is None,
                refs=list(refs),
                operations_per_second=await self._rate(record),
            )
            missing_only = self.wanted.missing_only
            page = RowCopies(request, dependencies, refs, self._in_documents, missing_only=missing_only)
            try:
                await page.run(page.copy)
            finally:
                compared.add(page)
            self.tell(f"{compared.found.total()} rows compared")
        return compared

    def _dependencies(self, run: RunRef, record: MigrationRecord | None) -> PageDependencies:
        async def quarantine(rows: Sequence[QuarantinedRow]) -> None:
            self.compared.left += rows
            if record is not None:
                await record_quarantined(self.resources.every_run, run, rows)

        async def unheld(_read_at: float) -> None:
            """A dry run holds nothing, and writes nothing."""

        hold = unheld if record is None else Hold(self.resources.every_run.documents, run).check
        return PageDependencies(self.keyring.rows, self.keyring.mek, quarantine, hold, self.clock)

    async def _in_documents(self, dek_id: str, dek: Dek) -> bool:
        try:
            return await opens_documents(self.keyring, dek_id, dek)
        except PermissionMissingError as error:
            self.tell(f"row {dek_id} is left, because documents cannot be read: {error.message}")
            return False

    async def _rate(self, record: MigrationRecord | None) -> float:
        """Return what the next page may take of the vault; looks for an abort, and says that the run goes on."""
        policy = self.resources.settings.policy
        if record is None:  # it claims nothing, and so leaves others the larger part
            return policy.vault_operations_per_second / 4
        while True:
            documents, now = self.resources.every_run.documents, self.clock.now()
            found = await self.resources.migrations.read(record.run_id)
            check_live(found, record.ref)
            if found.abort is not None:
                raise AbortRequestedError("an operator asked to end it", rotationId=record.run_id)
            await keep_lease(documents, found, now)
            vault, whole = self.keyring.keyring.vault_url, policy.vault_operations_per_second
            if rate := await budget.claim(documents, vault, record.run_id, policy, whole, now):
                return rate
            self.tell("waiting: other runs hold the vault's budget")
            await self.clock.sleep(SHARE_SECONDS)

    async def _pages(self) -> AsyncIterator[list[dict[str, Any]]]:
        source, ids = self.wanted.source, self.wanted.ids
        if ids is None:
            async with cosmos_failures(self.wanted.name, "query"):
                async for page in source.query_items("SELECT * FROM c", max_item_count=PAGE).by_page():
                    yield [dict(item) async for item in page]
            return
        for part in batched(dict.fromkeys(ids), PAGE, strict=False):
            found = [await select_rows(source, has_id(row_id), "*", resource=self.wanted.name) for row_id in part]
            self.compared.absent += [row_id for row_id, rows in zip(part, found, strict=True) if not rows]
            yield list(chain(*found))

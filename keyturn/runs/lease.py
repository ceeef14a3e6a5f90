"""One run a keyring at a time, rotation or migration: a lease document whose fencing token grows with every run.

The lease and the run's record are written in one transactional batch, so that neither exists without the other. A run
whose token is no longer the lease's has lost it, whatever it still believes.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

from keyturn.contracts.base import RunRef
from keyturn.contracts.states import State
from keyturn.cosmos import client, state_container
from keyturn.errors import CallerError, FencedError, MigrationRunningError, RotationRunningError
from keyturn.ids import RunKind, kind_of, run_link
from keyturn.runs.record import RunRecord
from keyturn.runs.store import EveryRun, Runs

LEASE_ID = "lease"


class Lease(state_container.StoredDocument):
    """Who holds the keyring; it stays when no run does, because the token must keep growing."""

    id: Literal["lease"] = "lease"
    kind: Literal["lease"] = "lease"
    keyring: str
    holder: str | None  # id of a rotation or of a migration
    fencing_token: int
    taken_at: datetime


async def read_lease[R: RunRecord](runs: Runs[R], keyring: str) -> Lease | None:
    """Return the keyring's lease, or None where it was never rotated."""
    return await runs.documents.find(Lease.from_document, keyring, LEASE_ID)


def running(keyring: str, holder: str) -> CallerError:
    """Return the error that names the run that holds the keyring."""
    facts = {"keyring": keyring, "statusUrl": run_link(holder)}
    hint = f"wait for it: keyturn watch {holder}"
    if kind_of(holder) is RunKind.MIGRATION:
        said = f"migration {holder} of keyring {keyring} is running"
        return MigrationRunningError(said, hint=hint, migrationId=holder, **facts)
    said = f"rotation {holder} of keyring {keyring} is running"
    return RotationRunningError(said, hint=hint, rotationId=holder, **facts)


def taken(lease: Lease | None, record: RunRecord) -> Lease:
    """Return the lease as the run takes it, with a greater token than any before; the run's own is returned as it is.

    Raises:
        RotationRunningError: a rotation holds the keyring.
        MigrationRunningError: a migration holds the keyring.
    """
    if lease is not None and lease.holder == record.run_id:
        return lease  # an answer was lost, or the same request came twice
    if lease is not None and lease.holder is not None:
        raise running(record.keyring, lease.holder)
    return Lease(
        keyring=record.keyring,
        holder=record.run_id,
        fencing_token=1 if lease is None else lease.fencing_token + 1,
        taken_at=record.requested_at,
        etag=None if lease is None else lease.etag,
    )


def released(lease: Lease | None, ref: RunRef) -> Lease | None:
    """Return the lease without a holder; None, for there is nothing to write, where the run does not hold it."""
    if lease is None or (lease.holder, lease.fencing_token) != (ref.run_id, ref.fencing_token):
        return None
    return lease.model_copy(update={"holder": None})


async def take[R: RunRecord](runs: Runs[R], record: R, admit: Callable[[], Awaitable[None]] | None = None) -> R:
    """Create the record and take its keyring's lease, both or neither; the record returned carries the token.

    ``admit`` raises where the run may not begin. What it looks at holds until then: no other run has begun meanwhile.

    Raises:
        RotationRunningError: a rotation holds the keyring.
        MigrationRunningError: a migration holds the keyring.
        LostRaceError: others kept changing the lease.
    """

    async def attempt() -> R | None:
        lease = await read_lease(runs, record.keyring)
        try:
            wanted = taken(lease, record)
        except CallerError as error:
            await _say_what_is_waited_for(runs, lease, error)
            raise
        if wanted is lease:
            return await runs.read(record.run_id)
        if admit is not None:
            await admit()
        created = ("create", (record.changed(fencing_token=wanted.fencing_token).to_document(),))
        won = await runs.documents.batch(record.keyring, [created, _write(lease, wanted)])
        return await runs.read(record.run_id) if won else None

    return await state_container.until_won(attempt, LEASE_ID)


async def _say_what_is_waited_for[R: RunRecord](runs: Runs[R], lease: Lease | None, error: CallerError) -> None:
    """Add to the refusal, where the holder waits for a decision, until when it does and how it is ended before."""
    holder = await EveryRun(runs.documents).find(lease.holder) if lease is not None and lease.holder else None
    if holder is None or holder.state is not State.AWAITING_APPROVAL or holder.approval_expires_at is None:
        return
    error.facts |= {"state": holder.state.value, "approvalExpiresAt": holder.approval_expires_at.isoformat()}
    reject = f"an approver ends it: keyturn reject {holder.run_id} --digest {holder.evidence_digest} --comment WHY"
    error.hint = f"it waits for a decision; {reject}; an operator ends it: keyturn abort {holder.run_id}"


def _write(old: Lease | None, new: Lease) -> tuple[Any, ...]:
    if old is None:
        return ("create", (new.to_document(),))
    return ("replace", (LEASE_ID, new.to_document()), {"if_match_etag": old.etag})


async def retake[R: RunRecord](runs: Runs[R], record: R, change: Callable[[R], R]) -> R:
    """Take the keyring anew for the run that holds it, with the record as it is changed, both or neither.

    A record that has another token than the given one, or has ended, is returned as it is: another run was here.

    Raises:
        FencedError: the run does not hold its keyring.
        LostRaceError: others kept changing the record or the lease.
    """

    async def attempt() -> R | None:
        lease, found = await read_lease(runs, record.keyring), await runs.read(record.run_id)
        if found.fencing_token != record.fencing_token or found.ended:
            return found
        if lease is None or lease.holder != record.run_id:
            raise FencedError(
                "the run does not hold its keyring", rotationId=record.run_id, holder=lease and lease.holder
            )
        wanted = lease.model_copy(update={"fencing_token": lease.fencing_token + 1})
        changed = change(found).changed(fencing_token=wanted.fencing_token).to_document()
        replaced = ("replace", (record.run_id, changed), {"if_match_etag": found.etag})
        won = await runs.documents.batch(record.keyring, [replaced, _write(lease, wanted)])
        return await runs.read(record.run_id) if won else None

    return await state_container.until_won(attempt, LEASE_ID)


async def release[R: RunRecord](runs: Runs[R], record: R) -> None:
    """Give the keyring back; nothing happens where this run does not hold it (any more)."""
    await runs.documents.update(
        Lease.from_document, record.keyring, LEASE_ID, lambda lease: released(lease, record.ref)
    )


class Hold:
    """A run's hold on its keyring, looked at where the lease is written: no replica lags, and no clocks are compared.

    What was read before such a look began was read while no later run had begun. So it is neither what a later run
    wrote nor under a version that a later run made, and a write on condition of its ETag undoes nothing of theirs.
    """

    def __init__(self, documents: state_container.StateContainer, ref: RunRef) -> None:
        self._documents = documents
        self._ref = ref
        self._looking = asyncio.Lock()
        self._held_at = -math.inf  # when the last look began that found the lease held

    async def check(self, read_at: float) -> None:
        """Make sure that the run held its lease after ``read_at``, in seconds of ``time.monotonic``.

        Raises:
            FencedError: the run does not hold its keyring any more.
            KeyturnError: of the kind that the database's failure means.
        """
        async with self._looking:  # those who wait here share the next look
            if self._held_at > read_at:
                return
            began = time.monotonic()
            if not await self._is_held():
                raise FencedError("the run does not hold its keyring", rotationId=self._ref.run_id, holder=None)
            self._held_at = began

    async def _is_held(self) -> bool:
        """Ask by a patch of the lease for the case that it is lost, which the service decides as it does any write.

        Refused with 412, nothing is written. Where the lease is lost, the patch leaves a mark that is never read.
        """
        holder = f"IS_STRING(c.holder) AND c.holder = {json.dumps(self._ref.run_id)}"
        token = f"IS_NUMBER(c.fencingToken) AND c.fencingToken = {int(self._ref.fencing_token)}"
        mark, lost = {"op": "set", "path": "/_lost", "value": True}, f"FROM c WHERE NOT ({holder} AND {token})"
        patch = self._documents.container.patch_item
        async with client.cosmos_failures("the keyturn container", "patch"):
            try:
                await patch(LEASE_ID, self._ref.keyring, [mark], filter_predicate=lost)
            except CosmosAccessConditionFailedError:
                return True
            except CosmosResourceNotFoundError as error:
                if not client.is_absent_item(error):
                    raise
        return False

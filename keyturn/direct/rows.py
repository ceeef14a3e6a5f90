"""Move rows without the app: onto a version, or back to where a rotation found them.

Where a rotation or a migration holds the keyring, that very run is taken over and its rows are moved: one record, one
chain, one version. Otherwise a migration of the app's own kinds is begun. No version is made and none is disabled here.
"""

import shlex
from typing import Any

from keyturn import steps
from keyturn.contracts.base import RunInput
from keyturn.contracts.characters import counted
from keyturn.contracts.migrations import RewrapDeks, Rollback, Work
from keyturn.contracts.passes import Moved
from keyturn.contracts.states import State
from keyturn.contracts.steps import CreateVersionInput, ReinstateInput
from keyturn.deks.census import take_census
from keyturn.direct.run import DirectRun
from keyturn.direct.session import Direct
from keyturn.direct.takeover import REASON, WORKFLOWS, app_answers, end, holder_of, take_over
from keyturn.errors import InvalidRequestError, NotWithoutAppError, RowsLeftError, SettingsError, WrongStateError
from keyturn.keyring_clients import KeyringClients
from keyturn.migrations.requests import RewrapDeksRequest, require_not_overtaken, rollback_work
from keyturn.migrations.start import start_migration
from keyturn.runs.lease import running
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord


async def rewrap(
    direct: Direct,
    keyring: str | None,
    *,
    new_version: str | None = None,
    old_version: str | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> RunRecord:
    """Move the rows of the run under way, or else those under ``old_version``, or all, onto ``new_version``.

    Without ``new_version`` it is the newest enabled one. Returns the run's record.

    Raises:
        UnknownKeyringError: there is no such keyring; it lists those that there are.
        InvalidRequestError: a version is none of the key's, or not that of the run under way.
        NotWithoutAppError: the app is at work on the run under way, or the run has no version yet.
        RotationRunningError: a dry run was asked for, and a rotation is under way.
        MigrationRunningError: a migration of another kind holds the keyring.
        RowsLeftError: a row could not be moved.
        SettingsError: the dek store has rows, and none of this key.
    """
    clients = direct.resources.keyring(keyring)
    name = clients.keyring.name
    holder = await holder_of(direct, name)
    if holder is not None and dry_run:
        raise running(name, holder.run_id)
    if isinstance(holder, RotationRecord):
        return await _finish_rotation(direct, holder, new_version, old_version, force=force)
    if isinstance(holder, MigrationRecord):
        if not isinstance(holder.work, RewrapDeks):
            raise running(name, holder.run_id)
        _require_same("newVersion", new_version, [holder.work.new_version], holder)
        _require_same("oldVersion", old_version, [holder.work.old_version], holder)
        return await _rewrap_deks(await take_over(direct, holder, force=force), holder.work)
    newest = new_version or (await clients.mek.newest_enabled()).version
    request = RewrapDeksRequest(kind="rewrap-deks", new_version=newest, old_version=old_version)
    work = await request.work(clients.versions)
    if not dry_run and (done := await _done(direct, clients, work)) is not None:
        return done
    return await _rewrap_deks(await _begin(direct, name, work, dry_run=dry_run), work)


async def _done(direct: Direct, clients: KeyringClients, work: RewrapDeks) -> RunRecord | None:
    """Return the last migration where it did this very work, here, and left nothing: a kill may have hidden its end."""
    for last in await direct.resources.migrations.newest(clients.keyring.name, limit=1):
        if (last.work, last.reason, last.state, last.dry_run) != (work, REASON, State.COMPLETED, False):
            continue
        if work.left(await direct.keep_trying(lambda: take_census(clients.rows, work.new_version, {}))) == 0:
            direct.tell(f"{last.run_id} has ended, and nothing is left since")
            return last
    return None


def _require_same(field: str, asked: str | None, own: "list[str | None] | list[str]", record: RunRecord) -> None:
    """Raise InvalidRequestError where a version is asked for that is not the run's own."""
    if asked is not None and asked not in own:
        names = ", ".join(name for name in own if name) or "none"
        raise InvalidRequestError.expected(field, f"{names}, as {record.run_id} has it, which holds the keyring")


async def _begin(direct: Direct, keyring: str, work: Work, *, dry_run: bool) -> DirectRun:
    if await app_answers(direct):  # which finds a run without a workflow at its next tick
        direct.tell(f"the app answers at {direct.app_url}, and may go on with this run itself; then this ends with 73")
    record = await start_migration(
        direct.resources.migrations,
        work,
        keyring=keyring,
        requested_by=direct.operator.name,
        requested_by_id=direct.operator.object_id,
        reason=REASON,
        dry_run=dry_run,
        policy=direct.resources.settings.policy,
        workflows=WORKFLOWS,
        now=direct.now(),
    )
    return DirectRun(direct, record)


async def _finish_rotation(
    direct: Direct, record: RotationRecord, new_version: str | None, old_version: str | None, *, force: bool
) -> RunRecord:
    """Move what is left of a rotation's rows; the app goes on with its soak."""
    if record.target_version is None:
        hint = f"the app goes on with it when it is back; to end it: keyturn direct abort {record.run_id}"
        said = f"{record.run_id} has made no version yet, which the app does"
        raise NotWithoutAppError(said, rotationId=record.run_id, state=record.state.value, hint=hint)
    _require_same("newVersion", new_version, [record.target_version], record)
    _require_same("oldVersion", old_version, record.old_versions, record)
    run = await take_over(direct, record, force=force)
    if run.record.ended:
        return run.record  # an abort was asked for before
    await run.advance(State.SWEEPING)
    policy = record.policy
    looked = CreateVersionInput(run=run.record.ref, key_size=policy.key_size, creation_settle=policy.creation_settle)
    # A creation that was given up may have taken effect since: writers are on that version then. None is made.
    target = await direct.keep_trying(lambda: steps.create_version(looked, direct.resources, direct.now()))
    moved = await run.move("rewrap", target.version, lambda census: census.stale)
    told = f"moved {counted(moved.changed, 'row')}, none is left under an old version: the app goes on with the soak"
    await run.advance(State.NEEDS_ATTENTION, moved.unsettled or told)
    return _require_all(run, moved)


async def _rewrap_deks(run: DirectRun, work: RewrapDeks) -> RunRecord:
    """Do what the app's migration of this kind does."""
    if run.record.ended:
        return run.record
    await run.advance(State.RUNNING)
    if isinstance(run.record, MigrationRecord) and run.record.dry_run:
        census = await run.census(work.new_version)
        checked, _ = await run.row_pass("rewrap_chosen", work.new_version, dry_run=True)
        await run.advance(State.COMPLETED, work.found(checked, census))
        return run.record
    return await _settle(run, await run.move("rewrap_chosen", work.new_version, work.left))


async def _settle(run: DirectRun, moved: Moved, found: str = "") -> RunRecord:
    """Complete a migration of whose rows none is left; where one is, it waits, and :func:`_require_all` raises."""
    said = moved.unsettled or f"{found}{moved.said}"
    await run.advance(State.NEEDS_ATTENTION if moved.unsettled else State.COMPLETED, said)
    return _require_all(run, moved)


def _require_all(run: DirectRun, moved: Moved) -> RunRecord:
    if not moved.unsettled:
        return run.record
    if moved.unsettled == moved.astray:
        hint = f"keyturn direct abort {run.record.run_id}; and the same command again with the right settings"
        raise SettingsError(f"{run.record.run_id}: {moved.astray}", hint=hint, rotationId=run.record.run_id)
    named = [row.to_payload() for row in run.record.quarantined.named]
    facts: dict[str, Any] = {"rotationId": run.record.run_id, "rows": max(moved.left, moved.quarantined)}
    hint = "stop the writers that wrap under another version, and run the same command again"
    if named:
        look = f"keyturn direct diagnose dek {shlex.quote(named[0]['id'])} --keyring {run.record.keyring}"
        hint = f"look at each ({look}), repair or delete it, and run the same command again"
    raise RowsLeftError(f"{run.record.run_id}: {moved.unsettled}", named=named, hint=hint, **facts)


async def roll_back(direct: Direct, rotation_id: str, *, dry_run: bool = False, force: bool = False) -> RunRecord:
    """Move the rows of a rotation back to the version that they came from; one under way is ended first.

    What the rotation has retired is enabled only with the approval of another person, which the app takes.

    Raises:
        UnknownRotationError: there is no such rotation.
        WrongStateError: it made no version, or a later one has moved rows.
        NotWithoutAppError: an approval is missing, or nothing is left to roll back.
        RowsLeftError: a row could not be moved back.
    """
    runs = direct.resources.run_store
    rotation = await runs.read(rotation_id)
    holder = await holder_of(direct, rotation.keyring)
    if isinstance(holder, MigrationRecord) and isinstance(holder.work, Rollback) and not dry_run:
        if holder.work.rotation.run_id != rotation_id:
            raise running(rotation.keyring, holder.run_id)
        run = await take_over(direct, holder, force=force)
        return await _roll_back(run, holder.work)
    if holder is not None and (holder.run_id != rotation_id or dry_run):
        raise running(rotation.keyring, holder.run_id)
    work = await rollback_work(rotation, runs)  # one without a version is not ended for it
    await require_not_overtaken(rotation, runs, direct.resources.migrations)
    if holder is not None:
        await end(direct, rotation_id, force=force)
        work = await rollback_work(await runs.read(rotation_id), runs)
    return await _roll_back(await _begin(direct, rotation.keyring, work, dry_run=dry_run), work)


async def _roll_back(run: DirectRun, work: Rollback) -> RunRecord:
    """Do what the app's migration of this kind does, but for asking: without an approval it waits."""
    if run.record.ended:
        return run.record
    direct, resources, target = run.direct, run.direct.resources, work.new_version
    await run.advance(State.RUNNING)
    checked, _ = await run.row_pass("roll_back", target, dry_run=True)
    census = await run.census(target, rewrapped_by=work.rotation.run_id)
    given = RunInput(run=run.record.ref)
    later = (await direct.keep_trying(lambda: steps.count_changed_since(given, resources))).rows
    found = work.found(checked, census, later)
    if isinstance(run.record, MigrationRecord) and run.record.dry_run:
        await run.advance(State.COMPLETED, f"dry run: {found}")
        return run.record
    if later and not checked.changed + checked.quarantined:
        await run.advance(State.ABORTED, f"nothing is left to roll back: {found}")
        rewrap_them = f"keyturn direct rewrap --keyring {run.record.keyring} --new-mek-version VERSION"
        hint = f"move them onto the version that you want, enabled: {rewrap_them}"
        raise NotWithoutAppError(f"nothing is left to roll back: {found}", rotationId=run.record.run_id, hint=hint)
    await _check_approval(run, work)
    undo = ReinstateInput(run=run.record.ref, rotation=work.rotation, reason=f"rolled back by {run.record.run_id}")
    await direct.keep_trying(lambda: steps.reinstate_versions(undo, resources, direct.now()))
    moved = await run.move("roll_back", target, lambda counted: counted.rewrapped, rewrapped_by=work.rotation.run_id)
    return await _settle(run, moved, f"{found}; back: ")


async def _check_approval(run: DirectRun, work: Rollback) -> None:
    """Raise NotWithoutAppError, and let the rollback wait, where another person has yet to approve what it enables."""
    rotation, decision = await run.resources.run_store.read(work.rotation.run_id), run.record.decision
    if decision is not None and decision.decision == "rejected":
        await run.advance(State.ABORTED, f"rejected by {decision.by}")
        raise WrongStateError(f"{decision.by} rejected the rollback", rotationId=run.record.run_id, state="aborted")
    approved = decision is not None and bool(run.record.evidence_intact)
    if approved or not (work.approval and rotation.retirement_in_force):
        return
    said = f"another person has to approve that these are enabled: {', '.join(rotation.retired)}"
    await run.advance(State.NEEDS_ATTENTION, f"{said}; the app asks for it")
    hint = (
        f"when the app is back it asks: keyturn retry {run.record.run_id}; without it one operator may take the "
        f"retirement back: keyturn direct reinstate {rotation.run_id}; then the same command again"
    )
    raise NotWithoutAppError(said, rotationId=run.record.run_id, state=State.NEEDS_ATTENTION.value, hint=hint)

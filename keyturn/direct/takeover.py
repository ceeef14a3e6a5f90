"""Take over a run whose workflow is gone with the app: with a greater fencing token, as the app itself would.

What the workflow still has under way changes nothing any more. When the app is back, the run goes on with another
workflow, under a greater token again.
"""

from http import HTTPStatus

import aiohttp

from keyturn import steps
from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.direct.run import NAME, DirectRun, signed
from keyturn.direct.session import Direct
from keyturn.errors import InvariantError, NotWithoutAppError
from keyturn.rotation.start import Workflows, resume_orphan
from keyturn.runs.commands import record_command
from keyturn.runs.lease import read_lease, retake
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.transitions import resume

HEALTH_SECONDS = 10.0
REASON = f"{NAME}: without the app"  # of a run that was begun here


async def _is_alive(_instance_id: str) -> bool:
    return True  # as far as is known here: a run is taken over by name, never on the way to another


async def _start(record: RunRecord) -> None:
    raise InvariantError("a workflow was to be started without the app", rotationId=record.run_id)


WORKFLOWS = Workflows(is_alive=_is_alive, start=_start)


async def holder_of(direct: Direct, keyring: str) -> RunRecord | None:
    """Return the run that holds the keyring, if one does; raises KeyturnError of the kind that a failure means."""
    runs = direct.resources.every_run
    await resume_orphan(runs.documents, keyring, WORKFLOWS, direct.now())  # frees it of a run that has ended
    lease = await read_lease(runs, keyring)
    return await runs.read(lease.holder) if lease is not None and lease.holder is not None else None


async def take_over(direct: Direct, record: RunRecord, *, force: bool) -> DirectRun:
    """Take the run over: it waits in ``needs_attention``, or has ended where an abort was asked for.

    Versions that it was disabling are enabled again first, as the app would.

    Raises:
        NotWithoutAppError: the app answers, and ``force`` does not say that it is to be taken over all the same.
        FencedError: the run does not hold its keyring.
    """
    await _require_app_down(direct, record, force=force)
    runs, now = direct.resources.every_run, direct.now()
    if record.state is State.REQUESTED:
        record = await retake(runs, record, lambda found: found)
    else:
        record = await resume(runs, record, now, signed(direct, "took the run over"))
        await steps.follow(record, direct.resources, now)
    run = DirectRun(direct, record)
    if isinstance(record, RotationRecord) and record.retirement_step and not record.ended:
        await run.reinstate("the workflow was lost")
    return run


async def end(direct: Direct, run_id: str, *, force: bool) -> RunRecord:
    """End a run in ``aborted``, and return its record; a run that has ended is returned as it is.

    Raises:
        NotWithoutAppError: the app answers (see :func:`take_over`), or the run is a restore.
    """
    runs = direct.resources.every_run
    record = await runs.read(run_id)
    if record.ended:
        return record
    if isinstance(record, MigrationRecord) and isinstance(record.work, Restore):
        hint = f"when the app is back: keyturn abort {run_id}"
        raise NotWithoutAppError(
            "a restore has versions enabled, which the app disables again", rotationId=run_id, hint=hint
        )
    await _require_app_down(direct, record, force=force)
    by = direct.operator.name
    if State.ABORTED in record.transitions[record.state]:  # then it ends as it is taken over
        await record_command(runs, run_id, "abort", by=by, now=direct.now())
    run = await take_over(direct, record, force=True)
    if not run.record.ended:
        await record_command(runs, run_id, "abort", by=by, now=direct.now())
        await run.advance(State.ABORTED)
    return run.record


async def _require_app_down(direct: Direct, record: RunRecord, *, force: bool) -> None:
    """Raise NotWithoutAppError where the app may be at work on the run."""
    begun_here = record.state is State.REQUESTED and record.reason == REASON
    if force or begun_here or record.history[-1].detail.startswith(NAME):
        return
    url = direct.app_url
    if url is not None and not await app_answers(direct):
        direct.tell(f"the app does not answer at {url}: {record.run_id} is taken over")
        return
    found = "whether the app is down cannot be told: KEYTURN_URL is not set" if url is None else "the app answers"
    hint = f"let it go on: keyturn watch {record.run_id}; if it cannot, the same command with --take-over"
    state = record.state.value
    raise NotWithoutAppError(
        f"{record.run_id} is {state}, and {found}", rotationId=record.run_id, state=state, hint=hint
    )


async def app_answers(direct: Direct) -> bool:
    """Tell whether the app is known to be up."""
    if direct.app_url is None:
        return False
    url = f"{direct.app_url.rstrip('/')}/api/health"
    timeout = aiohttp.ClientTimeout(total=HEALTH_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as answer:
            return answer.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False

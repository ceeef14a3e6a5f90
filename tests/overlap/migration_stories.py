"""Migrations of each kind."""

from collections.abc import Awaitable, Callable
from typing import Any

from keyturn.contracts.migrations import (
    DecryptCheck,
    DisableAgainInput,
    EnableTemporarilyInput,
    Encrypt,
    Reencrypt,
    RestoreInput,
    RewrapDeks,
)
from keyturn.contracts.passes import CensusInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import DecisionInput
from keyturn.migrations.requests import rollback_work
from tests.invariants.migrating import RestoreDriver, adopting, begun, restore_wanted
from tests.invariants.steps import Steps
from tests.keyturn.local_keyring import encoded
from tests.overlap.harness import Worker
from tests.overlap.story import FAR, NOTES, ROWS, Story, failed, undoing

# --- migrations


async def _migration_of(worker: Worker, work: Any) -> Steps:
    return Steps(worker, await begun(worker, work))


async def begin_rewrap(worker: Worker) -> Steps:
    """Request a migration of rows onto another version."""
    await worker.local_keyring.add_many(ROWS, worker.old)
    target = await worker.local_keyring.mek.create()
    driver = await _migration_of(worker, RewrapDeks(new_version=target))
    driver.target = target
    return driver


async def begin_rewrap_running(worker: Worker) -> Steps:
    """Have such a migration running."""
    driver = await begin_rewrap(worker)
    await driver.advance(State.RUNNING)
    return driver


async def begin_rollback(worker: Worker) -> Steps:
    """Request that a rotation which has moved its rows, and adopted another's, is rolled back."""
    work = await rollback_work(await adopting(worker, rows=ROWS // 2), worker.runs)
    await _damage_a_previous_wrap(worker)
    driver = await _migration_of(worker, work)
    driver.target, driver.work_of = work.new_version, work  # type: ignore[attr-defined]  # of a migration
    return driver


async def _classify(driver: Steps) -> None:
    await driver.advance(State.RUNNING)
    await driver.act("take_census", CensusInput(run=driver.ref, target_version=driver.target))


async def _damage_a_previous_wrap(worker: Worker) -> None:
    row = (await worker.rows())[0]
    damage = [{"op": "set", "path": "/previousWrap/wrappedDek", "value": encoded(bytes(256))}]
    await worker.local_keyring.container.patch_item(row["id"], row["id"], damage)


async def begin_restore(worker: Worker) -> RestoreDriver:
    """Request a restore of rows under a version that is disabled."""
    return RestoreDriver(worker, await restore_wanted(worker, ROWS))


async def _snapshot(driver: RestoreDriver) -> None:
    found = await driver.act("freeze_restore", looking(driver))
    driver.digest, driver.target = found["evidenceDigest"], found["targetVersion"]
    await driver.advance(State.AWAITING_APPROVAL)


def looking(driver: Any) -> RestoreInput:
    """Return the input of freeze_restore."""
    return RestoreInput(run=driver.ref, step=driver.step, expires_at=FAR)


async def _approve(driver: RestoreDriver) -> None:
    await driver.harness.decide(await driver.harness.resources.migrations.read(driver.run_id))
    await driver.act("read_decision", DecisionInput(run=driver.ref, evidence_digest=driver.digest))
    await driver.advance(State.RUNNING)


async def _enable(driver: RestoreDriver) -> None:
    await driver.act("enable_temporarily", EnableTemporarilyInput(run=driver.ref, evidence_digest=driver.digest))


async def _disable(driver: RestoreDriver) -> None:
    await driver.act("disable_again", DisableAgainInput(run=driver.ref, session_tokens=driver.tokens))


def _begin_documents(kind: type[Any], *, encrypted: bool) -> Callable[[Worker], Awaitable[Steps]]:
    async def begin(worker: Worker) -> Steps:
        [notes] = worker.resources.keyring(worker.keyring).documents.values()
        for number in range(NOTES):
            await notes.create_item({"id": f"note-{number}", "title": f"title {number}"})
        if encrypted:
            driver = await _migration_of(worker, Encrypt(containers=[notes.id]))
            await DOCUMENTS["encrypt"].run_through(driver, "requested", "completed", lambda *_: None)
        more = {"target_keyring": worker.keyring} if kind is Reencrypt else {}
        return await _migration_of(worker, kind(containers=[notes.id], **more))

    return begin


def _documents(kind: type[Any], operation: str, *, encrypted: bool) -> Story:
    async def prove(driver: Steps) -> None:
        await driver.work("prove_documents", "notes")

    return Story(
        _begin_documents(kind, encrypted=encrypted),
        {
            "requested": lambda driver: driver.advance(State.RUNNING),
            "running": lambda driver: driver.work(operation, "notes"),
            "worked": prove,
            "proven": lambda driver: driver.advance(State.COMPLETED),
        },
    )


DOCUMENTS = {
    "encrypt": _documents(Encrypt, "encrypt_documents", encrypted=False),
    "re-encrypt": _documents(Reencrypt, "reencrypt_documents", encrypted=True),
    "decrypt-check": _documents(DecryptCheck, "check_documents", encrypted=True),
}

ROWS_MOVED = {
    "rewrap-deks": Story(
        begin_rewrap,
        {
            "requested": lambda driver: driver.advance(State.RUNNING),
            "running": lambda driver: driver.work("rewrap_chosen"),
            "moved": lambda driver: driver.advance(State.COMPLETED),
        },
    ),
    "rewrap-deks failure": Story(begin_rewrap_running, {"running": failed}, end="failed"),
    "rollback": Story(
        begin_rollback,
        {
            "requested": _classify,
            "running": lambda driver: driver.act("reinstate_versions", undoing(driver)),
            "reinstated": lambda driver: driver.work("roll_back"),
            "moved": lambda driver: driver.advance(State.COMPLETED),
        },
    ),
    "restore": Story(
        begin_restore,
        {
            "requested": lambda driver: driver.advance(State.RUNNING),
            "running": _snapshot,
            "awaiting": _approve,
            "approved": _enable,
            "enabled": lambda driver: driver.work("rewrap_chosen"),
            "moved": _disable,
            "returned": lambda driver: driver.advance(State.COMPLETED),
        },
    ),
}

"""Each right of the app's identity, taken away in turn: pre-flight names it, and nothing is half done."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from local.identity.roles import CONTAINERS, COSMOS, KEYS, container
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER, NOTES_CONTAINER, RUN_CONTAINER
from tests.end_to_end.guarded import GuardedApp

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("guarded"), pytest.mark.long]


def on(name: str, action: str) -> str:
    """Return the right to do something in one container."""
    return f"{CONTAINERS}/{action}@{container(COSMOS_DATABASE, name)}"


# The check of pre-flight that finds out that a right is missing.
CHECKS = {
    f"{KEYS}/read": "can_read_key",
    f"{KEYS}/create/action": "can_create_version",
    f"{KEYS}/update/action": "can_update_version",
    f"{KEYS}/unwrap/action": "can_wrap_and_unwrap",
    f"{KEYS}/backup/action": "key_backup",
    f"{COSMOS}/read": "backup",
    on(DEK_CONTAINER, "items/read"): "can_read_rows",
    on(DEK_CONTAINER, "items/replace"): "can_patch_rows",
    on(DEK_CONTAINER, "executeQuery"): "can_query",
    on(DEK_CONTAINER, "readChangeFeed"): "can_read_change_feed",
    on(NOTES_CONTAINER, "items/read"): "can_read_documents",
    on(NOTES_CONTAINER, "executeQuery"): "can_read_documents",
    on(NOTES_CONTAINER, "readChangeFeed"): "can_read_documents",
}

# Without these the account is not found, the starts of a day are not counted or the run has no record: the start is
# refused.
AT_THE_DOOR = {
    f"{COSMOS}/readMetadata",
    on(RUN_CONTAINER, "executeQuery"),
    on(RUN_CONTAINER, "readChangeFeed"),
    *(on(RUN_CONTAINER, f"items/{action}") for action in ("create", "read", "replace")),
}


@pytest.fixture(scope="module", autouse=True)
async def begun(guarded: GuardedApp) -> AsyncIterator[None]:
    """A keyring that has had a rotation before, as every one but a new one has; in the end an app with all rights."""
    await guarded.callers.wait_for(await guarded.start(dryRun=True), "completed")
    yield
    await asyncio.to_thread(guarded.restart_app)


def test_every_right_is_taken_away_once(guarded: GuardedApp) -> None:
    """The tables below name all that the app's identity holds, and nothing else."""
    assert sorted(guarded.app_identity["roles"]) == sorted([*CHECKS, *AT_THE_DOOR])


@pytest.mark.parametrize("right", CHECKS, ids=lambda right: right.removeprefix("Microsoft."))
async def test_a_missing_right_blocks_the_rotation(guarded: GuardedApp, right: str) -> None:
    """The rotation is blocked by the check that is for this right; no version was made, no row was moved."""
    before = (await guarded.versions(), await guarded.census())

    async with guarded.without(right):
        run_id = await guarded.start()
        status = await guarded.callers.wait_for(run_id, "blocked")

    assert CHECKS[right] in status["failedChecks"]
    assert (await guarded.versions(), await guarded.census()) == before


@pytest.mark.parametrize("right", sorted(AT_THE_DOOR), ids=lambda right: right.removeprefix("Microsoft."))
async def test_without_its_records_nothing_begins(guarded: GuardedApp, right: str) -> None:
    """The start is refused and says that a right is missing; nothing was made, nothing was moved."""
    before = (await guarded.versions(), await guarded.census())

    async with guarded.without(right):
        answer = await guarded.callers.request_rotation()

    assert (answer.status, answer.body["type"]) == (500, "urn:keyturn:problem:permission-missing")
    assert (await guarded.versions(), await guarded.census()) == before

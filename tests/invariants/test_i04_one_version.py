"""I4: one new MEK version a rotation, however often anything is retried or killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts import RotationRef
from keyturn.key_vault import creation
from keyturn.rotation.new_version import RecordedIntent
from tests.invariants.checks.versions import MADE_BY, not_one_new_version
from tests.invariants.scene import Scene
from tests.invariants.script import Script

LATE_SECONDS = 0.8
SETTLE = timedelta(seconds=30)  # in which even a busy machine makes the late version; the wait ends when it is there


@pytest.fixture
async def script(scene: Scene) -> Script:
    """A rotation at its beginning, of a store with a few rows."""
    await scene.world.add_many(2, scene.old)
    return Script(scene, await scene.start())


async def wrong(scene: Scene, script: Script) -> list[str]:
    """Ask the vault which versions the rotation has made."""
    return not_one_new_version({scene.old}, await scene.vault_versions(), script.rotation_id)


@asynccontextmanager
async def creation_of_a_dead_run(scene: Scene, script: Script) -> AsyncIterator[None]:
    """Write the intent of a run that died then, and let the version that it asked for come true late."""
    intent = RecordedIntent(scene.runs, RotationRef(**script.ref))
    await intent.declare(datetime.now(UTC), replacing=None)

    async def come_true() -> None:
        await asyncio.sleep(LATE_SECONDS)
        await scene.world.mek.create(tags={MADE_BY: script.rotation_id})

    late = asyncio.create_task(come_true())
    yield
    await late


async def blind(*_: Any) -> None:
    """Look for no version."""


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "throttle"])
async def test_a_lost_answer_and_a_second_run_make_one(scene: Scene, script: Script, fault: str) -> None:
    """Whatever becomes of the answer to the creation, and however often the activity runs, there is one version."""
    scene.world.mek.fault(operation="create", kind=fault)

    answers = [await scene.act("create_version", script.creation()) for _ in range(3)]

    assert 1 == len({answer["result"]["version"] for answer in answers})
    assert [] == await wrong(scene, script)


async def test_two_runs_at_once_make_one(scene: Scene, script: Script) -> None:
    """An activity that was handed out twice makes one version, known to both runs."""
    both = await asyncio.gather(*(scene.act("create_version", script.creation()) for _ in range(2)))

    assert both[0] == both[1]
    assert [] == await wrong(scene, script)


async def test_the_creation_of_a_run_that_died_is_waited_for(scene: Scene, script: Script) -> None:
    """Where a run died after it had asked for a version, that version is waited for, not made again."""
    async with creation_of_a_dead_run(scene, script):
        await scene.act("create_version", script.creation(SETTLE))

    assert [] == await wrong(scene, script)


async def test_broken_nobody_looks_for_the_tag(scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking for the rotation's tag a second run makes a second version."""
    monkeypatch.setattr(creation, "_look_for", blind)

    for _ in range(2):
        await scene.act("create_version", script.creation())

    assert ["2 versions were made, not 1"] == await wrong(scene, script)


async def test_broken_the_intent_is_not_looked_at(
    scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the intent of the run that died, its version is made again before it comes true."""
    async with creation_of_a_dead_run(scene, script):
        monkeypatch.setattr(RecordedIntent, "declared", blind)
        monkeypatch.setattr(RecordedIntent, "declare", lambda *_, **__: asyncio.sleep(0, result=True))
        await scene.act("create_version", script.creation())

    assert ["2 versions were made, not 1"] == await wrong(scene, script)


async def test_broken_the_version_is_not_tagged(scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version without the rotation's tag is told from one that has it."""
    monkeypatch.setattr(creation, "ROTATION_TAG", "keyturn-made-up")

    await scene.act("create_version", script.creation())
    (made,) = (await scene.vault_versions()).keys() - {scene.old}

    assert [f"version {made} does not name its rotation"] == await wrong(scene, script)

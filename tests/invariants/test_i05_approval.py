"""I5: nothing is retired without an approval bound to evidence that still holds, by someone but the requester."""

from collections.abc import Callable

import pytest

from keyturn.contracts import StepInput
from keyturn.contracts.states import State
from keyturn.rotation import retirement as approved_retirement
from keyturn.runs import decisions as decision
from keyturn.runs import transitions
from keyturn.runs.records import RotationRecord
from tests.invariants.scene import REQUESTER, Scene
from tests.invariants.script import Script

type Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
async def script(scene: Scene) -> Script:
    """A rotation that waits for a decision."""
    await scene.world.add_many(2, scene.old)
    script = Script(scene, await scene.start())
    await script.to_new_version()
    await script.to_frozen()
    return script


async def retire(scene: Scene, script: Script) -> list[str]:
    """Enter the state, run the activity if that went well, and return what the check says."""
    entered = await scene.act("advance", StepInput(run=script.ref, step=script.step + 1, target=State.RETIRING))
    if "result" in entered:
        await scene.act("retire_versions", script.retirement())
    return await scene.unapproved(await scene.runs.read(script.run_id))


async def is_disabled(scene: Scene) -> bool:
    """Tell whether the old version is disabled."""
    return not (await scene.vault_versions())[scene.old].enabled


def without_check_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let anybody enter the state ``retiring``."""
    monkeypatch.setattr(transitions, "_check_may_retire", lambda _: None)


def without_check_of_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the activity retire whatever was decided."""
    monkeypatch.setattr(approved_retirement, "_check_approved", lambda *_: None)


async def thaw(scene: Scene, script: Script) -> None:
    """Change what the evidence says after it was approved."""

    def change(record: RotationRecord) -> RotationRecord:
        evidence = {**(record.evidence or {}), "quarantined": 7}
        return record.changed(evidence=evidence, evidence_digest="e" * 64)

    await scene.runs.update(script.run_id, change)


async def test_an_approval_of_the_evidence_by_another_retires(scene: Scene, script: Script) -> None:
    """With the approval of somebody else, on the evidence in force, the old version is disabled."""
    await scene.decide(await scene.runs.read(script.run_id))

    assert [] == await retire(scene, script)
    assert await is_disabled(scene)


@pytest.mark.parametrize("guard", [without_check_of_the_step, without_check_of_the_activity, lambda _: None])
async def test_without_an_approval_nothing_is_retired(
    scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch, guard: Break
) -> None:
    """Nobody decided: neither check lets the version be disabled, also where the other one is missing."""
    guard(monkeypatch)

    assert [] == await retire(scene, script)
    assert not await is_disabled(scene)


async def test_an_approval_of_other_evidence_does_not_count(scene: Scene, script: Script) -> None:
    """Evidence that changed after the approval keeps the version enabled."""
    await scene.decide(await scene.runs.read(script.run_id))
    await thaw(scene, script)

    assert [] == await retire(scene, script)
    assert not await is_disabled(scene)


@pytest.mark.parametrize("name", [REQUESTER, REQUESTER.upper(), f" {REQUESTER} "])
async def test_the_requester_cannot_approve(scene: Scene, script: Script, name: str) -> None:
    """The requester's own approval is refused, in whatever way the name is written."""
    with pytest.raises(decision.ForbiddenError):
        await scene.decide(await scene.runs.read(script.run_id), approver=name)

    assert [] == await retire(scene, script)
    assert not await is_disabled(scene)


async def test_broken_both_checks_of_the_approval(
    scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither check a version is retired that nobody approved."""
    without_check_of_the_step(monkeypatch)
    without_check_of_the_activity(monkeypatch)

    assert [f"version {scene.old} is retired, but nobody approved"] == await retire(scene, script)


async def test_broken_the_digest_is_not_compared(scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither check an approval of other evidence is as good as one of this."""
    await scene.decide(await scene.runs.read(script.run_id))
    await thaw(scene, script)
    without_check_of_the_step(monkeypatch)
    without_check_of_the_activity(monkeypatch)

    wrong = f"version {scene.old} is retired, but other evidence is in force than was approved"
    assert [wrong] == await retire(scene, script)


async def test_broken_the_requester_may_approve(scene: Scene, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody compares approver and requester, one person is enough, and the check says so."""
    monkeypatch.setattr(decision, "same_person", lambda *_: False)
    await scene.decide(await scene.runs.read(script.run_id), approver=REQUESTER)

    assert [f"version {scene.old} is retired, but the requester approved"] == await retire(scene, script)

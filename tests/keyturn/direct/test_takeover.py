"""Which runs are taken over, which are left to the app, and what is refused."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.contracts.states import State
from keyturn.direct import rows
from keyturn.direct.rows import rewrap
from keyturn.direct.session import Direct, Progress
from keyturn.direct.takeover import end, take_over
from keyturn.errors import (
    AbortRequestedError,
    InvalidRequestError,
    MigrationRunningError,
    NotWithoutAppError,
    RotationRunningError,
    UnknownKeyringError,
    WrongStateError,
    outcome_of,
)
from keyturn.runs import commands
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import restore_wanted
from tests.keyturn.cli.served import serving
from tests.keyturn.direct.conftest import OPERATOR, sweeping


async def test_the_apps_run_is_left_alone_while_the_app_may_be_up(harness: ActivityHarness, direct: Direct) -> None:
    """Without a word that the app is down, its run is not taken over: nothing is changed."""
    driver = await sweeping(harness)
    before = await direct.resources.run_store.read(driver.run_id)

    with pytest.raises(NotWithoutAppError, match="KEYTURN_URL") as raised:
        await rewrap(direct, harness.keyring)

    assert "--take-over" in raised.value.hint
    assert await direct.resources.run_store.read(driver.run_id) == before


async def test_what_cannot_be_asked_is_refused(harness: ActivityHarness, direct: Direct) -> None:
    """Keyring and versions must be real ones; the version of the run under way is not up for choice."""
    driver = await sweeping(harness)

    with pytest.raises(UnknownKeyringError) as unknown:
        await rewrap(direct, "nothing")
    with pytest.raises(InvalidRequestError, match=driver.target):
        await rewrap(direct, harness.keyring, new_version=harness.old, force=True)
    with pytest.raises(InvalidRequestError, match=harness.old):
        await rewrap(direct, harness.keyring, old_version=driver.target, force=True)
    with pytest.raises(RotationRunningError):
        await rewrap(direct, harness.keyring, dry_run=True)

    assert harness.keyring in unknown.value.message
    assert (await direct.resources.run_store.read(driver.run_id)).fencing_token == driver.ref.fencing_token


async def test_a_rotation_without_a_version_is_the_apps(harness: ActivityHarness, direct: Direct) -> None:
    """No version is made here: such a run is ended by a command of its own, and then rows may be moved."""
    await harness.local_keyring.add_many(2, harness.old)
    waiting = await harness.start()

    with pytest.raises(NotWithoutAppError) as raised:
        await rewrap(direct, harness.keyring, force=True)
    ended = await end(direct, waiting.run_id, force=True)
    record = await rewrap(direct, harness.keyring)

    assert f"keyturn direct abort {waiting.run_id}" in raised.value.hint
    assert (ended.state, ended.history[-1].actor) == (State.ABORTED, OPERATOR.name)
    assert record.state is State.COMPLETED
    assert len(await harness.vault_versions()) == 1


async def test_a_restore_is_the_apps(harness: ActivityHarness, direct: Direct) -> None:
    """A migration of another kind is not touched, and a restore not ended: the app disables what it enabled."""
    record = await restore_wanted(harness)

    with pytest.raises(MigrationRunningError):
        await rewrap(direct, harness.keyring, force=True)
    with pytest.raises(NotWithoutAppError, match="disables again"):
        await end(direct, record.run_id, force=True)

    assert (await direct.resources.migrations.read(record.run_id)).state is State.REQUESTED


async def test_an_abort_is_obeyed(harness: ActivityHarness, direct: Direct) -> None:
    """Asked for while the rows are moved, or before the run is taken over: it ends, and every version stays enabled."""
    driver = await sweeping(harness)
    record = await direct.resources.run_store.read(driver.run_id)
    run = await take_over(direct, record, force=True)
    await run.advance(State.SWEEPING)
    await commands.record_command(direct.resources.every_run, run.record.run_id, "abort", by="a", now=direct.now())

    with pytest.raises(AbortRequestedError):
        await run.move("rewrap", driver.target, lambda census: census.stale)
    ended = await rewrap(direct, harness.keyring)

    assert ended.state is State.ABORTED
    assert all(version.enabled for version in (await harness.vault_versions()).values())


@pytest.mark.parametrize("status", [503, 404])
async def test_an_app_that_answers_badly_is_down(harness: ActivityHarness, direct: Direct, status: int) -> None:
    """Its health tells: an app that cannot work, or a platform without the app, works on no run."""
    driver = await sweeping(harness)

    with serving({}, status=status) as served:
        record = await rewrap(replace(direct, app_url=served.url), harness.keyring)

    assert record.run_id == driver.run_id
    assert served.asked[0][1] == "/api/health"


async def test_an_app_that_answers_goes_on_itself(harness: ActivityHarness, direct: Direct) -> None:
    """Its run is not taken over: the app would see its workflow fail."""
    await sweeping(harness)

    with serving({"status": "ok"}) as served, pytest.raises(NotWithoutAppError, match="the app answers"):
        await rewrap(replace(direct, app_url=served.url), harness.keyring)


async def test_beside_an_app_that_answers_a_run_may_be_begun(
    harness: ActivityHarness, direct: Direct, printed: list[str | Progress]
) -> None:
    """The app may find a run without a workflow of its own and go on with it: the operator is told before."""
    with serving({"status": "ok"}) as served:
        record = await rewrap(replace(direct, app_url=served.url), harness.keyring)

    assert record.state is State.COMPLETED
    assert str(printed[0]).startswith(f"the app answers at {served.url}, and may go on with this run itself")


@pytest.mark.parametrize("module", sorted(Path(rows.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_what_is_refused_names_the_section_on_working_without_the_app(module: Path) -> None:
    """A plain WrongStateError leads to the section on decisions; only a decision may."""
    raised = [
        ast.unparse(node.exc)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Raise) and node.exc is not None
    ]

    assert [text for text in raised if text.startswith("WrongStateError(") and "rejected" not in text] == []
    assert outcome_of(NotWithoutAppError("refused")).section == "Without the app"
    assert outcome_of(NotWithoutAppError("refused")).exit_code == outcome_of(WrongStateError("refused")).exit_code

"""What must be true after a rotation, whatever happened in it."""

from tests.end_to_end.scenario_run import Scenario, ScenarioRun


async def went_as_planned(scenario_run: ScenarioRun, scenario: Scenario) -> None:
    """The record holds every state that the rotation went through, in order."""
    history = (await scenario_run.record())["history"]

    assert [entry["to"] for entry in history] == scenario.path.split()


async def took_nothing_away(scenario_run: ScenarioRun, scenario: Scenario) -> None:
    """Every note is readable; only a completed rotation has disabled versions, and one made one version at most."""
    versions = await scenario_run.app.versions()
    status = await scenario_run.status()

    assert await scenario_run.app.unreadable_notes() == []
    disabled = scenario_run.enabled_before - {name for name, enabled in versions.items() if enabled}
    assert disabled == (set(status["retired"]) if scenario.end == "completed" else set())
    assert len(await scenario_run.app.made_by(scenario_run.run_id)) == ("creating_version" in scenario.path)


async def everything_moved(scenario_run: ScenarioRun) -> None:
    """Every row is on the new version."""
    assert set(await scenario_run.app.census()) == {(await scenario_run.status())["targetVersion"]}

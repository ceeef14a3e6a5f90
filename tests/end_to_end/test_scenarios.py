"""Every scenario of the table, through HTTP and Azure's own Python worker."""

import pytest

from keyturn.contracts.states import TERMINAL, TRANSITIONS
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import SETTINGS, settings_of
from tests.end_to_end.facts import took_nothing_away, went_as_planned
from tests.end_to_end.scenario_run import ScenarioRun, started
from tests.end_to_end.scenarios import SCENARIOS
from tests.end_to_end.tidying import tidy


def by_settings() -> list[object]:
    """Return the sentences, those with the same app settings one after the other on one worker."""
    order = list(SETTINGS)
    sentences = sorted(SCENARIOS, key=lambda sentence: order.index(SCENARIOS[sentence].settings))
    return [
        sentence
        if SCENARIOS[sentence].settings == "quick"
        else pytest.param(sentence, marks=pytest.mark.xdist_group(SCENARIOS[sentence].settings))
        for sentence in sentences
    ]


@pytest.mark.end_to_end
@pytest.mark.long
@pytest.mark.parametrize("sentence", by_settings())
async def test_scenario(azure: LocalAzure, sentence: str) -> None:
    """The sentence holds: the rotation goes through these states, takes nothing away, and its facts are true."""
    scenario = SCENARIOS[sentence]
    azure.reconfigure(settings_of(scenario.settings, azure))
    async with AppHarness(azure) as app:
        await app.end_what_runs()
        await tidy(app)  # else the rotation adopts the version that the scenario before has left unfinished
        scenario_run = ScenarioRun(app)
        scenario_run.old_version = await app.newest_version()
        scenario_run.enabled_before = {name for name, enabled in (await app.versions()).items() if enabled}
        try:
            await scenario.prepared(scenario_run)
            await (scenario.start(scenario_run) if scenario.start else started(scenario_run, **scenario.request))
            await scenario.callers(scenario_run)
            await scenario_run.reaches(scenario.end)
            app.clear_faults()

            await went_as_planned(scenario_run, scenario)
            for fact in scenario.facts:
                await fact(scenario_run)
            await took_nothing_away(scenario_run, scenario)
        finally:
            app.clear_faults()
            await app.end_what_runs()
            await scenario.tidied(scenario_run)


def test_every_state_and_every_end_is_in_the_table() -> None:
    """The scenarios go through all states, and end in every way in which a rotation can end."""
    paths = [scenario.path.split() for scenario in SCENARIOS.values()]

    assert {state for path in paths for state in path} == set(TRANSITIONS)
    assert {path[-1] for path in paths} == TERMINAL
    assert {scenario.settings for scenario in SCENARIOS.values()} == set(SETTINGS)

"""Every scenario of the table, through HTTP and Azure's own Python worker."""

import pytest

from keyturn.contracts.states import TERMINAL, TRANSITIONS
from local.supervisor import LocalAzure
from tests.end_to_end.app_settings import SETTINGS, settings_of
from tests.end_to_end.facts import took_nothing_away, went_as_planned
from tests.end_to_end.play import Play, started
from tests.end_to_end.scenarios import SCENARIOS
from tests.end_to_end.stage import Stage


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
    async with Stage(azure) as stage:
        await stage.end_what_runs()
        play = Play(stage)
        play.old_version = await stage.newest_version()
        play.enabled_before = {name for name, enabled in (await stage.versions()).items() if enabled}
        try:
            await scenario.prepared(play)
            await (scenario.start(play) if scenario.start else started(play, **scenario.request))
            await scenario.people(play)
            await play.reaches(scenario.end)
            stage.clear_faults()

            await went_as_planned(play, scenario)
            for fact in scenario.facts:
                await fact(play)
            await took_nothing_away(play, scenario)
        finally:
            stage.clear_faults()
            await stage.end_what_runs()
            await scenario.tidied(play)


def test_every_state_and_every_end_is_in_the_table() -> None:
    """The scenarios go through all states, and end in every way in which a rotation can end."""
    paths = [scenario.path.split() for scenario in SCENARIOS.values()]

    assert set(TRANSITIONS) == {state for path in paths for state in path}
    assert TERMINAL == {path[-1] for path in paths}
    assert set(SETTINGS) == {scenario.settings for scenario in SCENARIOS.values()}

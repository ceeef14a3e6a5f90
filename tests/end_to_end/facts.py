"""What must be true after a rotation, whatever happened in it."""

from tests.end_to_end.play import Play, Scenario


async def went_as_planned(play: Play, scenario: Scenario) -> None:
    """The record holds every state that the rotation went through, in order."""
    history = (await play.record())["history"]

    assert [entry["to"] for entry in history] == scenario.path.split()


async def took_nothing_away(play: Play, scenario: Scenario) -> None:
    """Every note is readable; only a completed rotation has disabled versions, and one made one version at most."""
    versions = await play.stage.versions()
    status = await play.status()

    assert await play.stage.unreadable_notes() == []
    disabled = play.enabled_before - {name for name, enabled in versions.items() if enabled}
    assert disabled == (set(status["retired"]) if scenario.end == "completed" else set())
    assert len(await play.stage.made_by(play.run_id)) == ("creating_version" in scenario.path)


async def everything_moved(play: Play) -> None:
    """Every row is on the new version."""
    assert set(await play.stage.census()) == {(await play.status())["targetVersion"]}

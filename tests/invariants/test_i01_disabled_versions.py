"""I1: no version is disabled while any row names it."""

from collections.abc import Callable
from typing import Any

import pytest

from keyturn.deks import census
from keyturn.deks.census import take_census as unbroken_census
from keyturn.deks.queries import Condition, Conditions
from keyturn.errors import NotSettledError
from keyturn.rotation import retirement
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, ready_to_retire


async def blind_census(*arguments: Any) -> Any:
    """Count, and say that nothing is stale."""
    return (await unbroken_census(*arguments)).model_copy(update={"stale": 0})


@pytest.fixture
async def driver(harness: ActivityHarness) -> RotationDriver:
    """A rotation at the moment before its old version is disabled."""
    return await ready_to_retire(harness)


def with_late_writer(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a writer with a cached old version create a row right after the old version was disabled."""
    retire = harness.versions.retire

    async def retire_and_write(*arguments: Any, **options: Any) -> None:
        await retire(*arguments, **options)
        await harness.local_keyring.add(harness.old)

    monkeypatch.setattr(harness.versions, "retire", retire_and_write)


async def test_a_version_that_no_row_names_is_disabled(harness: ActivityHarness, driver: RotationDriver) -> None:
    """With every row on the target, the old version is disabled and the check holds."""
    result = await driver.act("retire_versions", driver.retirement())

    assert result["retired"] == [harness.old]
    assert await harness.needed_but_disabled() == []


@pytest.mark.parametrize("label", ["old", "none"])
async def test_a_row_that_comes_before_the_disable_keeps_the_version(
    harness: ActivityHarness, driver: RotationDriver, label: str
) -> None:
    """A stale row, labelled or not, that was written after the sweep keeps the old version enabled."""
    left_out: dict[str, Any] = {"mekVersion": ...} if label == "none" else {}
    await harness.local_keyring.add(harness.old, **left_out)

    result = await driver.act("retire_versions", driver.retirement())

    assert (result["retired"], result["stale"]) == ([], 1)
    assert await harness.needed_but_disabled() == []


async def test_a_row_that_comes_with_the_disable_takes_it_back(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale row that was written between disable and second count enables the version again."""
    with_late_writer(harness, monkeypatch)

    result = await driver.act("retire_versions", driver.retirement())

    assert (result["retired"], result["stale"]) == ([], 1)
    assert await harness.needed_but_disabled() == []


async def test_broken_a_census_that_always_says_zero(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a true count the version of a stale row is disabled, and the check says which."""
    row = await harness.local_keyring.add(harness.old)
    monkeypatch.setattr(retirement, "take_census", blind_census)

    await driver.act("retire_versions", driver.retirement())

    assert await harness.needed_but_disabled() == [f"version {harness.old} is disabled, and row {row.id} names it"]


async def test_broken_no_second_count(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the count after the disable a late writer's row is left under a disabled version."""
    with_late_writer(harness, monkeypatch)
    counts = iter([unbroken_census, blind_census])

    async def count(*arguments: Any) -> Any:
        return await next(counts)(*arguments)

    monkeypatch.setattr(retirement, "take_census", count)

    await driver.act("retire_versions", driver.retirement())

    assert len(await harness.needed_but_disabled()) == 1


def count_by_inequality(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Break conditions of the census: ``!=`` is undefined where there is no label, and such a row is not counted."""
    replace_conditions(
        monkeypatch, lambda whole: dict.fromkeys(names, whole.ours.having(f"{whole.label} != @targetVersion"))
    )


def replace_conditions(monkeypatch: pytest.MonkeyPatch, broken: Callable[[Conditions], dict[str, Condition]]) -> None:
    """Have every census count by these conditions in place of its own."""
    whole = Conditions.__init__

    def break_some(self: Conditions, *arguments: Any) -> None:
        whole(self, *arguments)
        vars(self).update(broken(self))

    monkeypatch.setattr(Conditions, "__init__", break_some)


async def test_counts_that_do_not_add_up_retire_nothing(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that loses rows without a label does not agree with the others, and is not believed."""
    await harness.local_keyring.add(harness.old, mekVersion=...)
    count_by_inequality(monkeypatch, "stale")

    with pytest.raises(NotSettledError):
        await driver.act("retire_versions", driver.retirement())

    assert await harness.needed_but_disabled() == []


async def test_broken_counts_that_lose_unlabelled_rows(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every count loses the row without a label, what opens it is disabled, and the check says so."""
    row = await harness.local_keyring.add(harness.old, mekVersion=...)
    count_by_inequality(monkeypatch, "stale", "unlabelled")
    monkeypatch.setattr(census, "EVERY", Conditions(harness.local_keyring.keyring, "").labelled)

    await driver.act("retire_versions", driver.retirement())

    assert await harness.needed_but_disabled() == [f"no enabled version opens row {row.id}, which names none"]

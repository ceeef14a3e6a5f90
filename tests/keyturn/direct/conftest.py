"""A keyring with rows and versions, and an operator who works on it without the app."""

from dataclasses import replace
from typing import override

import pytest

from keyturn.access.identity import Identity
from keyturn.clock import Clock
from keyturn.contracts.states import State
from keyturn.direct.session import Direct, Progress
from tests.invariants.conftest import harness
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver

__all__ = ["harness"]

OPERATOR = Identity("olga@example.com", "0f0f0f0f-1111-2222-3333-444444444444")


class ShortWaits(Clock):
    """The machine's own clock, with waits of no more than a moment."""

    @override
    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


@pytest.fixture
def printed() -> list[str | Progress]:
    """What the operator is shown."""
    return []


@pytest.fixture
def direct(harness: ActivityHarness, printed: list[str | Progress]) -> Direct:
    """The operator's own process."""
    policy = harness.resources.settings.policy.model_copy(update={"page_rows": 5})
    harness.resources.settings = harness.resources.settings.model_copy(update={"policy": policy})
    return Direct(harness.resources, OPERATOR, printed.append, ShortWaits())


def another(direct: Direct, name: str = "lee@example.com") -> Direct:
    """Return the process of another operator."""
    return replace(direct, operator=Identity(name))


async def runs_of(harness: ActivityHarness) -> list[str]:
    """Return the ids of every run of the keyring."""
    return [found["id"] for found in await harness.documents() if found["kind"] in ("rotation", "migration")]


async def sweeping(harness: ActivityHarness, rows: int = 12, moved: int = 5) -> RotationDriver:
    """Play a rotation into its sweep: some of its rows are moved, and its app is gone."""
    await harness.local_keyring.add_many(rows, harness.old)
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.to_new_version()
    await driver.advance(State.SWEEPING)
    pages = await driver.pages("rewrap")
    refs = [ref for page in pages for ref in page.refs][:moved]
    await driver.act("rewrap_page", pages[0].model_copy(update={"refs": refs}))
    return driver

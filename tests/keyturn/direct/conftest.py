"""A keyring with rows and versions, and an operator who works on it without the app."""

from dataclasses import replace
from typing import override

import pytest

from keyturn.access.identity import Identity
from keyturn.clock import Clock
from keyturn.direct.session import Direct, Progress
from tests.invariants.conftest import harness
from tests.invariants.harness import ActivityHarness

__all__ = ["harness"]

OPERATOR = Identity("olga@example.com", "0f0f0f0f-1111-2222-3333-444444444444")


class Impatient(Clock):
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
    return Direct(harness.resources, OPERATOR, printed.append, Impatient())


def another(direct: Direct, name: str = "lee@example.com") -> Direct:
    """Return the process of another operator."""
    return replace(direct, operator=Identity(name))

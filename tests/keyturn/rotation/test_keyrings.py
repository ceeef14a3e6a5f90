"""Whether any keyring is overdue, as health asks it: rarely, and never failing for it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.rotation import keyrings
from keyturn.rotation.keyrings import REMEMBERED_SECONDS, KeyringState, OverdueMemory

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


class Opened:
    """Stands for the app's resources: nothing of them is used but the keyrings' names."""

    def __init__(self) -> None:
        self.settings = self
        self.keyrings = [self]
        self.name = "notes"


async def test_the_answer_is_remembered_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a minute the store and the vault are asked once; then again."""
    answers = [False, True]
    seconds = [0.0]

    async def look(*_: Any) -> KeyringState:
        overdue = answers.pop(0)
        return KeyringState(keyring="notes", last_rotation=None, last_began=None, next_occurrence=NOW, overdue=overdue)

    monkeypatch.setattr(keyrings, "look", look)
    memory = OverdueMemory(lambda: seconds[0])
    opened: Any = Opened()

    told = [await memory.any_overdue(opened, NOW) for seconds[0] in (0.0, REMEMBERED_SECONDS - 1, REMEMBERED_SECONDS)]

    assert [False, False, True] == told


async def test_what_cannot_be_told_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store or a vault that does not answer makes the answer unknown."""

    async def look(*_: Any) -> KeyringState:
        raise OSError

    monkeypatch.setattr(keyrings, "look", look)
    opened: Any = Opened()

    assert await OverdueMemory().any_overdue(opened, NOW) is None

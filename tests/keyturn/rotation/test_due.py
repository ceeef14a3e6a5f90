"""How the keyrings stand, as health asks it: rarely, and never failing for it."""

from datetime import UTC, datetime

from keyturn.rotation.due import REMEMBERED_SECONDS, KeyringStatus, StatusMemory

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


async def test_the_answer_is_remembered_for_a_minute() -> None:
    """Within a minute the store and the vault are asked once; then again."""
    answers = [False, True]
    seconds = [0.0]

    async def ask() -> list[KeyringStatus]:
        overdue = answers.pop(0)
        known = {"last_rotation": None, "last_began": None, "next_occurrence": NOW, "drift": None}
        return [KeyringStatus(keyring="notes", overdue=overdue, **known)]

    memory = StatusMemory(lambda: seconds[0])

    recalled = [await memory.recall(ask) for seconds[0] in (0.0, REMEMBERED_SECONDS - 1, REMEMBERED_SECONDS)]

    assert [[status.overdue for status in found or []] for found in recalled] == [[False], [False], [True]]


async def test_what_is_not_known_is_no_failure() -> None:
    """A store or a vault that does not answer makes the answer unknown."""

    async def ask() -> list[KeyringStatus]:
        raise OSError

    assert await StatusMemory().recall(ask) is None

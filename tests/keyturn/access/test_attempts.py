"""Refusals are counted in the database, and too many of them end the listening for a while."""

import asyncio
from datetime import timedelta

import pytest

from keyturn.access.attempts import REFUSALS_MAX, WINDOW, counted
from keyturn.errors import CallerError, ForbiddenError, TooManyAttemptsError, UnauthenticatedError
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, new_keyring


async def attempt(
    runs: RotationStore, *names: str, refused: bool = True, later: timedelta = timedelta(0), first: bool = False
) -> str:
    """Try something that is refused, or not, and return what came of it."""
    try:
        async with counted(runs.documents, names, UnauthenticatedError, NOW + later, first=first):
            if refused:
                raise UnauthenticatedError("no")
    except CallerError as error:
        return type(error).__name__
    return "done"


async def exhaust(runs: RotationStore, *names: str) -> None:
    """Be refused as often as one may."""
    for _ in range(REFUSALS_MAX):
        assert await attempt(runs, *names) == "UnauthenticatedError"


async def test_one_refusal_too_many_has_to_wait(runs: RotationStore) -> None:
    """Twenty are refused for what they are; the next learns when to come again."""
    name = new_keyring()
    await exhaust(runs, name)

    with pytest.raises(TooManyAttemptsError) as raised:
        async with counted(runs.documents, [name], UnauthenticatedError, NOW + timedelta(minutes=4)):
            raise UnauthenticatedError("no")

    assert raised.value.facts["retryAfterSeconds"] == 360


async def test_after_the_window_counting_begins_anew(runs: RotationStore) -> None:
    """Ten minutes after the first refusal one may be refused again."""
    name = new_keyring()
    await exhaust(runs, name)

    answers = [await attempt(runs, name, later=WINDOW - timedelta(seconds=1)), await attempt(runs, name, later=WINDOW)]

    assert answers == ["TooManyAttemptsError", "UnauthenticatedError"]


async def test_names_are_counted_apart(runs: RotationStore) -> None:
    """A forger who is locked out locks nobody else out; either of two names is enough to be."""
    sender, rotation = new_keyring(), new_keyring()
    await exhaust(runs, sender)

    assert await attempt(runs, sender, rotation) == "TooManyAttemptsError"
    assert await attempt(runs, new_keyring(), rotation) == "UnauthenticatedError"


async def test_what_is_not_refused_is_always_listened_to(runs: RotationStore) -> None:
    """Whoever can prove who they are is not kept out by those who cannot, unless that is asked for."""
    name = new_keyring()
    await exhaust(runs, name)

    assert await attempt(runs, name, refused=False) == "done"
    assert await attempt(runs, name, refused=False, first=True) == "TooManyAttemptsError"


async def test_other_errors_are_not_counted(runs: RotationStore) -> None:
    """Only what is named as a refusal is one."""
    name = new_keyring()
    for _ in range(REFUSALS_MAX + 1):
        with pytest.raises(ForbiddenError):
            async with counted(runs.documents, [name], UnauthenticatedError, NOW):
                raise ForbiddenError("no")


async def test_refusals_at_once_are_all_counted(runs: RotationStore) -> None:
    """Instances that count at the same moment lose none: conditional writes."""
    name = new_keyring()

    answers = await asyncio.gather(*(attempt(runs, name) for _ in range(6)))

    left = [await attempt(runs, name) for _ in range(REFUSALS_MAX - 6 + 1)]
    assert answers == ["UnauthenticatedError"] * 6
    assert left == ["UnauthenticatedError"] * (REFUSALS_MAX - 6) + ["TooManyAttemptsError"]

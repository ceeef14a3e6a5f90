"""An error about a name says which names there are, and which may be meant."""

import pytest

from keyturn.errors import one_of


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("notelet", "one of files, notelett; did you mean notelett?"),
        ("xyz", "one of files, notelett"),
        (None, "one of files, notelett"),
    ],
)
def test_the_names_that_there_are_are_listed(given: str | None, said: str) -> None:
    """In their order; the nearest to what was given, where one is near."""
    assert one_of(["notelett", "files"], given) == said


def test_no_name_at_all_is_said() -> None:
    """A list of nothing would be no answer."""
    assert one_of([], "x") == "one that exists, and there is none"

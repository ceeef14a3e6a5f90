"""The benchmark of a million documents, on few: they are really encrypted and stored, and rotated under shared rows."""

import pytest

from bench.million import rotated
from bench.sweep import Case

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


def test_documents_share_the_rows_that_are_rotated() -> None:
    """The canaries of the rotation read them: one that they did not open would keep it from completing."""
    found = rotated(Case(0, 2048), 20)

    assert (found["rows"], found["throttled"]) == (1, 0)
    assert found["encrypting"] > 0

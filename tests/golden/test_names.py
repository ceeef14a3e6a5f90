"""The names outside the code are those of release 0.1 and of what was added on purpose since."""

import json
from pathlib import Path

import pytest

from tests.golden.names import COLLECTED

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("what", COLLECTED)
def test_names_outside_the_code_stay(what: str) -> None:
    """Stored documents, the HTTP API, settings, audit events and marks keep the names in the file of their own."""
    expected = json.loads((FOLDER / f"{what}.json").read_text())

    assert COLLECTED[what]() == expected

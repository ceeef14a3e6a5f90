"""One world for a module's tests."""

from collections.abc import Iterator

import pytest

from tests.overlap.exploring import Exploring, exploring


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exploring]:
    """An explorer in a world of its own."""
    with exploring(tmp_path_factory.mktemp("overlap")) as found:
        yield found

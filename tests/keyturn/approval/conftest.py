"""The ``keyturn`` container, as the tests of rotations have it."""

from tests.keyturn.rotation.conftest import container, runs

__all__ = ["container", "runs"]

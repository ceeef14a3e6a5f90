"""Documents under a key, as the tests of migrations have them."""

from tests.keyturn.documents.conftest import harness

__all__ = ["harness"]

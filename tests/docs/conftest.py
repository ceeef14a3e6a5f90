"""A local Azure on which the runbooks are followed."""

from tests.end_to_end.conftest import app, azure

__all__ = ["app", "azure"]

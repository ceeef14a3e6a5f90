"""A local Azure on which the runbooks are followed."""

from tests.end_to_end.conftest import azure, stage

__all__ = ["azure", "stage"]

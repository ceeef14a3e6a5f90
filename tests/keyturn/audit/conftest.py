"""The audit log under test, in a ``keyturn`` container on the local Cosmos DB."""

import pytest

from keyturn.audit.log import AuditLog
from keyturn.runs.store import RotationStore


@pytest.fixture(scope="session")
def audit(runs: RotationStore) -> AuditLog:
    """The log under test."""
    return AuditLog(runs.documents)

"""Settings of the local Azure that must fit each other."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter

from local.package import trial
from local.supervisor import Options, environment
from tests.end_to_end.app_settings import QUICK

SOAKS = {
    "of up and of the demo": environment._QUICK,
    "of the end-to-end tests": QUICK,
    "of a bundle's trial": trial._QUICK,
}


@pytest.mark.parametrize("name", SOAKS)
def test_writers_follow_within_every_soak(name: str) -> None:
    """Within a soak the backend asks which version is current: otherwise a rotation disables what it wraps under."""
    soak = TypeAdapter(timedelta).validate_python(SOAKS[name]["KEYTURN_SOAK"])

    assert timedelta(seconds=Options.version_max_age) < soak

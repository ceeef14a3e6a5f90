"""The bundle of this working copy, and the environment with the deployed requirements alone."""

import pytest

from local.package.bundle import Bundle, build
from local.package.environment import Environment, clean_environment
from local.supervisor.layout import REPOSITORY


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What a deployment from here would ship."""
    return build(REPOSITORY, tmp_path_factory.mktemp("package") / "keyturn")


@pytest.fixture(scope="session")
def environment() -> Environment:
    """The clean environment that ``make package`` uses: made once for each version of requirements.txt."""
    return clean_environment(REPOSITORY / "requirements.txt", REPOSITORY / "dist")

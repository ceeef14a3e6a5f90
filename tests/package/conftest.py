"""The bundle of this working copy, and the environment with its packages alone."""

from pathlib import Path

import pytest

from local.package.bundle import Bundle, build
from local.package.environment import Environment, clean_environment
from local.package.packages import LOCK, install_packages
from local.supervisor.layout import REPOSITORY


@pytest.fixture(scope="session")
def packages() -> Path:
    """The packages that ``make bundle`` packs: installed once for each version of the lock."""
    return install_packages(LOCK, REPOSITORY / "dist")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Bundle:
    """What a deployment from here would ship."""
    return build(REPOSITORY, tmp_path_factory.mktemp("package") / "keyturn", lock=LOCK, packages=packages)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Environment:
    """An interpreter that finds the packages of the bundle and no others."""
    return clean_environment(bundle.packages, tmp_path_factory.mktemp("environment"))

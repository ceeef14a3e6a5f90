"""What ships is what was tested: the bundle runs on its own packages alone."""

import hashlib
from pathlib import Path

import pytest

from local.package import report
from local.package.bundle import Bundle
from local.package.environment import Environment, ImportFailedError
from local.package.packages import LOCK, canonical, pinned
from local.package.trial import DEKS, try_bundle

# The first test installs the packages, a quarter of a minute of pip on an idle machine.
pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("package"), pytest.mark.timeout(600)]


def test_the_environment_has_what_is_deployed(environment: Environment) -> None:
    """Its interpreter finds what is locked, in those versions, and nothing else: no pip, nothing of the tests."""
    installed = {canonical(name): version for name, version in environment.installed().items()}

    assert installed == pinned(LOCK.read_text())


def test_every_module_can_be_imported(bundle: Bundle, environment: Environment) -> None:
    """No module of the bundle needs a package that only tests have, nor a module that is not shipped."""
    imported = set(environment.import_all(bundle.folder))

    assert {"function_app", "keyturn.deks.rewrap", "field_encrypt.key_vault", "triggers.rotations"} <= imported


@pytest.mark.parametrize("missing", ["pytest", "local.people"])
def test_a_module_that_needs_more_is_found_out(environment: Environment, tmp_path: Path, missing: str) -> None:
    """A module that imports what is not deployed fails, and the failure names it."""
    (tmp_path / "late.py").write_text(f"import {missing}\n")

    with pytest.raises(ImportFailedError) as caught:
        environment.import_all(tmp_path)

    assert f"No module named '{missing.partition('.')[0]}'" in str(caught.value)


async def test_a_rotation_on_the_bundle_completes(bundle: Bundle, environment: Environment) -> None:
    """The worker indexes the bundle, and a rotation moves every row."""
    trial = await try_bundle(bundle, environment)

    assert (trial.state, trial.rows) == ("completed", DEKS)
    assert 0 < trial.cold_start < 60
    assert f"worker ready after {trial.cold_start:.1f} s" in report.of_trial(trial)


def test_what_the_bundle_weighs_is_documented(bundle: Bundle, environment: Environment) -> None:
    """The report has the archive's size and digest, and the packages that it runs on."""
    packed = bundle.archive.read_bytes()

    shown = report.of_bundle(bundle) + report.of_environment(environment, ["one", "two"])

    assert f"{len(bundle.files)} files, {len(packed) / 1024**2:.1f} MiB packed" in shown
    assert hashlib.sha256(packed).hexdigest() in shown
    assert f"{len(environment.installed())} packages" in shown
    assert "all 2 modules" in shown

"""What is told of a bundle: its size and digest, what it runs on, how fast it starts, and that it rotates."""

import hashlib
from collections.abc import Sequence

from local.package.bundle import Bundle
from local.package.environment import Environment
from local.package.trial import Trial

_MIB = 1024 * 1024


def of_bundle(bundle: Bundle) -> str:
    """Return the archive's size, packed and unpacked, and its digest."""
    packed = bundle.archive.read_bytes()
    return (
        f"{bundle.archive}: {len(bundle.files)} files, {len(packed) / _MIB:.1f} MiB packed\n"
        f"  {bundle.unpacked_bytes / _MIB:.1f} MiB unpacked, SHA-256 {hashlib.sha256(packed).hexdigest()}"
    )


def of_environment(environment: Environment, modules: Sequence[str]) -> str:
    """Return the packages' number, and how many modules can be imported beside them."""
    installed = f"{len(environment.installed())} packages"
    return f"{environment.folder}: {installed}\n  all {len(modules)} modules of the bundle can be imported"


def of_trial(trial: Trial) -> str:
    """Return how long the worker took to start, and the rotation to end."""
    return (
        f"worker ready after {trial.cold_start:.1f} s\n"
        f"rotation of {trial.rows} rows {trial.state} after {trial.rotation:.1f} s"
    )

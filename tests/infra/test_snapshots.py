"""The snapshots are of these templates: `make infra` compares them itself, where there is a compiler."""

import hashlib
import json
import subprocess

from tests.infra.snapshots import INFRA, ROOT, VARIANTS, Snapshot

SOURCES = VARIANTS / "sources.sha256"


def test_snapshots_were_made_of_these_templates() -> None:
    """Whoever changes a template writes the snapshots anew, which takes the compiler: make infra SNAPSHOT=overwrite."""
    noted = {path: digest for digest, path in (line.split("  ", 1) for line in SOURCES.read_text().splitlines())}
    patterns = ("*.bicep", "*.bicepparam", "modules/**/*.json", "roles.json")
    paths = {path for pattern in patterns for path in INFRA.rglob(pattern)}

    assert {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths} == noted


def test_every_variant_has_its_snapshot(snapshots: dict[str, Snapshot]) -> None:
    """No variant is without a snapshot, no snapshot without its variant, and the compiler had nothing to say."""
    said = {name: json.loads((VARIANTS / f"{name}.snapshot.json").read_text())["diagnostics"] for name in snapshots}

    assert {path.stem for path in VARIANTS.glob("*.bicepparam")} == set(snapshots)
    assert [name for name, diagnostics in said.items() if diagnostics] == []


def test_without_a_compiler_nothing_is_claimed() -> None:
    """Where there is no bicep the check says that it did nothing, and fails nobody."""
    finished = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", INFRA / "check"], env={"PATH": ""}, capture_output=True, text=True, timeout=30, check=True
    )

    assert finished.stdout.startswith("make infra did nothing: ")

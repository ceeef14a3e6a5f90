"""The bill of materials lists exactly what is in the bundle."""

import json
import subprocess
from pathlib import Path

import pytest

from local.package.bill import BillDiffersError, check
from local.package.bundle import Bundle
from local.package.environment import Environment
from local.package.packages import LOCK, pinned
from local.supervisor.layout import REPOSITORY

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("package"), pytest.mark.timeout(600)]

CYCLONEDX = REPOSITORY / ".venv-sbom" / "bin" / "cyclonedx-py"


@pytest.fixture(scope="module")
def bill(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bill as ``make sbom`` writes it."""
    assert CYCLONEDX.exists(), "cyclonedx-bom is not installed: make .venv-sbom/.installed"
    written = tmp_path_factory.mktemp("bill") / "sbom.json"
    subprocess.run(  # noqa: S603 - our own
        [CYCLONEDX, "environment", environment.python, "--output-reproducible", "--of", "JSON", "-o", written],
        capture_output=True,
        check=True,
    )
    return written


def test_it_lists_what_is_deployed(bill: Path, bundle: Bundle) -> None:
    """Bill, archive and lock name the same packages in the same versions."""
    assert check(bill, bundle.archive, LOCK) == len(pinned(LOCK.read_text()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"add": {"name": "pip", "version": "25.1.1"}},
            "pip: {'bill': '25.1.1', 'archive': 'missing', 'lock': 'missing'}",
        ),
        ({"drop": "rfc8785"}, "rfc8785: {'bill': 'missing', 'archive': '0.1.4', 'lock': '0.1.4'}"),
        ({"drop": "rfc8785", "add": {"name": "rfc8785", "version": "9"}}, "rfc8785: {'bill': '9', "),
    ],
)
def test_a_bill_of_something_else_is_refused(
    bill: Path, bundle: Bundle, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """A package too many, one too few, and another version are each named."""
    document = json.loads(bill.read_text())
    kept = [each for each in document["components"] if each["name"] != change.get("drop")]
    altered = tmp_path / "sbom.json"
    altered.write_text(json.dumps({**document, "components": [*kept, *([change["add"]] if "add" in change else [])]}))

    with pytest.raises(BillDiffersError) as caught:
        check(altered, bundle.archive, LOCK)

    assert str(caught.value).startswith(said)
    assert len(str(caught.value).splitlines()) == 1

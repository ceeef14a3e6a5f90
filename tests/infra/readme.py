"""The tables of infra/README.md."""

from tests.infra.snapshots import INFRA


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, without its head."""
    _, found, rest = (INFRA / "README.md").read_text().partition(f"## {heading}\n")
    if not found:
        message = f"infra/README.md has no heading {heading!r}"
        raise LookupError(message)
    lines = rest.partition("\n## ")[0].splitlines()
    rows = [line.strip("|").split(" | ") for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows if not row[0].strip().startswith("---")][1:]

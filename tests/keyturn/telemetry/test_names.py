"""The names in the document are the names in the code."""

from pathlib import Path

from keyturn.ids import RunKind
from keyturn.telemetry.names import ATTRIBUTES, METRICS

DOCUMENT = Path(__file__).parents[3] / "docs" / "telemetry.md"


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the document."""
    section = DOCUMENT.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_document_lists_every_metric() -> None:
    """Name, kind, unit, meaning and attributes of each metric stand in the document, in the code's order."""
    assert table("Metrics") == [
        [
            f"`{metric.name}`",
            metric.kind,
            f"`{metric.unit}`",
            metric.description,
            ", ".join(f"`{name}`" for name in metric.attributes),
        ]
        for metric in METRICS
    ]


def test_the_document_lists_every_span_and_attribute() -> None:
    """So do the spans and the attributes."""
    spans = [*RunKind, "state <state>", "activity <name>"]
    assert [name for name, _ in table("Spans")] == [f"`{name}`" for name in spans]
    assert table("Attributes") == [[f"`{name}`", meaning] for name, meaning in ATTRIBUTES.items()]

"""What the messages about rotations and about migrations are put together from."""

from datetime import datetime

from keyturn.runs.record import RunRecord

NAMED = 10  # so many quarantined rows or documents are named in a message; the report has more


def moment(at: datetime | None) -> str:
    """Return a time as people write it."""
    return "an unknown time" if at is None else f"{at:%d %B %Y %H:%M} UTC".lstrip("0")


def rows(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def paragraph(*lines: str) -> str:
    """Return the lines as one text."""
    return "\n".join(lines)


def decided_by(record: RunRecord) -> str:
    """Return who decided on the evidence, with the remark that was made."""
    if record.decision is None:
        return "Somebody"
    remark = f' with the words "{record.decision.comment}"' if record.decision.comment else ""
    return f"{record.decision.by}{remark}"


def ended_by(record: RunRecord) -> str:
    """Return who asked to end the run."""
    return record.abort.by if record.abort is not None else "somebody"


def quarantined(record: RunRecord) -> list[str]:
    """Return a line for each of the first rows or documents that could not be worked on."""
    return [f"- {found.id}: {found.reason}" for found in record.quarantined.named[:NAMED]]

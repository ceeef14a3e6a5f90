"""The whole of a run, for whoever audits it: its status, and the record as it is kept."""

from keyturn.contracts import Payload
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.status import Status, status


class Report(Payload):
    """Everything that is known about one rotation."""

    status: Status
    record: RotationRecord


def report(record: RotationRecord) -> Report:
    """Return the rotation's report."""
    return Report(status=status(record), record=record)

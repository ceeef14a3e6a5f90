"""What may become of a keyring's lease, as functions of the lease that was read."""

from keyturn.contracts import RunRef
from keyturn.errors import FencedError
from keyturn.runs.lease import Lease, running
from keyturn.runs.record import RunRecord


def taken(lease: Lease | None, record: RunRecord) -> Lease:
    """Return the lease as the run takes it, with a greater token than any before; the run's own is returned as it is.

    Raises:
        RotationRunningError: a rotation holds the keyring.
        MigrationRunningError: a migration holds the keyring.
    """
    if lease is not None and lease.holder == record.run_id:
        return lease  # an answer was lost, or the same request came twice
    if lease is not None and lease.holder is not None:
        raise running(record.keyring, lease.holder)
    return Lease(
        keyring=record.keyring,
        holder=record.run_id,
        fencing_token=1 if lease is None else lease.fencing_token + 1,
        taken_at=record.requested_at,
        etag=None if lease is None else lease.etag,
    )


def released(lease: Lease | None, ref: RunRef) -> Lease | None:
    """Return the lease without a holder; None, for there is nothing to write, where the run does not hold it."""
    if lease is None or not _holds(lease, ref):
        return None
    return lease.model_copy(update={"holder": None})


def check_held(lease: Lease | None, ref: RunRef) -> None:
    """Raise FencedError unless the run holds the lease."""
    if lease is None or not _holds(lease, ref):
        holder = None if lease is None else lease.holder
        raise FencedError("the run does not hold its keyring", rotationId=ref.run_id, holder=holder)


def _holds(lease: Lease, ref: RunRef) -> bool:
    return (lease.holder, lease.fencing_token) == (ref.run_id, ref.fencing_token)

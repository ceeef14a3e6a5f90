"""The lease as decisions: which run may take it, and who gives it back."""

from typing import Any

import pytest

from keyturn.contracts.base import RunRef
from keyturn.errors import CallerError, MigrationRunningError, RotationRunningError
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.lease import Lease, released, taken
from tests.keyturn.runs.lifecycle import NOW, make_record

RUN = make_record(fencing_token=0)
ROTATION, MIGRATION = (new_run_id(kind, "default", NOW) for kind in RunKind)
REF = RunRef(run_id=RUN.run_id, keyring="default", fencing_token=7)


def lease_of(holder: str | None, token: int = 7) -> Lease:
    """Return a lease as it was read."""
    return Lease(keyring="default", holder=holder, fencing_token=token, taken_at=NOW, etag="read")


@pytest.mark.parametrize(
    ("found", "token", "etag"),
    [(None, 1, None), (lease_of(None, 1), 2, "read"), (lease_of(None), 8, "read")],
    ids=["first run ever", "second", "eighth"],
)
def test_a_free_keyring_is_taken_with_a_greater_token(found: Lease | None, token: int, etag: str | None) -> None:
    """The token grows with every run of the keyring, and the write depends on the lease that was read."""
    expected = Lease(keyring="default", holder=RUN.run_id, fencing_token=token, taken_at=RUN.requested_at, etag=etag)

    assert taken(found, RUN) == expected


def test_the_runs_own_lease_is_returned_as_it_is() -> None:
    """An answer was lost, or the same request came twice: there is nothing to write."""
    own = lease_of(RUN.run_id)

    assert taken(own, RUN) is own


@pytest.mark.parametrize(
    ("holder", "error", "facts"),
    [
        (ROTATION, RotationRunningError, {"rotationId": ROTATION, "statusUrl": f"/api/rotations/{ROTATION}"}),
        (MIGRATION, MigrationRunningError, {"migrationId": MIGRATION, "statusUrl": f"/api/migrations/{MIGRATION}"}),
    ],
    ids=list(RunKind),
)
def test_a_held_keyring_is_refused_with_its_holder(
    holder: str, error: type[CallerError], facts: dict[str, Any]
) -> None:
    """The error names the run that holds it, whatever its kind, and where to look at it."""
    with pytest.raises(error) as raised:
        taken(lease_of(holder), RUN)

    assert raised.value.facts == {"keyring": "default", **facts}


def test_the_holder_gives_it_back_and_the_token_stays() -> None:
    """The next run's token must be greater still."""
    assert released(lease_of(RUN.run_id), REF) == lease_of(None)


NOT_HELD = {
    "never rotated": None,
    "free": lease_of(None),
    "another run's": lease_of(ROTATION),
    "the same run with an older token": lease_of(RUN.run_id, 8),
    "the same run with a later token": lease_of(RUN.run_id, 6),
}


@pytest.mark.parametrize("case", NOT_HELD)
def test_a_run_that_does_not_hold_it_gives_nothing_back(case: str) -> None:
    """There is nothing to write then."""
    assert released(NOT_HELD[case], REF) is None

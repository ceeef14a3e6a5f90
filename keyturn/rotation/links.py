"""Where a run is found over HTTP. Relative, so that they hold behind any proxy."""

from keyturn.migrations.ids import is_migration_id

ROTATIONS = "/api/rotations"
MIGRATIONS = "/api/migrations"
RESTORES = "/api/restores"
APPROVALS = "/api/approvals"


def status_link(rotation_id: str) -> str:
    """Return the address of the rotation's status."""
    return f"{ROTATIONS}/{rotation_id}"


def run_link(run_id: str) -> str:
    """Return the address of the status of a rotation or of a migration, which its id tells."""
    return migration_link(run_id) if is_migration_id(run_id) else status_link(run_id)


def approval_link(run_id: str) -> str:
    """Return the address of the page on which an approver decides; it opens with a token only."""
    return f"{run_link(run_id)}/approval"


def report_link(run_id: str) -> str:
    """Return the address of the run's whole report."""
    return f"{run_link(run_id)}/report"


def migration_link(migration_id: str) -> str:
    """Return the address of the migration's status."""
    return f"{MIGRATIONS}/{migration_id}"

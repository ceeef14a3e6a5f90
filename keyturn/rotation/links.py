"""Where a run is found over HTTP. Relative, so that they hold behind any proxy."""

ROTATIONS = "/api/rotations"
MIGRATIONS = "/api/migrations"
RESTORES = "/api/restores"
APPROVALS = "/api/approvals"


def status_link(rotation_id: str) -> str:
    """Return the address of the rotation's status."""
    return f"{ROTATIONS}/{rotation_id}"


def approval_link(rotation_id: str) -> str:
    """Return the address of the page on which an approver decides; it opens with a token only."""
    return f"{ROTATIONS}/{rotation_id}/approval"


def report_link(rotation_id: str) -> str:
    """Return the address of the rotation's whole report."""
    return f"{ROTATIONS}/{rotation_id}/report"


def migration_link(migration_id: str) -> str:
    """Return the address of the migration's status."""
    return f"{MIGRATIONS}/{migration_id}"

"""Which rows of the dek store a migration is about. Asked when rows are looked for, and again of each as it is then."""

from collections.abc import Callable, Collection

from keyturn.contracts import Restore, RewrapDeks, Rollback, Work
from keyturn.dek_store.rows import Row, RowKind
from keyturn.errors import InvariantError

Choice = Callable[[Row], bool]


def choice_of(work: Work, versions: Collection[str]) -> Choice:
    """Return the condition that the work's rows fulfil; ``versions`` are those that a restore has found."""
    if isinstance(work, RewrapDeks):
        return _rewrapped_from(work)
    if isinstance(work, Rollback):
        rotation_id = work.rotation.rotation_id
        return lambda row: row.on_target and row.rotation_id == rotation_id
    if not isinstance(work, Restore):
        raise InvariantError("a migration of documents looks for rows", work=work.kind)
    # A row without a label may be under any version: whether under one of these, only opening it tells.
    return lambda row: row.needs_work and (row.version in versions or row.kind is RowKind.UNLABELLED)


def _rewrapped_from(work: RewrapDeks) -> Choice:
    if work.old_version is None:
        return lambda row: row.needs_work
    return lambda row: row.needs_work and row.version == work.old_version

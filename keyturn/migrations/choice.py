"""Which rows of the dek store a migration is about. Asked when rows are looked for, and again of each as it is then."""

from collections.abc import Callable

from keyturn.contracts import DocumentWork, RewrapDeks, Work
from keyturn.dek_store.rows import Row
from keyturn.errors import InvariantError

Choice = Callable[[Row], bool]


def choice_of(work: Work) -> Choice:
    """Return the condition that the work's rows fulfil."""
    if isinstance(work, DocumentWork):
        raise InvariantError("a migration of documents looks for rows", work=work.kind)
    return _rewrapped_from(work)


def _rewrapped_from(work: RewrapDeks) -> Choice:
    if work.old_version is None:
        return lambda row: row.needs_work
    return lambda row: row.needs_work and row.version == work.old_version

"""Which role may call which route, as data. A route that is not in the table is closed to every caller.

The names of the roles are those of the app registration's app roles, which an administrator assigns in Entra ID.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person or a program may be to Keyturn."""

    REQUESTER = "Keyturn.Requester"
    APPROVER = "Keyturn.Approver"
    OPERATOR = "Keyturn.Operator"
    READER = "Keyturn.Reader"


_EVERY_ROLE = frozenset(Role)

# By the name of the function that answers; any one of the roles is enough.
ROUTES: Mapping[str, frozenset[Role]] = {
    "start_rotation": frozenset({Role.REQUESTER}),
    "list_rotations": _EVERY_ROLE,
    "list_keyrings": _EVERY_ROLE,
    "get_rotation": _EVERY_ROLE,
    "get_report": _EVERY_ROLE,
    "get_audit": _EVERY_ROLE,
    "retry_rotation": frozenset({Role.OPERATOR}),
    "abort_rotation": frozenset({Role.OPERATOR}),
    "reinstate_rotation": frozenset({Role.OPERATOR}),
    "show_approval": frozenset({Role.APPROVER}),
    "decide_approval": frozenset({Role.APPROVER}),
    "show_restore_approval": frozenset({Role.APPROVER}),
    "decide_restore_approval": frozenset({Role.APPROVER}),
    # A diagnosis unwraps, and a scan reads whole containers: both cost what live traffic needs.
    "get_dek": frozenset({Role.OPERATOR}),
    "repair_dek": frozenset({Role.OPERATOR}),
    "get_document_diagnosis": frozenset({Role.OPERATOR}),
    "get_orphans": frozenset({Role.OPERATOR}),
    "verify_keyring": frozenset({Role.OPERATOR}),
    "examine_deployment": frozenset({Role.OPERATOR}),
    "list_key_backups": frozenset({Role.OPERATOR}),
    "hand_out_key_backup": frozenset({Role.OPERATOR}),
    "roll_back_rotation": frozenset({Role.OPERATOR}),
    "start_restore": frozenset({Role.OPERATOR}),
    "start_any_migration": frozenset({Role.OPERATOR}),
    "start_reencryption": frozenset({Role.OPERATOR}),
    "list_migrations": _EVERY_ROLE,
    "get_migration": _EVERY_ROLE,
    "get_migration_report": _EVERY_ROLE,
    "get_migration_audit": _EVERY_ROLE,
    "retry_migration": frozenset({Role.OPERATOR}),
    "abort_migration": frozenset({Role.OPERATOR}),
    # An order of the console needs the role of the API's route that does the same, too.
    "show_console": _EVERY_ROLE,
    "show_console_keyring": _EVERY_ROLE,
    "show_console_run": _EVERY_ROLE,
    "show_console_evidence": _EVERY_ROLE,
    "diagnose_in_console": frozenset({Role.OPERATOR}),
    "confirm_console_order": _EVERY_ROLE,
    "give_console_order": _EVERY_ROLE,
    "make_console_link": _EVERY_ROLE,
    "describe_api": _EVERY_ROLE,
}

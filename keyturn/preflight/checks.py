"""The checklist as data: its order, what each check needs, and what may be waived.

What may be waived is what a person can answer for: that the rows could not be counted in time, too, for every sweep
counts them again; and that an approver can be named while the rotation soaks, for without one it expires with every
version enabled. A missing right, a version that does not unwrap its rows or a store that does not answer would only
fail later, with the rotation half-way.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from keyturn.contracts.characters import counted
from keyturn.errors import InvalidRequestError, one_of
from keyturn.preflight import environment, store, vault
from keyturn.preflight.context import CheckContext
from keyturn.preflight.results import CheckResult, ok, problem
from keyturn.runs.record_parts import Waiver
from keyturn.runs.records import RotationRecord

MAINTENANCE_WINDOW = "maintenance_window"
KEY_BACKUP = "key_backup"  # its waiver counts for the backup that is taken with the new version as well
ANSWER_SECONDS = 300.0  # a check that takes longer has met something that hangs
COUNT_SECONDS = 20 * 60.0  # but for counting, which takes as long as the store is large
# All checks together: an activity may run for 30 minutes (functionTimeout in host.json).
ALL_SECONDS = 28 * 60.0


@dataclass(frozen=True, slots=True)
class Item[Context: CheckContext]:
    """A check, the checks without which it would only fail for the same reason, and the right that it finds missing."""

    run: Callable[[Context], Awaitable[CheckResult]]
    needs: tuple[str, ...] = ()
    waivable: bool = False
    right: str = ""
    seconds: float = ANSWER_SECONDS


_STORE = ("store_reachable",)
CHECKLIST: dict[str, Item[CheckContext]] = {
    "encryption_enabled": Item(environment.encryption_enabled, waivable=True),
    "key_provider_is_akv": Item(environment.key_provider_is_akv),
    "vault_url_set": Item(environment.vault_url_set, waivable=True),
    "can_read_key": Item(vault.can_read_key, right=f"{vault.RIGHTS}read"),
    "mek_exists": Item(vault.mek_exists, needs=("can_read_key",)),
    "mek_versions": Item(vault.mek_versions, needs=("mek_exists",)),
    "mek_is_rsa": Item(vault.mek_is_rsa, needs=("mek_exists",)),
    "mek_size": Item(vault.mek_size, needs=("mek_is_rsa",), waivable=True),
    "mek_enabled": Item(vault.mek_enabled, needs=("mek_exists",), waivable=True),
    "mek_not_expired": Item(vault.mek_not_expired, needs=("mek_exists",), waivable=True),
    "can_wrap_and_unwrap": Item(vault.can_wrap_and_unwrap, needs=("mek_is_rsa",), right=f"{vault.RIGHTS}unwrap/action"),
    "can_create_version": Item(vault.can_create_version, right=f"{vault.RIGHTS}create/action"),
    "can_update_version": Item(vault.can_update_version, right=f"{vault.RIGHTS}update/action"),
    "store_reachable": Item(store.store_reachable, right=f"{store.RIGHTS}readMetadata"),
    "can_read_rows": Item(store.can_read_rows, needs=_STORE, right=f"{store.ITEMS}read"),
    "can_query": Item(store.can_query, needs=_STORE, right=f"{store.CONTAINERS}executeQuery and readChangeFeed"),
    "can_read_change_feed": Item(store.can_read_change_feed, needs=_STORE, right=f"{store.CONTAINERS}readChangeFeed"),
    "can_patch_rows": Item(store.can_patch_rows, needs=_STORE, right=f"{store.ITEMS}replace"),
    "can_read_documents": Item(
        environment.can_read_documents,
        right=f"{store.ITEMS}read, executeQuery and readChangeFeed on the containers of documents",
    ),
    "store_partitions": Item(store.store_partitions, needs=_STORE),
    "census": Item(store.census, needs=("can_query",), waivable=True, seconds=COUNT_SECONDS),
    "store_has_rows": Item(store.store_has_rows, needs=("can_query",), waivable=True),
    "row_versions": Item(store.row_versions, needs=("census", "mek_exists")),
    "backup": Item(environment.backup, waivable=True, right=f"{store.RIGHTS}read"),
    KEY_BACKUP: Item(
        vault.key_backup,
        needs=("mek_versions",),
        waivable=True,
        right=f"{vault.RIGHTS}backup/action on the key, and {store.ITEMS}create and read on the backups' container,",
    ),
    "somebody_can_decide": Item(environment.somebody_can_decide, waivable=True),
    "key_backup_drill": Item(vault.key_backup_drill, waivable=True),
    "no_migration": Item(environment.no_migration, waivable=True),
    MAINTENANCE_WINDOW: Item(environment.maintenance_window, waivable=True),
    "on_call_notified": Item(environment.on_call_notified, waivable=True),
}

WAIVABLE = frozenset(name for name, item in CHECKLIST.items() if item.waivable)


def require_waivable(checks: Iterable[str]) -> None:
    """Raise InvalidRequestError, naming the field of a start request, for a check that does not exist or must hold."""
    for index, check in enumerate(checks):
        if check not in WAIVABLE:
            field = f"waivers.{index}.check"
            expected = one_of(WAIVABLE, check)
            said = f"{field}: {check!r} cannot be waived: expected {expected}"
            raise InvalidRequestError(said, field=field, expected=expected)


def waivers_hold(record: RotationRecord) -> CheckResult:
    """Every waiver of the request names a check that may be waived."""
    wrong = [waiver.check for waiver in record.options.waivers if waiver.check not in WAIVABLE]
    if wrong:
        waivable = one_of(WAIVABLE, wrong[0])
        return problem(f"{', '.join(wrong)} cannot be waived", f"fix it; what can be waived is {waivable}")
    return ok(f"{counted(len(record.options.waivers), 'waiver')} given")


def waiver_of(record: RotationRecord, check: str) -> Waiver | None:
    """Return the waiver of this check, or None; a reason to start outside the window waives ``maintenance_window``."""
    if check not in WAIVABLE:
        return None
    if check == MAINTENANCE_WINDOW and (force := record.options.force) is not None:
        return Waiver(check=check, by=record.requested_by, why=force.reason)
    return next((waiver for waiver in record.options.waivers if waiver.check == check), None)

"""Who answers for a check that fails: waivers of the request, and its reason for starting outside the window."""

from collections.abc import Iterable

from keyturn.errors import InvalidRequestError
from keyturn.preflight.checklist import MAINTENANCE_WINDOW, WAIVABLE
from keyturn.preflight.inquiry import Finding, bad, good
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.record_parts import Waiver

EXPECTED = f"one of {', '.join(sorted(WAIVABLE))}"


def require_waivable(checks: Iterable[str]) -> None:
    """Raise InvalidRequestError, naming the field of a start request, for a check that does not exist or must hold."""
    for index, check in enumerate(checks):
        if check not in WAIVABLE:
            field = f"waivers.{index}.check"
            raise InvalidRequestError(f"{field}: {check!r} cannot be waived", field=field, expected=EXPECTED)


def waivers_hold(record: RotationRecord) -> Finding:
    """Every waiver of the request names a check that may be waived."""
    wrong = [waiver.check for waiver in record.options.waivers if waiver.check not in WAIVABLE]
    if wrong:
        return bad(f"{', '.join(wrong)} cannot be waived", f"waive {EXPECTED}, and mend the others")
    return good(f"{len(record.options.waivers)} waivers were given")


def waiver_of(record: RotationRecord, check: str) -> Waiver | None:
    """Return who answers for this check, or None."""
    if check not in WAIVABLE:
        return None
    if check == MAINTENANCE_WINDOW and (force := record.options.force) is not None:
        return Waiver(check=check, by=record.requested_by, why=force.reason)
    return next((waiver for waiver in record.options.waivers if waiver.check == check), None)

"""Every error that Keyturn raises on purpose, in families by who must act, and what each becomes outside.

* :class:`CallerError`: the caller must change the request.
* :class:`OperatorError`: the operator must change a setting, a permission or a resource.
* :class:`TransientError`: no one; the same call may succeed when it is made again.
* :class:`InvariantError`: the developers; something that cannot be, is.

Facts are attributes, so that nothing needs to parse a text. No error ever carries key material, a token or a secret.
"""

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple, Self


class KeyturnError(Exception):
    """Root of all. ``facts`` are plain JSON values; ``hint`` tells the reader what to do next."""

    hint: str = ""

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        self.hint = hint or type(self).hint


class CallerError(KeyturnError):
    """The request must change."""


class InvalidRequestError(CallerError):
    """A field of the request is missing or not what was expected; facts: ``field``, ``expected``."""

    @classmethod
    def expected(cls, field: str, expected: str, *, named: str = "") -> Self:
        """Return the error about a field, which the text calls by another name if ``named`` is given."""
        return cls(f"{named or field}: expected {expected}", field=field, expected=expected)


class UnauthenticatedError(CallerError):
    """A signature, a timestamp or a replay check failed; nothing says which, so that a forger learns nothing."""


class ForbiddenError(CallerError):
    """The caller is known and may not do this."""


class UnknownKeyringError(CallerError):
    """No such keyring; facts: ``keyring``, ``known``."""


class UnknownRotationError(CallerError):
    """No such rotation; facts: ``rotationId``."""


class UnknownMigrationError(CallerError):
    """No such migration; facts: ``migrationId``."""


class RotationRunningError(CallerError):
    """Another rotation holds the keyring; facts: ``keyring``, ``rotationId`` of the one that runs, ``statusUrl``."""


class MigrationRunningError(CallerError):
    """A migration holds the keyring.

    Facts: ``keyring``, and either ``migrationId`` and ``statusUrl`` of one of ours, or ``migration``, ``holder`` and
    ``expiresAt`` of a lease.
    """


class IdempotencyConflictError(CallerError):
    """The Idempotency-Key was used with another body; facts: ``idempotencyKey``."""


class WrongStateError(CallerError):
    """The rotation is not in a state in which this can be asked; facts: ``rotationId``, ``state``, ``allowed``."""


class NotInOrderError(WrongStateError):
    """A verification found what is not in order; facts: ``keyring``, ``failed``."""


class NotWithoutAppError(WrongStateError):
    """The app is at this run, or it takes the app to do what was asked; facts as those of its base."""


class DigestMismatchError(CallerError):
    """The decision names evidence that is not in force; facts: ``rotationId``, ``evidenceDigest`` in force."""


class AbortRequestedError(CallerError):
    """An operator asked to end the rotation, so it goes no further; facts: ``rotationId``, ``requestedBy``."""


class AlreadyDecidedError(CallerError):
    """The evidence was decided on before; facts: ``rotationId``, ``decision``."""


class ApprovalExpiredError(CallerError):
    """The time to decide is over; facts: ``rotationId``."""


class TooManyAttemptsError(CallerError):
    """So many attempts were refused that no more are looked at for a while; facts: ``retryAfterSeconds``."""


class TooManyStartsError(TooManyAttemptsError):
    """The keyring was rotated too often within a day; facts: ``keyring``, ``setting``, ``retryAfterSeconds``."""


def one_of(known: Iterable[str], given: str | None = None) -> str:
    """Return, for an error about a name that is none, the names that there are, and the one that may be meant."""
    if not (names := sorted(known)):
        return "one that exists, and there is none"
    meant = difflib.get_close_matches(given or "", names, n=1)
    return f"one of {', '.join(names)}{f'; did you mean {meant[0]}?' if meant else ''}"


class OperatorError(KeyturnError):
    """A setting, a permission or a resource must change."""


class SettingsError(OperatorError):
    """A setting is missing or not what was expected; facts: ``variable``, ``value`` (masked), ``expected``."""


class PermissionMissingError(OperatorError):
    """The app's identity lacks a right; facts: ``resource``, ``operation``."""


class ResourceMissingError(OperatorError):
    """A key, key version, database or container does not exist; facts: ``resource``."""


class KeyExistsError(OperatorError):
    """A key is to be restored into a vault that has its name, if only as a deleted key's; facts: ``resource``."""

    hint = (
        "see whose it is: az keyvault key list-versions --vault-name VAULT --name KEY; where it was deleted: "
        "az keyvault key list-deleted --vault-name VAULT; if it is this key, recover it and see that its newest "
        "version is enabled; if not, restore into a vault without the name"
    )


class KeyBackupFailedError(OperatorError):
    """A key backup does not open today's rows; facts: ``backup``."""


class BrokenChainError(OperatorError):
    """An audit chain does not hold; facts: ``line``, ``sequence``, ``eventId``, ``problem``, ``detail``."""

    hint = "somebody has changed the record, or it was cut on its way: keep it, and compare it with what was delivered"


class UnprovenEndError(CallerError):
    """A chain is unbroken, and nothing tells whether it ends where it should; facts: ``rotationId``."""


class EvidenceAlteredError(OperatorError):
    """The evidence of a run is not what its digest names; facts: ``rotationId``, ``evidenceDigest``, ``found``."""

    hint = "the record was changed after the freeze: keep the report, end the run, find out who writes to its container"


class RowsLeftError(OperatorError):
    """A run without the app came to its end, and rows were not moved; facts: ``rotationId``, ``rows``, ``named``."""


class TransientError(KeyturnError):
    """The same call may succeed later."""


class LostRaceError(TransientError):
    """Another writer kept changing the same document; facts: ``document``, ``attempts``."""


class NotSettledError(TransientError):
    """Something that was just made or written is not visible yet; facts say what."""


class UnavailableError(TransientError):
    """A service that a rotation needs did not answer; facts: ``resource``."""


class InvariantError(KeyturnError):
    """Something that cannot be, is: stop, change nothing, tell the developers."""


class InvalidTransitionError(InvariantError):
    """A state change that the transition table does not know; facts: ``source``, ``target``, ``allowed``."""


class FencedError(InvariantError):
    """A rotation that lost the keyring's lease tried to act; facts: ``rotationId``, ``holder``."""


class LateError(FencedError):
    """An activity came after the time that its input allows, and wrote nothing; its workflow may schedule it anew."""


class Outcome(NamedTuple):
    """What an error becomes: HTTP status, last part of its problem type, the CLI's exit code, a runbook's section."""

    status: int
    problem: str
    exit_code: int
    section: str = ""  # of docs/runbooks/MEK_ROTATION.md; none where the request, or the caller's own machine, is wrong

    @property
    def runbook(self) -> dict[str, str]:
        """Where the runbook is about it, as a member of a problem; empty where it is not."""
        return {"runbook": f"MEK_ROTATION.md, {self.section}"} if self.section else {}


_OTHER_RUN, _DECIDE, _RECORD = "Another run has the keyring", "Decide", "The record was changed"
_APP, _DIRECT, _KEY = "The app cannot work", "Without the app", "Bring the key back"
# The only place that maps errors; the most specific class wins (see outcome_of).
OUTCOMES: dict[type[KeyturnError], Outcome] = {
    KeyturnError: Outcome(500, "internal", 70, _APP),
    CallerError: Outcome(400, "invalid-request", 64),
    InvalidRequestError: Outcome(400, "invalid-request", 64),
    UnauthenticatedError: Outcome(401, "unauthenticated", 77),
    ForbiddenError: Outcome(403, "forbidden", 77),
    UnknownKeyringError: Outcome(404, "unknown-keyring", 66),
    UnknownRotationError: Outcome(404, "unknown-rotation", 66),
    UnknownMigrationError: Outcome(404, "unknown-migration", 66),
    RotationRunningError: Outcome(409, "rotation-running", 73, _OTHER_RUN),
    MigrationRunningError: Outcome(409, "migration-running", 73, _OTHER_RUN),
    IdempotencyConflictError: Outcome(422, "idempotency-key-reused", 64),
    WrongStateError: Outcome(409, "wrong-state", 73, _DECIDE),
    NotInOrderError: Outcome(409, "not-in-order", 73, "Verify"),
    NotWithoutAppError: Outcome(409, "not-without-app", 73, _DIRECT),
    DigestMismatchError: Outcome(409, "evidence-changed", 73, _DECIDE),
    AbortRequestedError: Outcome(409, "abort-requested", 73, _DECIDE),
    AlreadyDecidedError: Outcome(409, "already-decided", 73, _DECIDE),
    ApprovalExpiredError: Outcome(410, "approval-expired", 73, _DECIDE),
    # Beyond sysexits.h: neither success nor a broken chain.
    UnprovenEndError: Outcome(409, "end-not-proven", 79, _RECORD),
    TooManyAttemptsError: Outcome(429, "too-many-attempts", 75, _APP),
    TooManyStartsError: Outcome(429, "too-many-starts", 75, _APP),
    OperatorError: Outcome(500, "misconfigured", 78, _APP),
    SettingsError: Outcome(500, "misconfigured", 78),
    PermissionMissingError: Outcome(500, "permission-missing", 78, _APP),
    ResourceMissingError: Outcome(500, "resource-missing", 78, _APP),
    KeyExistsError: Outcome(409, "key-exists", 73, _KEY),
    KeyBackupFailedError: Outcome(500, "key-backup-failed", 73, _KEY),
    BrokenChainError: Outcome(500, "broken-audit-chain", 65, _RECORD),
    EvidenceAlteredError: Outcome(500, "evidence-altered", 65, _RECORD),
    RowsLeftError: Outcome(409, "rows-left", 65, _DIRECT),
    TransientError: Outcome(503, "try-again", 75, _APP),
    LostRaceError: Outcome(503, "try-again", 75, _APP),
    NotSettledError: Outcome(503, "try-again", 75, _APP),
    UnavailableError: Outcome(503, "unavailable", 75, _APP),
    InvariantError: Outcome(500, "internal", 70, _APP),
    InvalidTransitionError: Outcome(500, "internal", 70, _APP),
    FencedError: Outcome(409, "fenced", 73, _OTHER_RUN),
    LateError: Outcome(409, "fenced", 73, _OTHER_RUN),
}


def outcome_of(error: KeyturnError) -> Outcome:
    """Return what the error becomes outside: the entry of its own class, or of the nearest base class."""
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)

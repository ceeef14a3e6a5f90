"""What can go wrong with a version of the MEK; the families are those of :mod:`field_encrypt.errors`."""

from field_encrypt.errors import CallerError, OperatorError, RetryError, UnwrapError


class MekError(UnwrapError):
    """An operation on a version of the MEK failed; ``version`` is None where no version was chosen yet."""

    def __init__(self, mek_name: str, version: str | None, detail: str) -> None:
        super().__init__(f"MEK {mek_name}, version {version or '(none chosen)'}: {detail}")
        self.mek_name = mek_name
        self.version = version
        self.detail = detail


class UnwrapRefusedError(MekError, CallerError):
    """These bytes do not unwrap under this version and algorithm."""


class MekNotUsableError(MekError, OperatorError):
    """Nothing may be wrapped under this version: not enabled, outside its validity, or no RSA key for wrapping."""


class MekVersionDisabledError(MekError, OperatorError):
    """The version is disabled; rows that name it cannot be read until it is enabled again."""


class MekVersionNotFoundError(MekError, OperatorError):
    """The key or the version does not exist where this provider looks."""


class MekForbiddenError(MekError, OperatorError):
    """The identity has no token, or may not do this with the key."""


class MekThrottledError(MekError, RetryError):
    """The vault's budget is used up; it says no time to wait for."""


class MekUnavailableError(MekError, RetryError):
    """The vault did not answer, or answered with a failure of its own."""


class ForeignMekError(MekError, OperatorError):
    """A wrapped DEK names another MEK than the one this client was made for."""

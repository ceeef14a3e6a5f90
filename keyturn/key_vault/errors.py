"""What an error of the MEK becomes when it is not about one row: ours, by who must act."""

from field_encrypt.errors import RetryError
from field_encrypt.mek_errors import MekError, MekForbiddenError, MekVersionNotFoundError
from keyturn.errors import KeyturnError, OperatorError, PermissionMissingError, ResourceMissingError, UnavailableError


def keyturn_error(error: MekError, operation: str) -> KeyturnError:
    """Return our error for one of the library's; the library's texts hold no key material."""
    resource = f"MEK {error.mek_name}" + (f", version {error.version}" if error.version else "")
    if isinstance(error, MekForbiddenError):
        return PermissionMissingError(str(error), resource=resource, operation=operation)
    if isinstance(error, MekVersionNotFoundError):
        return ResourceMissingError(str(error), resource=resource)
    if isinstance(error, RetryError):
        return UnavailableError(str(error), resource=resource)
    return OperatorError(str(error), resource=resource, operation=operation)

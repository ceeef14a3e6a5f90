"""What a failure of the vault becomes when it is not about one row: our error, by who must act."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError

from field_encrypt.errors import RetryError
from field_encrypt.mek_errors import MekError, MekForbiddenError, MekVersionNotFoundError
from field_encrypt.vault_failures import interpret
from keyturn.errors import KeyturnError, OperatorError, PermissionMissingError, ResourceMissingError, UnavailableError


@contextmanager
def vault_failures(operation: str, mek_name: str, version: str | None = None) -> Iterator[None]:
    """Raise failures of the SDK and of the library as ours."""
    try:
        yield
    except AzureError as error:
        raise keyturn_error(interpret(error, mek_name, version, operation), operation) from error
    except MekError as error:
        raise keyturn_error(error, operation) from error
    except TimeoutError as error:
        raise UnavailableError(f"the vault did not answer: {operation}", resource=f"MEK {mek_name}") from error


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

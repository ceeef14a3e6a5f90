"""What a failed call to Key Vault means, decided in one place."""

from http import HTTPStatus

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from field_encrypt.mek_errors import (
    MekError,
    MekForbiddenError,
    MekThrottledError,
    MekUnavailableError,
    MekVersionDisabledError,
    MekVersionNotFoundError,
    UnwrapRefusedError,
)

KEY_DISABLED = "KeyDisabled"  # error.innererror.code of a 403


def interpret(error: AzureError, mek_name: str, version: str | None, operation: str) -> MekError:
    """Return the library's error for a failed call; what is not known for sure counts as worth another try."""
    if not isinstance(error, HttpResponseError):
        return MekUnavailableError(mek_name, version, f"{operation}: no answer ({type(error).__name__})")
    status = error.status_code
    detail = f"{operation}: {status} {_codes(error)}"
    kind: type[MekError] = MekUnavailableError
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = MekThrottledError
    elif status == HTTPStatus.FORBIDDEN and KEY_DISABLED in _codes(error):
        kind = MekVersionDisabledError
    elif status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED) or isinstance(error, ClientAuthenticationError):
        kind = MekForbiddenError
    elif status == HTTPStatus.NOT_FOUND:
        kind = MekVersionNotFoundError
    elif status == HTTPStatus.BAD_REQUEST:
        kind = UnwrapRefusedError if operation == "unwrap" else MekVersionNotFoundError  # no such version id exists
    return kind(mek_name, version, detail)


def _codes(error: HttpResponseError) -> str:
    """Return the service's codes; its messages are left out, they are written for another reader."""
    if error.error is None:
        return error.reason or type(error).__name__
    inner = (error.error.innererror or {}).get("code")
    return f"{error.error.code}/{inner}" if inner else str(error.error.code)

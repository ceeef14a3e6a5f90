"""Who makes a request: the account's master key, or an access token whose roles name the data actions."""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

from local.common.files import write_private
from local.cosmos.errors import CosmosError
from local.cosmos.operations import Operation
from local.identity.tokens import Principal, TokenError, verify

# The SDK asks for its endpoint's host without a port, and falls back to the service's common resource.
_AUDIENCES = (
    "https://cosmos.azure.com",
    "https://localhost",
    "https://127.0.0.1",
    "http://localhost",
    "http://127.0.0.1",
)
_KEY_BYTES = 64
_DATE_LEEWAY_SECONDS = 900


def master_key(state: Path) -> str:
    """Return the account's key from ``state/master_key``, made at the first call, readable by its owner only."""
    path = state / "master_key"
    if not path.exists():
        write_private(path, base64.b64encode(secrets.token_bytes(_KEY_BYTES)))
    return path.read_text().strip()


class Authenticator:
    """Checks the authorization of requests."""

    def __init__(self, key: str, identity_key: bytes) -> None:
        self._key = base64.b64decode(key)
        self._identity_key = identity_key

    def principal(self, method: str, operation: Operation, headers: Mapping[str, str]) -> Principal | None:
        """Return who makes the request, None for the holder of the master key, who may do everything.

        Raises:
            CosmosError: 401 if the authorization is missing or does not hold, 403 if it is out of date.
        """
        header = headers.get("authorization")
        if not header:
            raise _unauthorized(
                "Required Header authorization is missing. Ensure a valid Authorization token is passed."
            )
        fields = dict(part.split("=", 1) for part in urllib.parse.unquote(header).split("&") if "=" in part)
        if fields.get("ver") != "1.0" or "sig" not in fields:
            raise _unauthorized("The authorization header must read type=...&ver=1.0&sig=...")
        if fields.get("type") == "aad":
            return self._by_token(fields["sig"])
        if fields.get("type") == "master":
            self._by_key(method, operation, headers, fields["sig"])
            return None
        raise _unauthorized("The authorization type must be aad or master")

    def _by_token(self, token: str) -> Principal:
        try:
            return verify(token, self._identity_key, lambda audience: audience.rstrip("/") in _AUDIENCES)
        except TokenError as error:
            raise _unauthorized(str(error)) from error

    def _by_key(self, method: str, operation: Operation, headers: Mapping[str, str], signature: str) -> None:
        date = headers.get("x-ms-date", "")
        text = f"{method.lower()}\n{operation.resource_type}\n{operation.signed}\n{date.lower()}\n\n"
        expected = hmac.digest(self._key, text.encode(), hashlib.sha256)
        try:
            given = base64.b64decode(signature)
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(expected, given):
            raise _unauthorized(
                "The input authorization token can't serve the request. The wrong key is being used or the expected"
                " payload is not built as per the protocol."
            )
        try:
            age = time.time() - parsedate_to_datetime(date).timestamp()
        except ValueError:
            raise _unauthorized("The header x-ms-date must be an RFC 1123 date") from None
        if abs(age) > _DATE_LEEWAY_SECONDS:
            raise CosmosError(
                HTTPStatus.FORBIDDEN, "Forbidden", "The authorization token is not valid at the current time."
            )


def authorize(principal: Principal | None, operation: Operation, resource: str) -> None:
    """Let the principal do the operation, or refuse.

    Raises:
        CosmosError: 403 with substatus 5300 for what no access token may do, 5301 for a missing data action.
    """
    if principal is None:
        return
    if operation.actions is None:
        raise CosmosError(
            HTTPStatus.FORBIDDEN,
            "Forbidden",
            f"Request blocked by Auth: The given request [{operation.name} {resource}] cannot be authorized by AAD"
            " token in data plane. Learn more: https://aka.ms/cosmos-native-rbac.",
            substatus=5300,
        )
    for action in operation.actions:
        require(principal, action, resource)


def require(principal: Principal | None, action: str, resource: str) -> None:
    """Refuse with 403 and substatus 5301 unless the principal holds the data action."""
    if principal is not None and not principal.may(action, resource):
        raise CosmosError(
            HTTPStatus.FORBIDDEN,
            "Forbidden",
            f"Request blocked by Auth: Request is blocked because principal [{principal.object_id}] does not have"
            f" required RBAC permissions to perform action [{action}] on resource [{resource}]. Learn more: https://aka.ms/cosmos-native-rbac.",
            substatus=5301,
        )


def _unauthorized(message: str) -> CosmosError:
    return CosmosError(HTTPStatus.UNAUTHORIZED, "Unauthorized", message)

"""How the Key Vault clients of one MEK send their requests: which retries they make, and whom they show a token to."""

import ipaddress
from http import HTTPStatus
from typing import Any, override
from urllib.parse import urlsplit

from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AsyncHttpTransport

from field_encrypt.errors import InvalidSettingError


class NoRetryOfThrottledPost(AsyncRetryPolicy[Any, Any]):
    """The SDK's retries, except that a throttled POST is given back at once, with or without Retry-After."""

    @override
    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        throttled = response.http_response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        if throttled and response.http_request.method == "POST":
            return False
        return bool(super().is_retry(settings, response))


def client_options(transport: AsyncHttpTransport[Any, Any], *, verify_challenge_resource: bool) -> dict[str, Any]:
    """Return the options of one client; clients may share a transport, but a policy belongs to one pipeline."""
    return {
        "transport": transport,
        "retry_policy": NoRetryOfThrottledPost(),
        "verify_challenge_resource": verify_challenge_resource,
    }


def require_safe_challenge(vault_url: str, *, verify_challenge_resource: bool) -> None:
    """Check that whoever answers at the vault's URL may be given a token.

    The verification keeps a foreign host from asking for a token of another resource. Only a vault on this machine
    may go without it.

    Raises:
        InvalidSettingError: the verification is off, and the vault is not on loopback.
    """
    if not verify_challenge_resource and not _is_loopback(urlsplit(vault_url).hostname or ""):
        raise InvalidSettingError("verify_challenge_resource", f"true, because {vault_url} is not on loopback")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

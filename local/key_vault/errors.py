"""The refusals of Key Vault: status, code, inner code and text as the service answers them."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from local.identity.tokens import AUTHORITY, ISSUER, Principal

VAULT_RESOURCE = "https://vault.azure.net"


class VaultError(Exception):
    """An answer other than success; ``inner`` is the code of ``innererror``."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner

    def response(self) -> web.Response:
        """Return the error as the service writes it; a throttled answer carries no Retry-After, like the real one."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner is not None:
            error["innererror"] = {"code": self.inner}
        headers = {"WWW-Authenticate": _challenge()} if self.status == web.HTTPUnauthorized.status_code else None
        return web.json_response({"error": error}, status=self.status, headers=headers)


def _challenge() -> str:
    return f'Bearer authorization="{AUTHORITY}", resource="{VAULT_RESOURCE}"'


def unauthorized(reason: str) -> VaultError:
    """Return the challenge that makes a client fetch a token."""
    return VaultError(401, "Unauthorized", reason)


def forbidden_by_rbac(principal: Principal, action: str, resource: str) -> VaultError:
    """Return the refusal of a caller whose roles lack the data action."""
    message = (
        "Caller is not authorized to perform action on resource.\r\n"
        "If role assignments, deny assignments or role definitions were changed recently, "
        "please observe propagation time.\r\n"
        f"Caller: appid={principal.object_id};oid={principal.object_id};iss={ISSUER}\r\n"
        f"Action: '{action}'\r\nResource: '{resource}'\r\nAssignment: (not found)\r\n"
        "DenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n"
    )
    return VaultError(403, "Forbidden", message, "ForbiddenByRbac")


def key_not_found(name: str, version: str = "") -> VaultError:
    """Return the answer for a key or version that does not exist."""
    message = (
        f"A key with (name/id) {name}{'/' if version else ''}{version} was not found in this key vault. If you "
        "recently deleted this key you may be able to recover it using the correct recovery command. For help "
        "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
    )
    return VaultError(404, "KeyNotFound", message)


def not_allowed(operation: str, state: str, inner: str) -> VaultError:
    """Return the refusal of a cryptographic operation because of the version's attributes."""
    return VaultError(403, "Forbidden", f"Operation {operation} is not allowed on {state} key.", inner)


def bad_parameter(message: str) -> VaultError:
    """Return the answer to a request that is wrong in itself."""
    return VaultError(400, "BadParameter", message)


def bad_body(error: ValidationError) -> VaultError:
    """Return the answer to a body that does not validate, naming each property; values are never quoted."""
    problems = (f"{'.'.join(map(str, detail['loc'])) or 'body'}: {detail['msg']}" for detail in error.errors())
    return bad_parameter("; ".join(problems))


def throttled() -> VaultError:
    """Return the answer to a request above the vault's limits."""
    message = "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"
    return VaultError(429, "Throttled", message)

"""App Service Authentication as far as the app sees it: no caller without a token, and the token's claims in a header.

The platform reads bearer tokens and the cookie of a browser that has signed in; this reads bearer tokens of the local
identity alone, and answers 401 where the platform sends a browser to the sign-in page. What callers send under the
names of the platform's headers is dropped, on every path. Source: "Work with user identities in Azure App Service
authentication".
"""

import base64
import json
from collections.abc import Mapping

from aiohttp import web

from local.identity.tokens import Principal, TokenError, verify

AUDIENCE = "api://keyturn"  # the app registration's, which infra/ takes as entraClientId
EXCLUDED_PATHS = frozenset({"/api/health", "/api/approvals"})  # as infra/modules/app/sign_in.bicep has them
PRINCIPAL = "x-ms-client-principal"
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"


class SignIn:
    """Stands in front of the host's HTTP triggers."""

    def __init__(self, identity_key: bytes) -> None:
        self._identity_key = identity_key

    def headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers with which the request reaches the app, names in lower case.

        Raises:
            web.HTTPUnauthorized: nobody is signed in.
        """
        sent = {name.lower(): value for name, value in request.headers.items()}
        passed = {name: value for name, value in sent.items() if not name.startswith(PRINCIPAL)}
        if request.path in EXCLUDED_PATHS:
            return passed
        return {**passed, **_described(self._principal(sent))}

    def _principal(self, headers: Mapping[str, str]) -> Principal:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise web.HTTPUnauthorized
        try:
            return verify(token.strip(), self._identity_key, {AUDIENCE})
        except TokenError as error:
            raise web.HTTPUnauthorized from error


def _described(principal: Principal) -> dict[str, str]:
    claims = [(_OBJECT_ID, principal.object_id), ("preferred_username", principal.name)]
    claims += [("roles", role) for role in principal.roles]
    document = {
        "auth_typ": "aad",
        "claims": [{"typ": kind, "val": value} for kind, value in claims],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    }
    return {
        PRINCIPAL: base64.b64encode(json.dumps(document).encode()).decode(),
        f"{PRINCIPAL}-name": principal.name,
        f"{PRINCIPAL}-id": principal.object_id,
        f"{PRINCIPAL}-idp": "aad",
    }

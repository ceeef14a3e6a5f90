"""App Service Authentication as far as the app sees it: no caller is let in who has not signed in.

Who calls is told by a bearer token, or by the session cookie of a browser that has signed in; a browser without one is
sent to sign in. Tokens are those of the local identity; at ``/.auth/login/aad`` a browser gives one by hand, where
Azure's would come back from Entra ID with it. A request that changes something by session cookie must come from a page
of the site: its Origin, or Referer where there is none, is the site's own, else 403; ``null`` is nobody's. What callers
send under the names of the platform's headers is dropped, on every path. Sources: "Authentication and authorization in
Azure App Service" and "Work with user identities"; the refusal is described in Azure/azure-functions-host#1602.
"""

import base64
import html
import json
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from aiohttp import web

from local.identity.tokens import Principal, TokenError, verify

AUDIENCE = "api://keyturn"  # the app registration's, which infra/ takes as entraClientId
EXCLUDED_PATHS = frozenset({"/api/health", "/api/approvals"})  # as infra/modules/app/sign_in.bicep has them
PRINCIPAL = "x-ms-client-principal"
COOKIE = "AppServiceAuthSession"
LOGIN = "/.auth/login/aad"
CALLBACK = f"{LOGIN}/callback"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_PAGE = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1><form method="post" action="{callback}">
<input type="hidden" name="state" value="{state}"><label>Token <input name="id_token"></label><button>Sign in</button>
</form></html>"""


class SignIn:
    """Stands in front of the host's HTTP triggers."""

    def __init__(self, identity_key: bytes) -> None:
        self._identity_key = identity_key

    def add_routes(self, app: web.Application) -> None:
        """Serve the pages by which a browser gets and loses its session."""
        app.router.add_get(LOGIN, self._login)
        app.router.add_post(CALLBACK, self._called_back)
        app.router.add_get("/.auth/logout", self._logout)

    def headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers with which the request reaches the app, names in lower case.

        Raises:
            web.HTTPFound: a browser is to sign in first.
            web.HTTPUnauthorized: any other caller is not signed in.
            web.HTTPForbidden: a browser's session is used from elsewhere.
        """
        sent = {name.lower(): value for name, value in request.headers.items()}
        passed = {name: value for name, value in sent.items() if not name.startswith(PRINCIPAL)}
        if request.path in EXCLUDED_PATHS:
            return passed
        scheme, _, bearer = sent.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return {**passed, **_described(self._principal(bearer.strip()))}
        if COOKIE not in request.cookies:
            raise _not_signed_in(request)
        principal = self._principal(request.cookies[COOKIE])
        if request.method not in SAFE_METHODS and not _from_the_site(request, sent):
            raise web.HTTPForbidden
        return {**passed, **_described(principal)}

    def _principal(self, token: str) -> Principal:
        try:
            return verify(token, self._identity_key, {AUDIENCE})
        except TokenError as error:
            raise web.HTTPUnauthorized from error

    async def _login(self, request: web.Request) -> web.Response:
        state = html.escape(_own_path(request.query.get("post_login_redirect_uri", "/")))
        return web.Response(text=_PAGE.format(callback=CALLBACK, state=state), content_type="text/html")

    async def _called_back(self, request: web.Request) -> web.Response:
        form = await request.post()
        token = str(form.get("id_token", "")).strip()
        self._principal(token)
        answer = web.Response(status=302, headers={"Location": _own_path(str(form.get("state", "/")))})
        answer.set_cookie(COOKIE, token, path="/", httponly=True, secure=True, samesite="None")
        return answer

    async def _logout(self, _request: web.Request) -> web.Response:
        answer = web.Response(status=302, headers={"Location": LOGIN})
        answer.del_cookie(COOKIE, path="/", httponly=True, secure=True, samesite="None")
        return answer


def _not_signed_in(request: web.Request) -> web.HTTPException:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return web.HTTPFound(f"{LOGIN}?post_login_redirect_uri={quote(request.path_qs, safe='')}")
    return web.HTTPUnauthorized()


def _own_path(location: str) -> str:
    """Return a path of this site, whatever is asked for."""
    parts = urlsplit(location)
    return location if location.startswith("/") and not parts.netloc else "/"


def _from_the_site(request: web.Request, headers: Mapping[str, str]) -> bool:
    named = urlsplit(headers.get("origin") or headers.get("referer", ""))
    return (named.scheme, named.netloc) == (request.scheme, request.host)


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

"""Who calls a route, and whether they may.

``KEYTURN_ACCESS`` says what is believed. ``entra``: the platform's principal, for its roles and its name; a body that
names another person is refused. ``keys``: any holder of a function key, under the name in the body; the principal's
header is ignored, because nothing in front of the app keeps callers from sending it.
"""

from typing import NamedTuple

from keyturn.access.identity import Identity, Principal, read_principal, same_name
from keyturn.access.roles import ROUTES
from keyturn.errors import ForbiddenError, InvalidRequestError
from keyturn.settings import Settings
from keyturn.settings.errors import Place, settings_error


class Caller(NamedTuple):
    """Who calls; without a principal where the platform vouches for none."""

    principal: Principal | None

    def identity(self, stated: str | None, field: str = "requestedBy") -> Identity:
        """Return who acts: the principal, else whom the body names in ``field``.

        Raises:
            ForbiddenError: the body names another person than the principal.
            InvalidRequestError: neither is known, so requester and approver could not be told apart.
        """
        self.require_own(stated, field)
        if self.principal is not None:
            return self.principal.identity
        if stated is None:
            raise InvalidRequestError(
                f"{field}: the request must say who asks", field=field, expected="a name or an address"
            )
        return Identity(stated)

    def require_own(self, stated: str | None, field: str) -> None:
        """Raise ForbiddenError where the caller has a principal and the stated name is another's."""
        if stated is not None and self.principal is not None and not same_name(stated, self.principal.name):
            raise ForbiddenError(f"{field}: names another person than the one who is signed in", field=field)

    def require_role(self, route: str) -> None:
        """Raise ForbiddenError unless the caller may use the route; without a principal every known route is open."""
        allowed = ROUTES.get(route, frozenset())
        if not allowed:
            raise ForbiddenError("no role allows this")
        if self.principal is not None and not allowed & self.principal.roles:
            needed = sorted(allowed)
            raise ForbiddenError(f"this needs the role {' or '.join(needed)}", roles=needed)


def identify(settings: Settings, header: str | None) -> Caller:
    """Return who calls; ``header`` is what came as ``X-MS-CLIENT-PRINCIPAL``.

    Raises:
        UnauthenticatedError: the caller is not signed in.
        SettingsError: the principal is to be believed, and nothing in front of the app makes it believable.
    """
    if settings.keyturn_access == "keys":
        return Caller(None)
    require_sign_in(settings)
    return Caller(read_principal(header))


def require_sign_in(settings: Settings) -> None:
    """Raise SettingsError where principals are to be believed, but any caller could make one up."""
    if settings.keyturn_access == "entra" and not settings.website_auth_enabled:
        expected = "expected App Service Authentication in front of the app, or keys"
        raise settings_error(Place("KEYTURN_ACCESS"), settings.keyturn_access, expected)

"""Who may do what: every route has its roles, and identity is the principal's wherever one is believed."""

import importlib
import pkgutil

import azure.durable_functions as df
import pytest

import triggers
from keyturn.access.caller import Caller, identify, require_sign_in
from keyturn.access.identity import read_principal
from keyturn.access.roles import ROUTES, Role
from keyturn.errors import ForbiddenError, InvalidRequestError, SettingsError, UnauthenticatedError
from keyturn.settings import Settings
from tests.keyturn.access.principals import PERSON_ID, header_of
from tests.keyturn.settings.environment import settings_of
from tests.triggers.registered import triggers_of

FREE = Caller(None)


def entra(**more: str) -> Settings:
    """Return settings under which the platform's principal is believed."""
    return settings_of(KEYTURN_ACCESS="entra", WEBSITE_AUTH_ENABLED="True", **more)


def signed_in(*roles: str, name: str = "ada@example.com") -> Caller:
    """Return a caller whom the platform vouches for."""
    return Caller(read_principal(header_of(*roles, name=name)))


def routes() -> dict[str, str]:
    """Return what answers over HTTP, with the level of key that it takes."""
    app = df.DFApp()
    for found in pkgutil.iter_modules(triggers.__path__):
        if (bp := getattr(importlib.import_module(f"triggers.{found.name}"), "bp", None)) is not None:
            app.register_functions(bp)
    return {name: one["authLevel"].value for name, one in triggers_of(app).items() if one["type"] == "httpTrigger"}


# Routes that ask for no role: one tells nothing, the other takes what is signed with the webhook's secret.
WITHOUT_ROLE = {"health", "decide_rotation"}


def test_every_route_of_the_app_has_its_roles() -> None:
    """What answers over HTTP is in the table or needs no role, and nothing is in both."""
    assert set(routes()) == {*ROUTES, *WITHOUT_ROLE}
    assert WITHOUT_ROLE & set(ROUTES) == set()


CONSOLE = {
    *(f"show_console{page}" for page in ("", "_keyring", "_run", "_evidence")),
    *("diagnose_in_console", "confirm_console_order", "give_console_order"),
}


def test_a_function_key_is_the_floor() -> None:
    """Only the pages, which a link or a session opens, the webhook, which takes signatures, and health need no key."""
    without = {name for name, level in routes().items() if level.lower() != "function"}

    pages = {f"{does}_{what}approval" for does in ("show", "decide") for what in ("", "restore_")}
    assert {*pages, *CONSOLE, *WITHOUT_ROLE} == without


def opens(caller: Caller, route: str) -> bool:
    """Tell whether the caller may use the route."""
    try:
        caller.require_role(route)
    except ForbiddenError:
        return False
    return True


ALLOWED = {
    Role.REQUESTER: {"start_rotation"},
    Role.APPROVER: {"show_approval", "decide_approval", "show_restore_approval", "decide_restore_approval"},
    Role.OPERATOR: {
        *("retry_rotation", "abort_rotation", "reinstate_rotation", "get_dek", "get_document_diagnosis", "get_orphans"),
        "repair_dek",
        *("start_any_migration", "start_reencryption", "retry_migration", "abort_migration"),
        *("roll_back_rotation", "start_restore"),
        *("diagnose_in_console", "verify_keyring", "examine_deployment", "list_key_backups", "hand_out_key_backup"),
    },
    Role.READER: set(),
}
READING = {
    *("list_rotations", "list_keyrings", "get_rotation", "get_report", "get_audit", "describe_api"),
    *("list_migrations", "get_migration", "get_migration_report", "get_migration_audit"),
    *(CONSOLE - {"diagnose_in_console"}),
    "make_console_link",
}


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_its_routes_and_no_other(role: Role) -> None:
    """Each role reads; beyond that each does what it is for."""
    assert READING | ALLOWED[role] == {route for route in ROUTES if opens(signed_in(role), route)}


@pytest.mark.parametrize("caller", [FREE, signed_in(*Role)], ids=["keys", "every role"])
def test_a_route_that_is_not_in_the_table_is_closed(caller: Caller) -> None:
    """Deny by default, also for whoever has a function key and for whoever has every role."""
    with pytest.raises(ForbiddenError):
        caller.require_role("new_route")


def test_without_a_role_nothing_is_opened() -> None:
    """Being signed in is not enough."""
    for route in ROUTES:
        with pytest.raises(ForbiddenError):
            signed_in("Other.Role").require_role(route)


def test_identity_is_the_principals() -> None:
    """Name and object id come from the token; a body may repeat the name and no more."""
    caller = signed_in(Role.REQUESTER)

    assert ("ada@example.com", PERSON_ID) == caller.identity(None) == caller.identity("Ada@Example.com")
    with pytest.raises(ForbiddenError) as refused:
        caller.identity("eve@example.com")
    assert refused.value.facts["field"] == "requestedBy"


def test_with_keys_identity_is_what_the_body_says() -> None:
    """Nobody vouches for anybody: without a name nobody could tell requester and approver apart."""
    assert FREE.identity("eve") == ("eve", None)
    with pytest.raises(InvalidRequestError, match="requestedBy"):
        FREE.identity(None)


def test_with_keys_the_header_is_not_looked_at() -> None:
    """Anybody could send it."""
    assert identify(settings_of(KEYTURN_ACCESS="keys"), header_of(*Role)) == FREE


def test_with_entra_a_principal_is_needed() -> None:
    """No header, no caller; with one it is who the header says."""
    assert getattr(identify(entra(), header_of()).principal, "name", None) == "ada@example.com"
    with pytest.raises(UnauthenticatedError):
        identify(entra(), None)


@pytest.mark.parametrize("variables", [{}, {"WEBSITE_AUTH_ENABLED": "false"}])
def test_entra_refuses_to_work_without_sign_in(variables: dict[str, str]) -> None:
    """Where the platform does not sign anybody in, a principal is anybody's claim: nothing is answered."""
    with pytest.raises(SettingsError) as refused:
        identify(settings_of(KEYTURN_ACCESS="entra", **variables), header_of(*Role))

    assert refused.value.facts["variable"] == "KEYTURN_ACCESS"


def test_keys_need_no_sign_in() -> None:
    """A single host has nothing in front."""
    require_sign_in(settings_of(KEYTURN_ACCESS="keys"))

"""App Service Authentication in front of the host: sessions of browsers, and from where they may be used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local.functions_host.sign_in import AUDIENCE, CALLBACK, COOKIE, LOGIN
from local.identity.signing_key import PUBLIC_NAME, load_signing_key
from local.identity.tokens import issue
from tests.local.functions_host.host_process import SampleHost
from tests.local.task_hub.hub_process import HubProcess

PAGE = {"accept": "text/html,application/xhtml+xml"}
NAME = "sam@example.com"
POSTED = "/api/echo/1"

Token = Callable[..., str]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the keys that sign tokens."""
    return tmp_path_factory.mktemp("identity")


@pytest.fixture(scope="module")
def token(identity: Path) -> Token:
    """Return a function that makes a token of a person."""
    key = load_signing_key(identity)

    def make(seconds: int = 600) -> str:
        return issue(name=NAME, object_id="1", roles=(), resource=AUDIENCE, signing_key=key, seconds=seconds)[0]

    return make


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, hub: HubProcess, identity: Path, token: Token
) -> Iterator[SampleHost]:
    """A host whose callers must sign in."""
    assert token()
    arguments = ("--sign-in", str(identity / PUBLIC_NAME))
    running = SampleHost(tmp_path_factory.mktemp("guarded"), hub, arguments=arguments)
    yield running
    running.process.kill()


def ask(host: SampleHost, method: str, path: str, **options: object) -> requests.Response:
    """Send a request as it is, and follow nothing."""
    return requests.request(method, host.process.url + path, allow_redirects=False, timeout=60, **options)  # type: ignore[arg-type]  # passed on


def session(host: SampleHost, token: str, state: str = "/") -> requests.Response:
    """Sign a browser in, as the page at the login's address does."""
    return ask(host, "POST", CALLBACK, data={"id_token": token, "state": state})


def test_a_browser_signs_in_and_comes_back(guarded: SampleHost, token: Token) -> None:
    """It is sent to the login with the address it came for, and from there back, with a cookie no script can read."""
    sent_off = ask(guarded, "GET", "/api/files/a?b=c", headers=PAGE)
    wanted = parse_qs(urlsplit(sent_off.headers["Location"]).query)["post_login_redirect_uri"]
    form = ask(guarded, "GET", sent_off.headers["Location"])
    came_back = session(guarded, token(), *wanted)
    cookie = came_back.headers["Set-Cookie"]
    shown = ask(guarded, "GET", came_back.headers["Location"], cookies={COOKIE: came_back.cookies[COOKIE]})

    assert (sent_off.status_code, urlsplit(sent_off.headers["Location"]).path) == (302, LOGIN)
    assert f'action="{CALLBACK}"' in form.text
    assert (came_back.status_code, came_back.headers["Location"]) == (302, "/api/files/a?b=c")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=None"} <= set(cookie.split("; "))
    assert (shown.status_code, shown.text) == (200, "a")


def test_what_is_no_browser_is_not_sent_away(guarded: SampleHost) -> None:
    """A program gets 401, and so does a form without a session."""
    tried = [ask(guarded, "GET", "/api/files/a"), ask(guarded, "POST", POSTED, headers=PAGE)]

    assert [answer.status_code for answer in tried] == [401, 401]


@pytest.mark.parametrize("given", ["", "no.token", -60], ids=["none", "garbage", "expired"])
def test_a_session_begins_and_lasts_with_its_token(guarded: SampleHost, token: Token, given: str | int) -> None:
    """Neither the login nor the cookie takes another one."""
    bad = given if isinstance(given, str) else token(given)

    tried = [session(guarded, bad), ask(guarded, "GET", "/api/files/a", cookies={COOKIE: bad or "-"})]

    assert [answer.status_code for answer in tried] == [401, 401]


@pytest.mark.parametrize("state", ["https://elsewhere.example/", "//elsewhere.example/", "nothing"])
def test_the_login_leads_nowhere_else(guarded: SampleHost, token: Token, state: str) -> None:
    """Who made up the address does not choose where the browser goes."""
    assert session(guarded, token(), state).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "{own}"}, 201),
        ({"Referer": "{own}/api/page"}, 201),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Referer": "{own}/api/page"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "{own}0"}, 403),
        ({}, 403),
    ],
    ids=str,
)
def test_a_session_changes_things_from_its_own_site_only(
    guarded: SampleHost, token: Token, headers: dict[str, str], expected: int
) -> None:
    """A form by cookie says where it comes from; a program with a token need not."""
    given = {name: value.format(own=guarded.process.url) for name, value in headers.items()}
    by_cookie = ask(guarded, "POST", POSTED, headers=given, cookies={COOKIE: token()})
    by_token = ask(guarded, "POST", POSTED, headers={**given, "authorization": f"Bearer {token()}"})

    assert (by_cookie.status_code, by_token.status_code) == (expected, 201)
    assert by_token.json()["principal"] == NAME
    assert by_cookie.status_code == 403 or by_cookie.json()["principal"] == NAME

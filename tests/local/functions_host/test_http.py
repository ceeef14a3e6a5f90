"""HTTP triggers through the host: keys, routes, requests and responses."""

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import KEYS, SampleHost, wait_until

UNWRAPPED_BY: dict[str, set[str | None]] = {
    "open": {None, "function", "host", "system", "master"},
    "keyed": {"function", "host", "master"},
    "admin-only": {"master"},
}


@pytest.mark.parametrize("key", [None, *KEYS])
@pytest.mark.parametrize("route", UNWRAPPED_BY)
def test_auth_level_decides_which_keys_open_a_function(host: SampleHost, route: str, key: str | None) -> None:
    """A function answers holders of the keys of its level, in the header or the query, and 401 to everybody else."""
    value = KEYS[key] if key else "wrong"
    in_header = host.call("GET", f"/api/{route}", headers={"x-functions-key": value})
    in_query = host.call("GET", f"/api/{route}?code={value}")

    expected = 200 if key in UNWRAPPED_BY[route] else 401
    assert [in_header.status, in_query.status] == [expected, expected]


def test_function_sees_the_whole_request_and_answers_in_full(host: SampleHost) -> None:
    """Route and query parameters, headers and any bytes arrive; status, headers, cookies and body leave."""
    answer = host.call("POST", "/api/echo/5/a%2Fb?q=1&r=%C3%A4", b"\x00\xff", {"X-Sample": "seen"})

    assert answer.json == {
        "params": {"kind": "5", "name": "a/b"},
        "query": {"q": "1", "r": "ä"},
        "header": "seen",
        "principal": None,
        "body": "00ff",
    }
    assert (answer.status, answer.headers["x-answer"]) == (201, "42")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Set-Cookie"] == "taste=sweet; HttpOnly; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/echo/7/other", 201),
        ("POST", "/api/echo/7", 201),
        ("POST", "/API/Echo/7", 201),
        ("POST", "/api/echo/seven", 404),
        ("GET", "/api/echo/7", 404),
        ("GET", "/api/files/a/b/c", 200),
        ("GET", "/api/files", 200),
        ("GET", "/api/nothing", 404),
        ("GET", "/open", 404),
    ],
)
def test_route_and_method_must_match(host: SampleHost, method: str, path: str, expected: int) -> None:
    """A request that no route, constraint and method takes is not found."""
    answer = host.call(method, path)

    assert answer.status == expected


def test_catch_all_takes_the_rest_of_the_path(host: SampleHost) -> None:
    """A parameter with a star holds every segment that is left."""
    answer = host.call("GET", "/api/files/a/b/c")

    assert answer.body == b"a/b/c"


def test_literal_route_wins_over_one_with_parameters(host: SampleHost) -> None:
    """The more specific of two matching routes is taken, and a string is a plain text answer."""
    answer = host.call("POST", "/api/echo/7/seven")

    assert (answer.status, answer.body) == (200, b"seven")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_unhandled_exception_is_a_500_without_a_body(host: SampleHost) -> None:
    """What a function raises is for the log, not for the caller."""
    answer = host.call("GET", "/api/broken")

    assert (answer.status, answer.body) == (500, b"")
    assert "RuntimeError: for the log only" in host.log()


def test_log_names_the_function_of_a_record(host: SampleHost) -> None:
    """The app's own records carry the function's name and the invocation's id."""
    host.call("POST", "/api/echo/1", b"abc")

    line = next(line for line in host.log().splitlines() if "echoing 3 bytes" in line)
    assert " INFO [echo " in line


def test_body_over_the_limit_is_refused(host: SampleHost) -> None:
    """A request of more than 100 MB is too large."""
    answer = host.call("POST", "/api/echo/1", headers={"Content-Length": str(100 * 1024 * 1024 + 1)})

    assert answer.status == 413


def test_fault_rule_names_a_function(host: SampleHost) -> None:
    """An armed status is answered once in the function's place."""
    host.arm(operation="open_function", kind="status", status=503)

    assert [host.call("GET", "/api/open").status for _ in range(2)] == [503, 200]


def test_an_answer_that_takes_too_long_is_not_waited_for(start_host: StartHost) -> None:
    """The caller gets 504, as from Azure's load balancer; the function runs on to its end."""
    host = start_host({}, "--answer-seconds", "1")

    answer = host.call("GET", "/api/slow")
    before = host.lines("slow")
    (host.effects / "go").touch()

    wait_until(lambda: host.lines("slow"), "the function to end")
    assert (answer.status, before) == (504, [])


def test_a_disabled_function_answers_the_master_key_only(start_host: StartHost) -> None:
    """Not found for everybody else, whatever its own level; other functions are served."""
    host = start_host({"AzureWebJobs.open_function.Disabled": "true", "AzureWebJobs.keyed.Disabled": "false"})
    tried = [host.call("GET", "/api/open", headers={"x-functions-key": KEYS[key]}).status for key in KEYS]

    assert dict(zip(KEYS, tried, strict=True)) == {"function": 404, "host": 404, "system": 404, "master": 200}
    assert host.call("GET", "/api/open").status == 404
    assert host.call("GET", f"/api/keyed?code={KEYS['function']}").status == 200

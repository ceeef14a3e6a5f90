"""Route templates of HTTP triggers: matching, constraints and precedence, as far as ASP.NET's templates are used."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.functions_host.functions import Function

PARAMETER = re.compile(r"\{(?P<all>\*?)(?P<name>[A-Za-z_]\w*)(?::(?P<constraint>\w+))?(?P<optional>\??)\}")

CONSTRAINTS = {
    None: r"[^/]+",
    "int": r"-?\d+",
    "long": r"-?\d+",
    "bool": r"(?:true|false)",
    "alpha": r"[A-Za-z]+",
    "guid": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
}

# Order in which a segment of one route beats that of another.
LITERAL, CONSTRAINED, FREE, CATCH_ALL = range(4)


class RouteError(Exception):
    """A route template cannot be used."""


@dataclass(frozen=True)
class Route:
    """The compiled route of one HTTP function."""

    function: Function
    pattern: re.Pattern[str]
    precedence: tuple[int, ...]
    methods: frozenset[str]  # upper case; empty allows every method

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of an encoded path without slashes at its ends, or None where it does not match."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items() if value is not None}


def compile_route(function: Function, prefix: str) -> Route:
    """Compile the route of an HTTP function below the app's prefix.

    Raises:
        RouteError: the template uses something that the local host does not serve.
    """
    template = str(function.trigger.get("route") or function.name).strip("/")
    segments = [segment for segment in f"{prefix}/{template}".split("/") if segment]
    compiled = [_segment(segment, function.name) for segment in segments]
    pattern = "".join(part for part, _ in compiled).removeprefix("/")
    return Route(
        function=function,
        pattern=re.compile(pattern, re.IGNORECASE),
        precedence=tuple(rank for _, rank in compiled),
        methods=frozenset(str(method).upper() for method in function.trigger.get("methods") or ()),
    )


def _segment(segment: str, function: str) -> tuple[str, int]:
    if "{" not in segment:
        return f"/{re.escape(segment)}", LITERAL
    found = PARAMETER.fullmatch(segment)
    if found is None or found["constraint"] not in CONSTRAINTS:
        served = ", ".join(sorted(name for name in CONSTRAINTS if name))
        raise RouteError(
            f"function {function!r}: route segment {segment!r} is not served; "
            f"use a literal, {{name}}, {{name?}}, {{*name}} or {{name:constraint}} with one of {served}"
        )
    if found["all"]:
        return f"(?:/(?P<{found['name']}>.*))?", CATCH_ALL
    part = f"/(?P<{found['name']}>{CONSTRAINTS[found['constraint']]})"
    rank = CONSTRAINED if found["constraint"] else FREE
    return (f"(?:{part})?" if found["optional"] else part), rank


class Router:
    """All routes of the app, the more specific ones first."""

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        routes = [compile_route(function, prefix) for function in functions if function.trigger_type == "httpTrigger"]
        self._routes = sorted(routes, key=lambda route: route.precedence)

    def match(self, method: str, raw_path: str) -> tuple[Function, dict[str, str]] | None:
        """Return the function for the request and its route parameters; a method that no route takes is no match."""
        path = raw_path.strip("/")
        for route in self._routes:
            if route.methods and method.upper() not in route.methods:
                continue
            if (parameters := route.match(path)) is not None:
                return route.function, parameters
        return None

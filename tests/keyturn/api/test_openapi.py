"""The API's description: every route, its parameters and bodies, and references that lead somewhere."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import triggers
from keyturn.access.roles import ROUTES
from keyturn.api.openapi import description
from tests.triggers.registered import triggers_of

BASE = "/api"
GOOD = (200, 201, 202, 303)  # 303: a form of the console leads to the run that it is about


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return every operation with its path and method."""
    for path, methods in description()["paths"].items():
        for method, described in methods.items():
            yield path, method, described


def references(value: Any) -> Iterator[str]:
    """Return every reference in the document."""
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_what_is_described_is_what_answers() -> None:
    """Names, paths and methods are those of the registered functions, all and no other, and so is who needs a key."""
    app = df.DFApp()
    for found in pkgutil.iter_modules(triggers.__path__):
        if (bp := getattr(importlib.import_module(f"triggers.{found.name}"), "bp", None)) is not None:
            app.register_functions(bp)
    answering = set()
    for name, trigger in triggers_of(app).items():
        if trigger["type"] == "httpTrigger":
            [method] = trigger["methods"]
            keyed = trigger["authLevel"] is func.AuthLevel.FUNCTION
            answering.add((name, f"{BASE}/{trigger['route']}", method.value.lower(), keyed))

    described = {(one["operationId"], path, method, _needs_key(one)) for path, method, one in operations()}
    assert described == answering


def _needs_key(described: dict[str, Any]) -> bool:
    ways = described["security"]
    return bool(ways) and all("functionKey" in way for way in ways)


def test_the_description_is_valid_openapi() -> None:
    """Generators of clients, which follow the standard to the letter, can read it."""
    found = OpenAPIV31SpecValidator(description()).iter_errors()

    assert [f"{list(error.absolute_path)}: {error.message}" for error in found] == []


def test_references_lead_to_schemas() -> None:
    """Every reference is to a schema of the document, and every schema is valid JSON with a kind."""
    schemas = description()["components"]["schemas"]
    named = {reference.removeprefix("#/components/schemas/") for reference in references(description())}

    assert named - set(schemas) == set()
    assert [name for name, schema in schemas.items() if not isinstance(schema, dict)] == []


def test_the_document_is_json_of_version_3_1() -> None:
    """It goes through JSON unchanged, and says what it is."""
    document = json.loads(json.dumps(description()))

    assert description() == document
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(document["info"])


@pytest.mark.parametrize(("path", "method", "described"), list(operations()), ids=lambda part: str(part)[:40])
def test_an_operation_is_whole(path: str, method: str, described: dict[str, Any]) -> None:
    """Path parameters are declared, a good answer and the problems are described, roles are those of the table."""
    placed = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    declared = [one["name"] for one in described["parameters"] if one["in"] == "path"]
    statuses = [int(status) for status in described["responses"]]

    assert placed == declared
    assert [status in GOOD for status in statuses if status < 400] == [True]
    assert {400, 500, 503} <= set(statuses)
    assert ("requestBody" in described) <= (method == "post")
    assert sorted(ROUTES.get(described["operationId"], ())) == described["x-roles"]
    assert {name for one in described["security"] for name in one} <= set(
        description()["components"]["securitySchemes"]
    )

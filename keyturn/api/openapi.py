"""The OpenAPI 3.1 description of the HTTP API, made from the operations and from the models that validate bodies."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from keyturn.access.roles import ROUTES
from keyturn.api.operations import OPERATIONS, Operation
from keyturn.console.sessions import COOKIE
from keyturn.http import CONTENT_TYPE as PROBLEM

REFERENCE = "#/components/schemas/{model}"
JSON, FORM, PAGE = "application/json", "application/x-www-form-urlencoded", "text/html"
# What any route may answer beside its own: bad input, nobody known, not allowed; our failure, a service that is away.
_EVERYWHERE = (400, 500, 503)
_GUARDED = (401, 403)

_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "key": [{"functionKey": [], "entra": []}, {"functionKey": []}],
    "signature": [],  # what admits a message stands in the webhook's headers
    "link": [{"link": [], "entra": []}, {"link": []}],
    "session": [{"session": []}, {"entra": []}],
    "none": [],
}


@cache
def description() -> dict[str, Any]:
    """Return the description."""
    references, schemas = _schemas()
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keyturn",
            "version": "1",
            "description": "Rotates the master encryption key of an envelope-encryption scheme.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "entra": {"type": "http", "scheme": "bearer", "description": "where KEYTURN_ACCESS is entra"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "a link opens one"},
                "link": {"type": "apiKey", "in": "query", "name": "token", "description": "or in the form"},
            },
        },
    }


def _schemas() -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, Any]]:
    """Return for each model where its schema is, and all schemas by name."""
    modes: dict[type[BaseModel], JsonSchemaMode] = {}
    for operation in OPERATIONS:
        modes |= {operation.body: "validation"} if operation.body is not None else {}
        modes |= {operation.answer: "serialization"} if operation.answer is not None else {}
    places, definitions = models_json_schema(list(modes.items()), ref_template=REFERENCE)
    by_model = {model: place for (model, _), place in places.items() if issubclass(model, BaseModel)}
    return by_model, {**definitions["$defs"], "Problem": _PROBLEM}


def _described(operation: Operation, references: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    guarded = _GUARDED if operation.security != "none" else ()
    page = operation.media == PAGE
    unmodelled = {"type": "object" if operation.media == JSON else "string"}
    answer = references[operation.answer] if operation.answer is not None else unmodelled
    responses: dict[str, Any] = {
        str(operation.success): {"description": "done", "content": {operation.media: {"schema": answer}}}
    }
    for status in sorted({*_EVERYWHERE, *guarded, *operation.refusals}):
        content = {PAGE: {"schema": {"type": "string"}}} if page else {PROBLEM: {"schema": _PROBLEM_REFERENCE}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": responses,
        "security": _SECURITY[operation.security],
        "x-roles": sorted(ROUTES.get(operation.name, ())),
    }
    if operation.body is not None:
        kind = FORM if page else JSON
        content = {kind: {"schema": references[operation.body]}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    named: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    for one in operation.parameters:
        texts = {"name": one.name, "in": one.place, "description": one.description}
        named.append({**texts, "required": one.required, "schema": {"type": "string"}})
    return named


_PROBLEM_REFERENCE = {"$ref": REFERENCE.format(model="Problem")}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457; facts of an error are further members.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        **{
            name: {"type": "string"}
            for name in ("type", "title", "detail", "instance", "hint", "runbook", "correlationId")
        },
        "status": {"type": "integer"},
    },
}

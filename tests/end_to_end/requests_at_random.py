"""Requests at random, made from the API's own description: some almost right, most of them not."""

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from keyturn.api.openapi import description

ODD_TEXTS = (
    *("", " ", "0", "-1", "1e9", "true", "null", "ä", "\u202e", "x" * 300, "a\x00b", "../..", "%2e%2e", "'; --", "{}"),
    *("rewrap_deks", "encrypt", "reencrypt", "decrypt_check", "all"),
    *("missing_deks", "unused_deks", "notes", "backup", "approve", "reject", "monthly"),
    *("notelett", "dana@example.com", "notelett.20260101T000000Z.000000", "~webhooks", "a" * 64, "PT1H", "P9999999D"),
)
ODD_VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 2**63, 1.5, [], {}, [[]], {"": None}, [None] * 30, "\ud800")
ODD_PAYLOADS = (
    *(b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 50_000, b"1" * 5_000, b'{"a": NaN}', b"{}" * 2),
    *(
        b"\x00",
        b'{"keyring": "a", "keyring": "b"}',
        b"token=a&token=b&decision=approve",
        b"=" * 100,
        b"%ff",
        b"x" * 70_000,
    ),
)


class Request(NamedTuple):
    """One request; ``path`` is encoded, ``route`` is what it was made from."""

    operation: str
    method: str
    route: str
    path: str
    headers: dict[str, str]
    body: bytes | None


def requests_at_random(count: int, seed: int, ids: list[str], leave_alone: dict[str, str]) -> Iterator[Request]:
    """Yield so many requests for every operation of the API.

    ``ids`` are real ones to mix in; ``leave_alone`` has by operation the real id that it must not be tried on.
    """
    chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
    for path, methods in description()["paths"].items():
        for method, described in methods.items():
            name = described["operationId"]
            own = [one for one in ids if leave_alone.get(name) != one]
            for _ in range(count):
                yield _request(chance, name, method.upper(), path, described, own)


def _request(
    chance: random.Random, name: str, method: str, path: str, described: dict[str, Any], ids: list[str]
) -> Request:
    texts, route = [*ODD_TEXTS, *ids, *ids, *ids], path
    query, headers = {}, {}
    for parameter in described["parameters"]:
        value = chance.choice(texts)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(value or "-", safe=""))
        elif parameter["in"] == "query" and chance.random() < 0.7:
            query[parameter["name"]] = value
        elif parameter["in"] == "header" and chance.random() < 0.7:
            headers[parameter["name"]] = value.encode("ascii", "replace").decode().replace("\x00", "?")
    body = None
    if "requestBody" in described:
        [(kind, content)] = described["requestBody"]["content"].items()
        headers["content-type"] = chance.choice([kind, kind, "text/plain", "application/json"])
        body = _body(chance, content["schema"]["$ref"].rpartition("/")[2], kind, texts)
    return Request(name, method, route, f"{path}?{urlencode(query)}" if query else path, headers, body)


def _body(chance: random.Random, schema: str, kind: str, texts: list[str]) -> bytes:
    if chance.random() < 0.3:
        return chance.choice(ODD_PAYLOADS)
    properties = _properties(schema)
    density = chance.choice((0.1, 0.6))  # few properties are almost right, where most may be left out
    values = {name: _value(chance, texts) for name in properties if chance.random() < density}
    if chance.random() < 0.1:
        values["unknown"] = 1
    if kind != "application/json":
        return urlencode({name: str(value).encode(errors="replace") for name, value in values.items()}).encode()
    return json.dumps(values).encode()


def _properties(schema: str) -> list[str]:
    """Return the properties of a body, or of all the bodies that it may be."""
    described = description()["components"]["schemas"][schema]
    parts = [_properties(part["$ref"].rpartition("/")[2]) for part in described.get("oneOf", [])]
    return [*described.get("properties", {}), *sorted({name for part in parts for name in part})]


def _value(chance: random.Random, texts: list[str]) -> Any:
    return chance.choice(texts) if chance.random() < 0.6 else chance.choice(ODD_VALUES)

"""Requests at random, made from the API's own description: some almost right, most of them not."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from keyturn.api.openapi import description
from keyturn.console.orders import ORDERS

_WHOLE = '{"Range":{"min":"","max":"FF","isMinInclusive":true,"isMaxInclusive":false}}'


def _token(range_: str, cursor: object = None, kind: str = "missing_deks") -> str:
    """Return a position in a scan that no answer has given."""
    made = None if cursor is None else base64.b64encode(json.dumps(cursor).encode()).decode()
    container = "notes" if kind == "missing_deks" else "dek_store"
    position = {"kind": kind, "container": container, "range": range_, "cursor": made}
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


FORGED_TOKENS = (
    *(_token("{}"), _token("x"), _token("[" * 1_000), _token("1" * 5_000), _token('{"Range":{"min":1,"max":2}}')),
    *(_token(_WHOLE.replace("FF", "")), _token(_WHOLE.replace('""', '"zz"')), _token(_WHOLE, kind="unused_deks")),
    *(_token(_WHOLE, []), _token(_WHOLE, {}), _token(_WHOLE, {"continuation": {"continuation": [1]}})),
    *("e30.e30", f"{'a' * 43}.{'b' * 43}", "\ud7ff.\ud7ff", f"{base64.urlsafe_b64encode(b'null').decode()}.x"),
)
FITTING = {
    "kind": ("missing_deks", "unused_deks"),
    "keyring": ("notelett",),
    "minAge": ("PT1H",),
    "container": ("notes",),
    "order": tuple(ORDERS),
    "token": FORGED_TOKENS,
}
ODD_TEXTS = (
    *("9" * 5_000, "nan", "inf", "1e400", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("P1Y", "PT-1S", "-P1D", "k.99999999T999999Z.ffffff", "k.m.00000000T000000Z.000000", "\u0665", "\ufeff", "\u200b"),
    *("", " ", "0", "-1", "1e9", "true", "null", "ä", "\u202e", "x" * 300, "a\x00b", "../..", "%2e%2e", "'; --", "{}"),
    *("rewrap_deks", "encrypt", "reencrypt", "decrypt_check", "all"),
    *("missing_deks", "unused_deks", "notes", "backup", "approve", "reject", "monthly"),
    *("notelett", "dana@example.com", "notelett.20260101T000000Z.000000", "~webhooks", "a" * 64, "PT1H", "P9999999D"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 10**400, 1.5, float("nan"), float("-inf"), [], {}, [[]], {"": None}),
    *([None] * 30, [{"check": "backup", "why": "x"}] * 30, "\ud800", {"\ud800": 1}, json.loads("[" * 90 + "]" * 90)),
)
ODD_PAYLOADS = (
    *(b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 50_000, b"1" * 5_000, b'{"a": NaN}', b"{}" * 2),
    *(
        b"\x00",
        b'{"keyring": "a", "keyring": "b"}',
        b"token=a&token=b&decision=approve",
        b"=" * 100,
        b"%ff",
        b"x" * 70_000,
        *(
            '{"requestedBy": "dana@example.com"}'.encode(coding)
            for coding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")
        ),
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"requestedBy": "dana@example.com", "requestedBy": "eve@example.com"}',
        b'{"reason": "\\ud800", "\\udfff": 1}',
        b'{"dryRun": Infinity}',
        b'{"dryRun": 1e999}',
        b"token=%ED%A0%80.%ED%A0%80&decision=approve",
        b"token=" + b"a" * 43 + b".%C3%A4&decision=approve",
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
        if chance.random() < 0.7:  # what is wrong is to be one thing among what is right
            value = chance.choice(FITTING.get(parameter["name"], texts))
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

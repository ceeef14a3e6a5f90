"""Finds secrets in whatever a system leaves behind: logs, histories, records, answers, notifications, telemetry.

Two ways to be caught. A *known* secret (a DEK, a token, a password that the test has made or read) is looked for in
every form in which programs write bytes down; a *shape* (a JWT, a private key, a signed URL) is one whoever's it is.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import override
from urllib.parse import quote_from_bytes

SHORTEST = 8  # bytes; what is shorter is found by chance
BASE64_BYTES = 3  # that four characters hold

SHAPES: Mapping[str, re.Pattern[bytes]] = {
    "a JWT": re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a webhook secret": re.compile(rb"whsec_[A-Za-z0-9+/=]{20,}"),
    "an account key": re.compile(rb"(?i)(AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{20,}"),
    "a signed URL": re.compile(rb"(?i)[?&](sig|code)=[A-Za-z0-9%+/_-]{20,}"),
    "an authorization header": re.compile(rb"(?i)bearer [A-Za-z0-9._~+/-]{20,}"),
}


@dataclass(frozen=True)
class Secret:
    """Something that must not be found; ``name`` says what it is, without telling it."""

    name: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, order=True)
class Finding:
    """A secret that was found: what, in which form, and where. It does not hold the secret."""

    secret: str
    form: str
    where: str

    @override
    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.where}"


def forms_of(raw: bytes) -> dict[str, bytes]:
    """Return the byte strings by which a secret gives itself away, by the name of the form.

    Base64 depends on where in a longer text the secret stands: for each of the three positions, what does not depend
    on its neighbours.
    """
    text = raw.decode("latin-1")
    forms = {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "Python": repr(raw)[2:-1].encode(),
        "JSON": json.dumps(text)[1:-1].encode(),
        "UTF-8": text.encode(),
        "percent": quote_from_bytes(raw).encode(),
        "list of numbers": ", ".join(map(str, raw)).encode(),
        "compact list of numbers": ",".join(map(str, raw)).encode(),
    }
    for offset in range(BASE64_BYTES):
        standard = _base64_core(raw, offset)
        forms[f"base64 at {offset}"] = standard
        forms[f"base64url at {offset}"] = standard.replace(b"+", b"-").replace(b"/", b"_")
    return forms


def _base64_core(raw: bytes, offset: int) -> bytes:
    """Return the characters that stand for the secret alone where ``offset`` bytes come before it in its group."""
    encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
    first = -(-offset * 8 // 6)  # the first character without a bit of what came before
    whole = (offset + len(raw)) * 8 // 6  # characters without a bit of what comes after
    return encoded[first:whole]


class Scanner:
    """Looks for a set of secrets."""

    def __init__(self, secrets: Iterable[Secret], allowed_shapes: Iterable[str] = ()) -> None:
        """Prepare every form; raises ValueError for a secret too short to be told from chance."""
        self._needles: list[tuple[Secret, str, bytes]] = []
        for secret in secrets:
            if len(secret.raw) < SHORTEST:
                raise ValueError(f"{secret.name}: must have {SHORTEST} bytes or more")
            self._needles += [(secret, form, needle) for form, needle in forms_of(secret.raw).items()]
        allowed = set(allowed_shapes)
        self._shapes = {name: shape for name, shape in SHAPES.items() if name not in allowed}

    def scan(self, content: object, where: str) -> list[Finding]:
        """Return what is found in bytes, a text, or JSON; in JSON, also in texts that hold JSON themselves."""
        findings: set[Finding] = set()
        for haystack in _haystacks(content):
            findings |= {
                Finding(secret.name, form, where) for secret, form, needle in self._needles if needle in haystack
            }
            findings |= {
                Finding(name, "shape", where) for name, shape in self._shapes.items() if shape.search(haystack)
            }
        return sorted(findings)

    def scan_all(self, traces: Mapping[str, object]) -> list[Finding]:
        """Return what is found in all traces, each under its name."""
        return [finding for where, content in traces.items() for finding in self.scan(content, where)]


def _haystacks(content: object) -> list[bytes]:
    """Return the content as bytes; of JSON, the text of it and every string in it, decoded from base64 where it is."""
    if isinstance(content, bytes):
        return [content]
    if isinstance(content, str):
        return [content.encode(), *_decoded(content)]
    return [json.dumps(content, default=str).encode(), *(part for text in _texts(content) for part in _decoded(text))]


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping):
        return [text for pair in content.items() for part in pair for text in _texts(part)]
    if isinstance(content, list | tuple):
        return [text for part in content for text in _texts(part)]
    return []


def _decoded(text: str) -> list[bytes]:
    """Return the text itself and, where it is base64 as a whole, what it stands for."""
    try:
        return [text.encode(), base64.b64decode(text, validate=True)]
    except ValueError:
        return [text.encode()]

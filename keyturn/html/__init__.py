"""Pages that people read, made from templates: every value is escaped, and on one line with nothing unseen in it.

A page loads nothing: its one style sheet and its one script, which the policy names by their hashes, stand in it. It
works without the script, which hashes the evidence once more in the reader's browser.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import rfc8785
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keyturn.contracts.characters import visible
from keyturn.runs.evidence_summary import moment

_HERE = Path(__file__)
STYLE = _HERE.with_name("style.css").read_text()
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


def script(name: str) -> str:
    """Return a script of ours after what all of them share; ``evidence`` is of pages, ``report`` of a filed report."""
    return "".join(_HERE.with_name(f"{part}.js").read_text() for part in ("digest", name))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_security_policy(inline: str) -> str:
    """Return the policy of a page with our style sheet and exactly this inline script."""
    return (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(inline)}; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


EVIDENCE = script("evidence")
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": content_security_policy(EVIDENCE),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "strict-origin",  # an address may hold a token; App Service refuses a form without an origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def canonical_text(content: Any) -> str:
    """Return the canonical JSON (RFC 8785) with every character escaped that is not ASCII: nothing in it is unseen.

    What was given a value without a canonical form is told in another, which does not verify.
    """
    try:
        return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], rfc8785.dumps(content).decode())
    except rfc8785.CanonicalizationError:
        return json.dumps(content)


def _shown(value: object) -> object:
    """Return what stands for a value in a page; Markup is a part of a page that a template has made."""
    return value if isinstance(value, Markup) else visible(str(value))


def day(at: date | None) -> str:
    """Return a day, in UTC for a moment, as ``24 Nov 2026``."""
    return "not known" if at is None else f"{at:%d %b %Y}".lstrip("0")


def _environment() -> Environment:
    made = Environment(loader=PackageLoader(__name__), autoescape=True, undefined=StrictUndefined, finalize=_shown)
    made.trim_blocks = made.lstrip_blocks = True
    made.globals.update(style=Markup(STYLE), script=Markup(EVIDENCE))  # noqa: S704 - our own files, which no value enters
    made.filters.update(day=day, moment=moment, canonical=canonical_text)
    # What would take a value around the escaping, or around what makes it visible, is not there to be used.
    for name in ("safe", "e", "escape", "forceescape", "xmlattr", "urlize"):
        del made.filters[name]
    return made


_pages = _environment()


def render(template: str, **values: object) -> str:
    """Return the page that the template, a path under ``templates/``, makes of the values."""
    return _pages.get_template(template).render(**values)

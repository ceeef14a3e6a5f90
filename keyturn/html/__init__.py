"""Pages that people read, made from templates: every value is escaped, and on one line with nothing unseen in it.

A page loads nothing and, unless a script is named by its hash, runs nothing: its one style sheet stands in it.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keyturn.contracts.characters import visible
from keyturn.runs.evidence_summary import moment

STYLE = Path(__file__).with_name("style.css").read_text()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_security_policy(*, script: str = "") -> str:
    """Return the policy of a page with our style sheet and, if it has one, exactly this inline script."""
    runs = f" script-src {_hash(script)};" if script else ""
    return (
        f"default-src 'none'; style-src {_hash(STYLE)};{runs} form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": content_security_policy(),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "strict-origin",  # an address may hold a token; App Service refuses a form without an origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def _shown(value: object) -> object:
    """Return what stands for a value in a page; Markup is a part of a page that a template has made."""
    return value if isinstance(value, Markup) else visible(str(value))


def day(at: date | None) -> str:
    """Return a day, in UTC for a moment, as ``24 Nov 2026``."""
    return "not known" if at is None else f"{at:%d %b %Y}".lstrip("0")


def _environment() -> Environment:
    made = Environment(loader=PackageLoader(__name__), autoescape=True, undefined=StrictUndefined, finalize=_shown)
    made.trim_blocks = made.lstrip_blocks = True
    made.globals["style"] = Markup(STYLE)  # noqa: S704 - our own file, which no value enters
    made.filters.update(day=day, moment=moment)
    # What would take a value around the escaping, or around what makes it visible, is not there to be used.
    for name in ("safe", "e", "escape", "forceescape", "xmlattr", "urlize"):
        del made.filters[name]
    return made


_pages = _environment()


def render(template: str, **values: object) -> str:
    """Return the page that the template, a path under ``templates/``, makes of the values."""
    return _pages.get_template(template).render(**values)

"""HTML with everything escaped, and the headers under which a browser shows it."""

import base64
import hashlib
from html import escape

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff;overflow-wrap:anywhere}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}"
    "dt{font-weight:600}dd{margin:0 0 .6rem}.warning{border-left:4px solid #b35900;padding-left:.8rem}"
    "label{display:block;margin:1rem 0 .3rem}textarea{width:100%;box-sizing:border-box;font:inherit}"
    "button{font:inherit;padding:.5rem 1.2rem;margin:1rem 1rem 0 0}"
)

# Nothing is loaded from anywhere and nothing runs; the one style is named by its hash; forms go to this app alone.
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page(title: str, *parts: str) -> str:
    """Return a whole page; the parts are HTML already, the title is text."""
    heading = escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{heading}</h1>{''.join(parts)}</main></body></html>"
    )


def paragraph(text: object, *, warning: bool = False) -> str:
    """Return a paragraph of text."""
    return f"<p{' class="warning"' if warning else ''}>{escape(str(text))}</p>"


def section(title: str, *parts: str) -> str:
    """Return parts under a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def facts(*named: tuple[str, object]) -> str:
    """Return a list of names and what stands behind each."""
    items = (f"<dt>{escape(name)}</dt><dd><code>{escape(str(value))}</code></dd>" for name, value in named)
    return f"<dl>{''.join(items)}</dl>"


def listing(*items: object) -> str:
    """Return a list of texts."""
    return f"<ul>{''.join(f'<li>{escape(str(item))}</li>' for item in items)}</ul>"

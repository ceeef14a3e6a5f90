"""Pages from templates: no value becomes markup or hides, nothing on a page is loaded, and one script is run."""

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import html
from keyturn.contracts.characters import unseen, visible
from keyturn.html import HEADERS, STYLE, render, script
from tests.keyturn.runs.lifecycle import make_record

TEMPLATES = Path(html.__file__).with_name("templates")
HOSTILE = "</dd><script>alert(1)</script>\" onload='x' \u202e\u200b\x00\n{{ 7 * 7 }}"


def shown(source: str, **values: object) -> str:
    """Return what a template of this text makes of the values, with the components at hand."""
    imported = "{% import 'components.html' as c %}" + source
    return html._pages.from_string(imported).render(**values)


@pytest.mark.parametrize(
    "source",
    [
        "{{ value }}",
        '<p title="{{ value }}">',
        "{{ [value] | join(', ') }}",
        "{{ c.mark(value) }}",
        "{{ c.facts([(value, value)]) }}",
        "{{ c.progress(value, 1, 2) }}",
        "{{ c.step(value) }}",
        "{{ c.tree({value: [value, {'inner': value}]}) }}",
        "{{ c.findings([{'mark': value, 'sentence': value, 'if_approved': value}]) }}",
    ],
)
@given(text=st.one_of(st.text(), st.just(HOSTILE)))
def test_a_value_is_text_and_all_of_it_is_seen(source: str, text: str) -> None:
    """Whatever it holds: the tags are those of the template, and no character of it hides or breaks the line."""
    made = shown(source, value=f"§{text}")

    assert re.findall(r"<[^>]*>", re.sub(r'"[^"]*"', '""', made)) == re.findall(
        r"<[^>]*>", re.sub(r'"[^"]*"', '""', shown(source, value="§"))
    )
    assert visible(f"§{text}") in unescape(made)
    assert [line for line in made.split("\n") if unseen(line)] == []


def test_a_name_that_was_not_given_is_an_error() -> None:
    """A page with a hole in it is not shown."""
    with pytest.raises(jinja2.UndefinedError):
        shown("{{ absent }}")


@pytest.mark.parametrize("name", ["safe", "e", "escape", "forceescape", "xmlattr", "urlize"])
def test_what_would_go_around_the_escaping_is_not_there(name: str) -> None:
    """A template that asks for it does not compile."""
    with pytest.raises(jinja2.TemplateAssertionError):
        shown("{{ 'x' | " + name + " }}")


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_keep_to_the_policy(path: Path) -> None:
    """Neither a style nor a handler in a tag, which the browser would block, nor anything that is joined unescaped."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)

    assert not re.search(r"\sstyle=|\son\w+=|autoescape|\ssrc=|https?://|\{\{[^}]*~", text)
    ours = "<style>{{ style }}</style>" if path.name == "base.html" else "<script>{{ script }}</script>"
    assert not re.search(r"<script|<style|<link", text.replace(ours, ""))


@pytest.mark.parametrize(("template", "tag"), [("base.html", "style"), ("console/evidence.html", "script")])
def test_a_page_holds_what_its_policy_names(template: str, tag: str) -> None:
    """The hash is of the very characters between the tags."""
    record = make_record(evidence={"rows": 1}, evidence_digest="d" * 64)
    made = render(template, record=record, digests=[], visitor=None, now="now")
    [between] = re.findall(f"<{tag}>(.*?)</{tag}>", made, flags=re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(between.encode()).digest()).decode()

    assert f"{tag}-src 'sha256-{hashed}'" in HEADERS["Content-Security-Policy"]


def test_nothing_is_loaded() -> None:
    """Neither by the style sheet nor by a script."""
    assert not re.search(r"url\(|@import|@font-face", STYLE)
    for name in ("evidence", "report"):
        assert not re.search(r"fetch|XMLHttp|import|https?:|innerHTML|eval", script(name))


def test_the_policy_allows_nothing_else() -> None:
    """Scripts, frames and foreign forms are refused by the browser; one script runs, which is named by its hash."""
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))

    for allowed in ("style-src", "script-src"):
        assert re.fullmatch(r"'sha256-[^' ]+'", policy.pop(allowed))
    assert policy == {
        "default-src": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert (HEADERS["Cache-Control"], HEADERS["Referrer-Policy"]) == ("no-store", "strict-origin")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("nothing is to be done", "nothing is to be done"),
        ("start one: keyturn restore --keyring k", "start one: <code>keyturn restore --keyring k</code>"),
        ("a <b>: keyturn repair dek '<i>'", "a &lt;b&gt;: <code>keyturn repair dek &#39;&lt;i&gt;&#39;</code>"),
    ],
)
def test_the_command_of_a_next_step_stands_alone(text: str, made: str) -> None:
    """So that nothing else is pasted with it, a full stop for example."""
    assert shown("{{ c.step(value) }}", value=text).strip() == made

"""Field paths name properties, nested ones and elements of lists."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import paths
from field_encrypt.errors import InvalidFieldPathError

DOCUMENT: dict[str, Any] = {
    "title": "t",
    "author": {"name": "n"},
    "parts": [{"text": "a"}, {"text": "b"}],
    "none": [],
    "a/b": {"c~d": 1},
    "*": "star",
}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["title"], ["title"]),
        (["author/name"], ["author/name"]),
        (["parts/*/text"], ["parts/0/text", "parts/1/text"]),
        (["parts/1"], ["parts/1"]),
        (["none/*"], []),
        (["a~1b/c~0d"], ["a~1b/c~0d"]),
        (["*"], ["*"]),
        (["parts/*", "parts/0"], ["parts/0", "parts/1"]),
    ],
)
def test_patterns_name_concrete_paths(patterns: list[str], expected: list[str]) -> None:
    """A pattern expands to the concrete paths in the document, each once."""
    assert paths.expand(DOCUMENT, patterns) == expected


@pytest.mark.parametrize(
    "pattern", ["/title", "", "missing", "author/*", "parts/2", "parts/-1", "parts/01", "title/x", "parts/²"]
)
def test_path_that_names_nothing_is_refused(pattern: str) -> None:
    """A path that is malformed or not in the document is refused by its name."""
    with pytest.raises(InvalidFieldPathError) as refusal:
        paths.expand(DOCUMENT, [pattern])

    assert refusal.value.field_path == pattern


def test_what_is_not_there_may_be_left_out() -> None:
    """Of a document that lacks some of the fields, those that it has are found."""
    document = {"title": 1, "parts": [{"text": 1}, {"other": 1}, 2], "author": "nobody"}

    found = paths.present(document, ["title", "missing", "parts/*/text", "author/name"])

    assert found == ["title", "parts/0/text"]


def test_a_list_that_a_path_does_not_expect_is_refused() -> None:
    """An optional field that is looked for beside its values would stay in plaintext, and no error would say so."""
    with pytest.raises(InvalidFieldPathError, match=r"parts/\*/text") as refusal:
        paths.present(DOCUMENT, ["title", "parts/text"])

    assert refusal.value.field_path == "parts/text"
    assert paths.present(DOCUMENT, ["parts/text", "parts/*/text"]) == ["parts/0/text", "parts/1/text"]
    assert paths.present({"parts": [{"*": 1, "0": 1}]}, ["parts/*"]) == ["parts/0"]
    assert paths.present({"parts": [], "other": [1, {"x": 1}]}, ["parts/text", "other/text"]) == []


def test_path_inside_another_is_refused() -> None:
    """Two paths never overlap: what is encrypted has no inside."""
    with pytest.raises(InvalidFieldPathError) as refusal:
        paths.expand(DOCUMENT, ["author/name", "author"])

    assert refusal.value.field_path == "author/name"


@given(names=st.lists(st.text(), min_size=1, max_size=4))
def test_found_paths_lead_back_to_their_value(names: list[str]) -> None:
    """Whatever the property names are, find, get and put agree on the path."""
    document: Any = "needle"
    for name in reversed(names):
        document = {name: [document]}

    (path,) = paths.find(document, lambda value: value == "needle")
    found = paths.get(document, path)
    paths.put(document, path, "changed")

    assert (found, paths.get(document, path)) == ("needle", "changed")

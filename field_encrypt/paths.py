"""Field paths: property names joined by slashes, in which ``*`` stands for every element of a list.

``title`` is a property, ``author/name`` a nested one, ``attachments/*/text`` that property of every attachment. A slash
or tilde inside a name is written ``~1`` or ``~0``, as in a JSON Pointer (RFC 6901). A ciphertext is bound to the
concrete path, ``attachments/2/text``: an element of a list cannot change its place.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from field_encrypt.encoding import exact
from field_encrypt.errors import InvalidFieldPathError

EVERY_ELEMENT = "*"

Segments = tuple[str, ...]


def expand(document: Any, patterns: Iterable[str]) -> list[str]:
    """Return the concrete paths that patterns name in the document, each once.

    Raises:
        InvalidFieldPathError: a pattern names something that is not there (a list may be empty), or one path lies
            inside another.
    """
    return _apart(path for pattern in listed(patterns) for path in _expand(document, pattern, required=True))


def present(document: Any, patterns: Iterable[str]) -> list[str]:
    """Return the concrete paths that patterns name in the document, without those of what is not there.

    Raises:
        InvalidFieldPathError: one path lies inside another, or a list stands where a pattern expects an object: its
            elements have what is looked for.
    """
    given = listed(patterns)
    for pattern in given:
        _require_no_list(document, pattern, given)
    return _apart(path for pattern in given for path in _expand(document, pattern, required=False))


def get(document: Any, path: str) -> Any:
    """Return the value at a concrete path that :func:`expand` or :func:`find` gave."""
    value = document
    for segment in segments_of(path):
        value = value[int(segment) if isinstance(value, list | tuple) else segment]
    return value


def put(document: Any, path: str, value: Any) -> None:
    """Replace the value at a concrete path that :func:`expand` or :func:`find` gave."""
    *parents, last = segments_of(path)
    holder = document
    for segment in parents:
        at = int(segment) if isinstance(holder, list) else segment
        if isinstance(holder[at], tuple):
            holder[at] = list(holder[at])  # which it is in JSON
        holder = holder[at]
    holder[int(last) if isinstance(holder, list) else last] = value


def find(document: Any, wanted: Callable[[Any], bool]) -> list[str]:
    """Return the concrete path of every value that is wanted; what lies inside such a value is not looked at."""
    return [_join(segments) for segments in _find(document, wanted, ())]


def listed(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns, read once: an iterator has none left for a second document.

    Raises:
        InvalidFieldPathError: they are one text, of which every letter would be a pattern, or no texts.
    """
    if isinstance(patterns, str):
        raise InvalidFieldPathError(patterns, f'a list of paths: ["{patterns}"] was meant')
    try:
        given = tuple(patterns)
    except TypeError:
        given = (patterns,)  # type: ignore[assignment]  # named below
    for pattern in given:
        if not isinstance(pattern, str):
            raise InvalidFieldPathError(str(pattern), "a list of paths, each a text")
    return tuple(map(exact, given))


def among(found: Iterable[str], chosen: Iterable[str]) -> list[str]:
    """Return those paths that are among the chosen ones; raises as :func:`listed` does."""
    names = listed(chosen)
    return [path for path in found if path in names]


def _apart(paths: Iterable[str]) -> list[str]:
    """Return each path once, if none lies inside another."""
    found = dict.fromkeys(paths)
    for path in found:
        parents = path.split("/")[:-1]
        outers = ("/".join(parents[:length]) for length in range(1, len(parents) + 1))
        if outer := next((outer for outer in outers if outer in found), None):
            raise InvalidFieldPathError(path, f"a path that does not lie inside another, {outer}")
    return list(found)


def _expand(document: Any, pattern: str, *, required: bool) -> list[str]:
    found: list[tuple[Segments, Any]] = [((), document)]
    for segment in segments_of(pattern):
        children = [(segments, _children(value, segment)) for segments, value in found]
        if required and any(named is None for _segments, named in children):
            expected = "a path that is in the document, names joined by slashes with none in front"
            raise InvalidFieldPathError(pattern, expected)
        found = [((*segments, name), child) for segments, named in children for name, child in named or ()]
    return [_join(segments) for segments, _value in found]


def _require_no_list(document: Any, pattern: str, given: Iterable[str]) -> None:
    """Check that nothing is missed where the element of a list has what is looked for in the list itself."""
    before: list[str] = []
    for segment in pattern.split("/"):
        name = segments_of(segment)[0]
        meant = "/".join([*before, EVERY_ELEMENT, segment])
        for value in _values(document, before):
            expected = segment == EVERY_ELEMENT or segment.isdecimal()
            missed = (
                not expected
                and isinstance(value, list | tuple)
                and any(isinstance(one, dict) and name in one for one in value)
            )
            if missed and not any(f"{other}/".startswith(f"{meant}/") for other in given):
                raise InvalidFieldPathError(pattern, f"{meant} where a list stands")
        before.append(segment)


def _values(document: Any, before: list[str]) -> list[Any]:
    return (
        [get(document, path) for path in _expand(document, "/".join(before), required=False)] if before else [document]
    )


def _children(value: Any, segment: str) -> list[tuple[str, Any]] | None:
    """Return what the segment names in the value, or None if that is not there; an empty list has no elements.

    A document that is yet to be stored may hold tuples, which JSON makes lists of.

    Raises:
        InvalidFieldPathError: the value has a name that is no text; JSON makes one of it, maybe this one.
    """
    if isinstance(value, list | tuple) and segment == EVERY_ELEMENT:
        return [(str(index), element) for index, element in enumerate(value)]
    if isinstance(value, list | tuple) and segment in (str(index) for index in range(len(value))):
        return [(segment, value[int(segment)])]
    if isinstance(value, dict) and any(not isinstance(name, str) for name in value):
        raise InvalidFieldPathError(segment, "names that are texts in the object that may have it")
    if isinstance(value, dict) and segment in value:
        return [(segment, value[segment])]
    return None


def _find(value: Any, wanted: Callable[[Any], bool], segments: Segments) -> Iterator[Segments]:
    if segments and wanted(value):
        yield segments
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _find(child, wanted, (*segments, name))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _find(child, wanted, (*segments, str(index)))


def segments_of(path: str) -> Segments:
    """Return the names in a path."""
    return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/"))


def _join(segments: Segments) -> str:
    return "/".join(segment.replace("~", "~0").replace("/", "~1") for segment in segments)

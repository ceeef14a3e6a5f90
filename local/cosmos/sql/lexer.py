"""Cuts a query's text into tokens."""

import json
import re
from dataclasses import dataclass
from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.sql.values import number

# Words of the grammar, which are no names: they cannot follow a dot (c["value"] is served). Observed of the parser of
# Microsoft.Azure.Cosmos 3.64.0 by the engine in the tests of Azure/azure-cosmos-dotnet-v3 (Query/OfflineEngine).
KEYWORD = re.compile(
    "AND|ARRAY|AS|ASC|BETWEEN|BY|DESC|DISTINCT|ESCAPE|EXISTS|FALSE|FROM|GROUP|IN|JOIN|LIKE|LIMIT|NOT|NULL|OFFSET|OR"
    "|ORDER|RANK|SELECT|TOP|TRUE|UDF|UNDEFINED|VALUE|WHERE"
)

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<parameter>@\w+)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<symbol><=|>=|!=|<>|\?\?|\|\||[=<>(),.\[\]{}:*+\-/%&|^~?])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its text as written, its value, and where it stands in the query."""

    kind: str
    text: str
    value: Any
    start: int
    end: int

    @property
    def word(self) -> str:
        """The text in capitals if this is a name, else as written."""
        return self.text.upper() if self.kind == "name" else self.text


def tokenize(query: str) -> list[Token]:
    """Return the tokens of the query, closed by one of kind ``end``.

    Raises:
        CosmosError: 400 naming the character that starts no token.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise bad_request(f"Syntax error near {query[position : position + 12]!r} at offset {position}")
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, match.group(), _value(kind, match.group()), match.start(), match.end()))
        position = match.end()
    tokens.append(Token("end", "", None, len(query), len(query)))
    return tokens


def _value(kind: str, text: str) -> Any:
    if kind == "number":
        return number(text)
    if kind == "string":
        return _unquote(text)
    return text


def _unquote(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = re.sub(r'\\.|"', lambda match: {"\\'": "'", '"': '\\"'}.get(match.group(), match.group()), inner)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except json.JSONDecodeError:
        raise bad_request(f"Syntax error: invalid escape sequence in {text}") from None

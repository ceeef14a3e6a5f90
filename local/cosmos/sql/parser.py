"""Reads a whole query: SELECT, FROM, JOIN, WHERE, ORDER BY, OFFSET LIMIT.

What Cosmos DB knows and this parser does not (subqueries, GROUP BY, ...) is refused by name, never guessed at.
"""

from local.cosmos.errors import bad_request
from local.cosmos.sql.expressions import ExpressionParser
from local.cosmos.sql.lexer import tokenize
from local.cosmos.sql.syntax import Expression, Join, Literal, OrderBy, Parameter, Path, Query, Selected

_CLAUSES = ("JOIN", "WHERE", "ORDER", "OFFSET")
_UNSUPPORTED_CLAUSES = ("GROUP", "IN", "RANK", "HAVING")


def parse_query(text: str) -> Query:
    """Parse the text of a query.

    Raises:
        CosmosError: 400 naming what is wrong or not supported.
    """
    return _QueryParser(text).query()


def parse_condition(text: str) -> Expression:
    """Parse the filter predicate of a patch: ``from c where ...``.

    Raises:
        CosmosError: 400 naming what is wrong or not supported.
    """
    parser = _QueryParser(text)
    parser.from_clause()
    where, _ = parser.where_clause()
    parser.expect_end()
    if parser.joins:
        raise bad_request("A patch condition takes no JOIN")
    if where is None:
        raise bad_request("A patch condition needs a WHERE clause")
    return where


class _QueryParser(ExpressionParser):
    def __init__(self, text: str) -> None:
        super().__init__(text, tokenize(text))

    def query(self) -> Query:
        """Parse ``SELECT`` to the end. The aliases are read first, because SELECT uses them before FROM names them."""
        self._read_aliases_ahead()
        self.expect("SELECT")
        distinct = self.accept("DISTINCT")
        top = self._count_value() if self.accept("TOP") else None
        value = self.accept("VALUE")
        start = self.token.start
        selected = self._selected(value=value)
        select_text = self.text_from(start)
        from_text = self.from_clause()
        where, where_text = self.where_clause()
        order_by = self._order_by()
        offset = limit = None
        if self.accept("OFFSET"):
            offset = self._count_value()
            self.expect("LIMIT")
            limit = self._count_value()
        self.expect_end()
        if distinct and order_by is not None:
            raise bad_request("DISTINCT together with ORDER BY is not supported")
        if self.joins and (selected is None or order_by is not None):
            raise bad_request("JOIN together with SELECT * or ORDER BY is not supported")
        if top is not None and limit is not None:
            raise bad_request("TOP cannot be used together with OFFSET LIMIT")
        return Query(
            self.alias,
            selected,
            select_text,
            value,
            distinct,
            top,
            where,
            where_text,
            from_text,
            tuple(self.joins),
            order_by,
            offset,
            limit,
        )

    def from_clause(self) -> str:
        """Parse ``FROM name [[AS] alias] [JOIN alias IN path]...`` and return it as written."""
        start = self.token.start
        self.expect("FROM")
        self.alias, self.joins = self._from_alias(), []
        while self.accept("JOIN"):
            self.joins.append(self._join())
        if self.token.word in _UNSUPPORTED_CLAUSES or self.token.text in (".", "[", ","):
            served = "<container> [AS] <alias> [JOIN <alias> IN <list>]"
            raise bad_request(f"{self.token.text} in FROM is not supported: only {served}")
        return self.text_from(start)

    def where_clause(self) -> tuple[Expression | None, str]:
        """Parse an optional WHERE and return its expression and its text."""
        if not self.accept("WHERE"):
            return None, ""
        start = self.token.start
        where = self.expression()
        return where, self.text_from(start)

    def expect_end(self) -> None:
        """Refuse anything that is left."""
        if self.token.word in _UNSUPPORTED_CLAUSES:
            raise bad_request(f"{self.token.word} is not supported")
        if self.token.kind != "end":
            raise bad_request(f"Syntax error near {self.token.text!r} at offset {self.token.start}")

    def _join(self) -> Join:
        alias = self.name("an alias after JOIN")
        if alias in (self.alias, *(join.alias for join in self.joins)):
            raise bad_request(f"The alias {alias} is taken")
        self.expect("IN")
        path = self.primary()
        if not isinstance(path, Path):
            raise bad_request(f"JOIN {alias} IN takes a property")
        return Join(alias, path if self.joins else Path((self.alias, *path.steps)))

    def _read_aliases_ahead(self) -> None:
        depth = 0
        for index, token in enumerate(self.tokens):
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if token.word == "FROM" and depth == 0:
                self.index, start = index, self.index
                self.from_clause()
                self.index = start
                return
        raise bad_request("A query without FROM is not supported")

    def _from_alias(self) -> str:
        alias = self.name("a container name after FROM")
        if self.accept("AS"):
            return self.name("an alias after AS")
        if self.token.kind == "name" and self.token.word not in (*_CLAUSES, *_UNSUPPORTED_CLAUSES):
            return self.name("an alias")
        return alias

    def _selected(self, *, value: bool) -> tuple[Selected, ...] | None:
        if self.token.text == "*":
            self.advance()
            if value:
                raise bad_request("SELECT VALUE needs an expression, not *")
            return None
        entries = [self._entry(1)]
        while self.accept(","):
            if value:
                raise bad_request("SELECT VALUE takes one expression")
            entries.append(self._entry(len(entries) + 1))
        names = [entry.name for entry in entries]
        if len(set(names)) != len(names):
            raise bad_request(f"SELECT has two entries with one name: {', '.join(names)}")
        return tuple(entries)

    def _entry(self, position: int) -> Selected:
        start = self.token.start
        expression = self.expression()
        text = self.text_from(start)
        if self.accept("AS") or (self.token.kind == "name" and self.token.word != "FROM"):
            return Selected(expression, self.name("a name after AS"), text)
        if isinstance(expression, Path) and expression.steps and isinstance(expression.steps[-1], str):
            return Selected(expression, expression.steps[-1], text)
        return Selected(expression, self.alias if isinstance(expression, Path) else f"${position}", text)

    def _order_by(self) -> OrderBy | None:
        if not self.accept("ORDER"):
            return None
        self.expect("BY")
        start = self.token.start
        path = self.expression()
        text = self.text_from(start)
        if not isinstance(path, Path) or not path.steps:
            raise bad_request(f"ORDER BY takes one property, not {text!r}")
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        if self.token.text == ",":
            raise bad_request("ORDER BY more than one property is not supported")
        return OrderBy(path, text, descending)

    def _count_value(self) -> Expression:
        expression = self.primary()
        if isinstance(expression, Parameter):
            return expression
        if not isinstance(expression, Literal) or not isinstance(expression.value, int):
            raise bad_request("TOP, OFFSET and LIMIT take a whole number or a parameter")
        return expression

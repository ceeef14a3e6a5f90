"""Reads scalar expressions by recursive descent: OR, AND, NOT, comparison, IN, BETWEEN, primary."""

from local.cosmos.errors import bad_request
from local.cosmos.sql.functions import FUNCTIONS
from local.cosmos.sql.lexer import KEYWORD, Token
from local.cosmos.sql.syntax import (
    And,
    ArrayOf,
    Call,
    Comparison,
    Count,
    Expression,
    Join,
    Literal,
    Not,
    ObjectOf,
    Or,
    Parameter,
    Path,
)
from local.cosmos.sql.values import UNDEFINED

_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_UNSUPPORTED_OPERATORS = frozenset(("+", "-", "*", "/", "%", "&", "|", "^", "~", "?", "??", "||"))
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}


# Azure publishes no limit for an expression. Deeper ones than this are refused here; chains of AND or OR are not deep.
MAX_NESTING = 100


class ExpressionParser:
    """A cursor over the tokens of a query that reads expressions."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.index = 0
        self.alias = ""
        self._depth = 0
        self.joins: list[Join] = []

    @property
    def token(self) -> Token:
        """The token that is next."""
        return self.tokens[self.index]

    def advance(self) -> Token:
        """Return the next token and go past it."""
        token = self.token
        self.index += 1
        return token

    def accept(self, word: str) -> bool:
        """Go past the next token if it is this keyword or symbol."""
        if self.token.word != word or self.token.kind == "string":
            return False
        self.index += 1
        return True

    def expect(self, word: str) -> None:
        """Go past this keyword or symbol, or refuse the query."""
        if not self.accept(word):
            found = self.token.text or "the end of the query"
            raise bad_request(f"Syntax error: expected {word}, found {found!r} at offset {self.token.start}")

    def name(self, what: str) -> str:
        """Return the name that is next."""
        if self.token.kind != "name" or KEYWORD.fullmatch(self.token.word):
            raise bad_request(f"Syntax error: expected {what}, found {self.token.text!r} at offset {self.token.start}")
        return self.advance().text

    def text_from(self, start: int) -> str:
        """Return what was read since the offset, as written."""
        return self.text[start : self.tokens[self.index - 1].end]

    def expression(self) -> Expression:
        """Read an expression."""
        operands = [self._conjunction()]
        while self.accept("OR"):
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _conjunction(self) -> Expression:
        operands = [self._negation()]
        while self.accept("AND"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _negation(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise bad_request(f"Syntax error: the query is nested more than {MAX_NESTING} deep")
        read = self._negated() if self.accept("NOT") else self._comparison()
        self._depth -= 1
        return read

    def _negated(self) -> Expression:
        operand = self._negation() if self.token.word == "NOT" else self.primary()
        if self.token.text in _COMPARISONS or self.token.word in ("IN", "BETWEEN", "NOT", "LIKE"):
            # The service binds NOT tighter than a comparison, which is seldom what the writer of the query means.
            raise bad_request("NOT before a comparison needs parentheses: NOT (...)")
        return Not(operand)

    def _comparison(self) -> Expression:
        left = self.primary()
        if self.token.kind == "symbol" and self.token.text in _COMPARISONS:
            operator = _COMPARISONS[self.advance().text]
            return Comparison(operator, left, self.primary())
        negated = self.accept("NOT")
        if self.accept("IN"):
            member = self._membership(left)
            return Not(member) if negated else member
        if self.accept("BETWEEN"):
            low = self.primary()
            self.expect("AND")
            within = And((Comparison(">=", left, low), Comparison("<=", left, self.primary())))
            return Not(within) if negated else within
        if negated or self.token.word == "LIKE":
            raise bad_request(f"{self.token.text or 'NOT'} is not supported here")
        if self.token.kind == "symbol" and self.token.text in _UNSUPPORTED_OPERATORS:
            raise bad_request(f"The operator {self.token.text} is not supported")
        return left

    def _membership(self, left: Expression) -> Expression:
        self.expect("(")
        options = self._list(")")
        if not options:
            raise bad_request("IN needs at least one value")
        return Or(tuple(Comparison("=", left, option) for option in options))

    def primary(self) -> Expression:
        """Read a literal, a parameter, a path, a call, a constructor or an expression in parentheses."""
        token = self.advance()
        if token.kind in ("number", "string"):
            return Literal(token.value)
        if token.kind == "parameter":
            return Parameter(token.text)
        if token.kind == "name":
            return self._named(token)
        readers = {"-": self._negative, "(": self._nested, "[": self._array, "{": self._object}
        if token.text not in readers:
            raise bad_request(f"Syntax error near {token.text or 'the end of the query'!r} at offset {token.start}")
        return readers[token.text]()

    def _negative(self) -> Expression:
        number = self.advance()
        if number.kind != "number":
            raise bad_request("The operator - is only supported before a number")
        return Literal(-number.value)

    def _nested(self) -> Expression:
        if self.token.word == "SELECT":
            raise bad_request("Subqueries are not supported")
        inner = self.expression()
        self.expect(")")
        return inner

    def _array(self) -> Expression:
        return ArrayOf(tuple(self._list("]")))

    def _named(self, token: Token) -> Expression:
        if self.accept("("):
            return self._call(token.word)
        if token.text == self.alias or any(token.text == join.alias for join in self.joins):
            path = self._path()
            return Path((token.text, *path.steps)) if self.joins else path
        if token.word in _CONSTANTS:
            return Literal(_CONSTANTS[token.word])
        raise bad_request(f"Identifier {token.text!r} could not be resolved")

    def _call(self, name: str) -> Expression:
        arguments = tuple(self._list(")"))
        if name == "COUNT":
            if len(arguments) != 1:
                raise bad_request("COUNT takes one argument")
            return Count(arguments[0])
        if name not in FUNCTIONS:
            raise bad_request(f"The function {name} is not supported")
        if len(arguments) not in FUNCTIONS[name].arities:
            raise bad_request(f"{name} does not take {len(arguments)} arguments")
        return Call(name, arguments)

    def _path(self) -> Path:
        steps: list[str | int] = []
        while True:
            if self.accept("."):
                steps.append(self.name("a property name"))
            elif self.accept("["):
                token = self.advance()
                if token.kind not in ("string", "number") or isinstance(token.value, float):
                    raise bad_request("An index into an item is a string or a whole number")
                steps.append(token.value)
                self.expect("]")
            else:
                return Path(tuple(steps))

    def _list(self, closing: str) -> list[Expression]:
        if self.accept(closing):
            return []
        entries = [self.expression()]
        while self.accept(","):
            entries.append(self.expression())
        self.expect(closing)
        return entries

    def _object(self) -> ObjectOf:
        properties: list[tuple[str, Expression]] = []
        while not self.accept("}"):
            if properties:
                self.expect(",")
            token = self.advance()
            if token.kind not in ("string", "name"):
                raise bad_request(f"Syntax error: expected a property name, found {token.text!r}")
            self.expect(":")
            properties.append((token.value, self.expression()))
        return ObjectOf(tuple(properties))

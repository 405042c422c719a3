"""Expressions as Spark's grammar has them: precedence of operators, typed literals, signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import TokenType

from voltray.driver.sql.intervals import parse_interval
from voltray.driver.sql.type_text import type_text
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error

TYPED_NUMBER = "__typed_number"
"""A number with a suffix: ``1L`` as a call on its text."""
TYPED_LITERAL = "__typed_literal"
"""``DATE '2024-01-01'`` as a call on the type's name and the text."""

UNSIGNED_SHIFT = TokenType.DHASH_ARROW
"""sqlglot has no token for ``>>>``: one that Spark's grammar never makes stands for it."""
_LITERAL_TYPES = (
    exp.DType.DATE,
    exp.DType.TIMESTAMP,
    exp.DType.TIMESTAMPTZ,
    exp.DType.TIMESTAMPLTZ,
    exp.DType.TIMESTAMPNTZ,
    exp.DType.TIME,
)
_LITERAL_NAMES = ("DATE", "TIMESTAMP", "TIME", "NULL")
_SUPPORTED_LITERALS = '"DATE", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP", "INTERVAL", "X", "TIME"'
# From the loosest to the tightest; sqlglot gives them all one precedence.
_BIT_OPERATORS: tuple[Mapping[TokenType, type[exp.Expression]], ...] = (
    {TokenType.PIPE: exp.BitwiseOr},
    {TokenType.CARET: exp.BitwiseXor},
    {TokenType.AMP: exp.BitwiseAnd},
)
_NUMBERS = (TokenType.NUMBER, TokenType.UNICODE_STRING)


def _typed_literal(parser: SparkParser, this: exp.Expression, to: exp.DataType) -> exp.Expression:
    name = exp.Literal.string(type_text(to))
    # In DATE '2020-01-01' :: STRING sqlglot has the cast around the string.
    return _with_leaf(this, lambda leaf: exp.Anonymous(this=TYPED_LITERAL, expressions=[name, leaf]))


def _with_leaf(node: exp.Expression, change: Callable[[exp.Expression], exp.Expression]) -> exp.Expression:
    """A node with what stands first in it, below casts and subscripts, changed."""
    leaf = node
    while isinstance(leaf, exp.Cast | exp.Bracket | exp.Dot | exp.Collate) and isinstance(leaf.this, exp.Expression):
        leaf = leaf.this
    if leaf is node:
        return change(node)
    leaf.replace(change(leaf.copy()))
    return node


def _negative(parser: Any) -> exp.Expression:
    """A minus sign: it belongs to a number behind it, so ``-1 :: STRING`` is '-1'."""
    numeric = parser._curr is not None and parser._curr.token_type in _NUMBERS
    operand = parser._parse_unary()
    if numeric and isinstance(operand, exp.Expression):
        return _with_leaf(operand, lambda leaf: exp.Neg(this=leaf))
    return exp.Neg(this=operand) if operand else _no_operand(parser)


def _positive(parser: Any) -> exp.Expression:
    operand = parser._parse_unary()
    return exp.Anonymous(this="positive", expressions=[operand]) if operand else _no_operand(parser)


def _no_operand(parser: Any) -> exp.Expression:
    parser.raise_error("an operand is missing", parser._curr)
    return exp.Null()


_SIZED = frozenset({"decimal", "dec", "numeric", "char", "character", "varchar"})


class ExpressionGrammar(SparkParser):
    """What differs from sqlglot's grammar of expressions."""

    UNARY_PARSERS = {  # noqa: RUF012
        **SparkParser.UNARY_PARSERS,
        TokenType.DASH: _negative,
        TokenType.PLUS: _positive,
    }
    TERM = {**SparkParser.TERM, TokenType.DPIPE: exp.DPipe}  # noqa: RUF012
    COLUMN_OPERATORS = {  # noqa: RUF012
        token: parse for token, parse in SparkParser.COLUMN_OPERATORS.items() if token != UNSIGNED_SHIFT
    }
    TYPE_LITERAL_PARSERS = dict.fromkeys(_LITERAL_TYPES, _typed_literal)

    def _parse_bitwise(self) -> Any:
        return self._parse_bits(0)

    def _parse_window(self, this: Any, *args: Any, **kwargs: Any) -> Any:
        if self._curr and self._next and self._curr.token_type == TokenType.FILTER:
            following = self._tokens[self._index + 2 : self._index + 3]
            if self._next.token_type == TokenType.L_PAREN and (
                not following or following[0].token_type != TokenType.WHERE
            ):
                self.raise_error("a filter begins with WHERE", self._next)
        found = super()._parse_window(this, *args, **kwargs)
        known = isinstance(this, exp.Expression) and "start" in this.meta
        if known and isinstance(found, exp.Expression) and found is not this:
            found.meta["start"], found.meta["end"] = this.meta["start"], self._prev.end
        return found

    def _parse_lambda(self, *args: Any, **kwargs: Any) -> Any:
        start = self._curr
        found = super()._parse_lambda(*args, **kwargs)
        if isinstance(found, exp.Lambda) and start:
            found.meta["start"], found.meta["end"] = start.start, self._prev.end
        return found

    def _parse_is(self, this: Any) -> Any:
        found = super()._parse_is(this)
        if isinstance(found, exp.Cast | exp.Bracket | exp.Dot):
            self.raise_error("a predicate takes no cast", self._prev)
        return found

    def _parse_bits(self, level: int) -> Any:
        if level == len(_BIT_OPERATORS):
            return self._parse_shifts()
        operators = _BIT_OPERATORS[level]
        this = self._parse_bits(level + 1)
        while self._match_set(operators):
            kind = operators[self._prev.token_type]
            this = self.expression(kind(this=this, expression=self._parse_bits(level + 1)))
        return this

    def _parse_shifts(self) -> Any:
        this = self._parse_term()
        while True:
            if self._match(UNSIGNED_SHIFT):
                kind: type[exp.Expression] = exp.JSONBExtractScalar
            elif self._match_shift(TokenType.LT):
                kind = exp.BitwiseLeftShift
            elif self._match_shift(TokenType.GT):
                kind = exp.BitwiseRightShift
            else:
                return this
            this = self.expression(kind(this=this, expression=self._parse_term()))

    def _match_shift(self, sign: TokenType) -> bool:
        first, second = self._curr, self._next
        if not first or not second or not first.token_type == second.token_type == sign:
            return False
        if second.start != first.end + 1:
            return False
        self._advance(2)
        return True

    def _parse_substring(self) -> Any:
        called = self._tokens[self._index - 2].text.lower()
        node = super()._parse_substring()
        node.meta["called"] = called
        return node

    def _parse_interval(self, *args: object, **kwargs: object) -> Any:
        return parse_interval(self)

    def _parse_types(self, check_func: bool = False, *args: Any, **options: Any) -> Any:
        index = self._index
        try:
            first = self._curr
            found = super()._parse_types(check_func, *args, **options)
            if isinstance(found, exp.DataType) and first is not None and self._prev is not None:
                found.meta["written"] = self.sql[first.start : self._prev.end + 1]
            return found
        except ParseError:
            if not check_func:
                raise
            self._retreat(index)  # map(NULL, 1) begins as a type would
            return None

    def _parse_dcolon(self) -> Any:
        found = super()._parse_dcolon()
        if found is None:
            self._unknown_type()
        return found

    def raise_error(self, message: str, *args: Any, **kwargs: Any) -> Any:
        """A failure to read on; what should name a type is named itself."""
        if message == "Expected TYPE after CAST":
            self._unknown_type()
        return super().raise_error(message, *args, **kwargs)

    def _unknown_type(self) -> None:
        if not self._curr or not self._curr.text.replace("_", "a").isalnum():
            return
        if self._curr.text.lower() in _SIZED and self._next and self._next.token_type == TokenType.L_PAREN:
            following = self._tokens[self._index + 2 : self._index + 3]
            super().raise_error("a size is a number", following[0] if following else self._next)
        context = QueryContext(self._curr.text, self._curr.start, self._curr.end)
        name = f'"{self._curr.text.upper()}"'
        raise spark_error("UNSUPPORTED_DATATYPE", ErrorKind.PARSE, contexts=(context,), typeName=name)

    def _parse_type(self, *args: Any, **kwargs: Any) -> Any:
        name, value = self._curr, self._next
        if name and value and value.token_type == TokenType.STRING:
            other = name.token_type != TokenType.INTERVAL and self._names_other_type(name)
            if name.token_type == TokenType.VAR or other:
                return self._parse_column_ops(self._named_literal())
        if name and value and value.token_type == TokenType.NUMBER and self._names_other_type(name):
            interval = self._parse_interval()
            return self._parse_column_ops(interval) if interval else self._parse_column()
        return super()._parse_type(*args, **kwargs)

    def _names_other_type(self, name: Any) -> bool:
        """Whether a word is a type that has no literals (or INTERVAL, whose literals were looked for before)."""
        return name.token_type in self.TYPE_TOKENS and name.text.isalpha() and name.text.upper() not in _LITERAL_NAMES

    def _named_literal(self) -> exp.Expression:
        """``X'1F'``; other names that stand before a string name no type of literals."""
        name, value = self._curr.text.upper(), self._next.text
        context = QueryContext(self.sql[self._curr.start : self._next.end + 1], self._curr.start, self._next.end)
        self._advance(2)
        if name == "X":
            return exp.HexString(this=_hexadecimal(value, context))
        raise spark_error(
            "UNSUPPORTED_TYPED_LITERAL", ErrorKind.PARSE, contexts=(context,),
            unsupportedType=f'"{name}"', supportedTypes=_SUPPORTED_LITERALS,
        )  # fmt: skip


def _hexadecimal(text: str, context: QueryContext) -> str:
    try:
        bytes.fromhex(text if len(text) % 2 == 0 else "0" + text)
    except ValueError:
        raise _invalid_hexadecimal(text, context) from None
    return text


def _invalid_hexadecimal(text: str, context: QueryContext) -> SparkError:
    return spark_error(
        "INVALID_TYPED_LITERAL", ErrorKind.PARSE, contexts=(context,), valueType='"X"', value=f"'{text}'"
    )

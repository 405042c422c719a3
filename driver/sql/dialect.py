"""Spark SQL for sqlglot's parser, with the meaning of functions left to our own registry.

sqlglot would turn ``date_add(a, 1)`` into an abstract node of its own; here every call stays a call under the
name it was written with, and typed literals and numbers with a suffix stay what they are.
The interpreted parser is used: its compiled twin (sqlglotc) cannot be subclassed.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import Token, TokenType

TYPED_NUMBER = "__typed_number"
"""A number with a suffix: ``1L`` as a call on its text."""
TYPED_LITERAL = "__typed_literal"
"""``DATE '2024-01-01'`` as a call on the type's name and the text."""

_KEPT_FUNCTION_PARSERS = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "POSITION", "OVERLAY")
_LITERAL_TYPES = (
    exp.DType.DATE,
    exp.DType.TIMESTAMP,
    exp.DType.TIMESTAMPTZ,
    exp.DType.TIMESTAMPLTZ,
    exp.DType.TIMESTAMPNTZ,
    exp.DType.TIME,
    exp.DType.BINARY,
)


def _typed_number(parser: SparkParser, token: Token) -> exp.Expression:
    return exp.Anonymous(this=TYPED_NUMBER, expressions=[exp.Literal.string(token.text)])


def _typed_literal(parser: SparkParser, this: exp.Expression, to: exp.DataType) -> exp.Expression:
    name = exp.Literal.string(to.sql(dialect="spark"))
    return exp.Anonymous(this=TYPED_LITERAL, expressions=[name, this])


class VoltrayParser(SparkParser):
    """Spark's grammar; calls under their own names."""

    FUNCTIONS = {}  # noqa: RUF012
    FUNCTION_PARSERS = {  # noqa: RUF012
        name: SparkParser.FUNCTION_PARSERS[name]
        for name in SparkParser.FUNCTION_PARSERS
        if name in _KEPT_FUNCTION_PARSERS
    }
    ARRAY_CONSTRUCTORS = {}  # noqa: RUF012
    COLON_IS_VARIANT_EXTRACT = True
    COLON_CHAIN_IS_SINGLE_EXTRACT = True
    STRICT_CAST = True
    TYPE_LITERAL_PARSERS = dict.fromkeys(_LITERAL_TYPES, _typed_literal)
    PRIMARY_PARSERS = {  # noqa: RUF012
        **SparkParser.PRIMARY_PARSERS,
        TokenType.UNICODE_STRING: _typed_number,
    }


class VoltrayDialect(Spark):
    """The dialect that ``spark.sql`` speaks."""

    Parser = VoltrayParser

    def tokenize(self, sql: str, *args: object, **kwargs: object) -> list[Token]:
        """Tokens of the text, numbers with a suffix joined to one token each."""
        return _join_suffixes(super().tokenize(sql))


def _join_suffixes(tokens: list[Token]) -> list[Token]:
    """sqlglot's tokenizer reads ``1L`` as ``1 :: BIGINT``, three tokens at one place; join them to one."""
    joined: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        following = tokens[position + 1 : position + 3]
        if token.token_type == TokenType.NUMBER and len(following) == 2 and following[0].start == token.start:
            text = token.text + following[1].text
            joined.append(Token(TokenType.UNICODE_STRING, text, token.line, token.col, token.start, token.end))
            position += 3
        else:
            joined.append(token)
            position += 1
    return joined

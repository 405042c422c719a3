"""Spark SQL for sqlglot's parser, with the meaning of functions left to our own registry.

sqlglot would turn ``date_add(a, 1)`` into an abstract node of its own; here every call stays a call under the
name it was written with, and typed literals and numbers with a suffix stay what they are.
The interpreted parser is used: its compiled twin (sqlglotc) cannot be subclassed.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import Token, TokenType

from voltray.driver.sql.common_tables import parse_common_table
from voltray.driver.sql.expression_grammar import TYPED_NUMBER, UNSIGNED_SHIFT, ExpressionGrammar
from voltray.driver.sql.grammar import QueryGrammar
from voltray.driver.sql.options import current_options
from voltray.driver.sql.strict_grammar import StrictGrammar
from voltray.driver.sql.table_arguments import parse_table_argument

_KEPT_FUNCTION_PARSERS = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "POSITION", "OVERLAY")


def _typed_number(parser: SparkParser, token: Token) -> exp.Expression:
    number = exp.Anonymous(this=TYPED_NUMBER, expressions=[exp.Literal.string(token.text)])
    number.meta["start"], number.meta["end"] = token.start, token.end
    return number


_NESTED_TYPES = (TokenType.ARRAY, TokenType.MAP, TokenType.STRUCT)
_BEFORE_NUMBER = (TokenType.COMMA, TokenType.L_PAREN, TokenType.DASH, TokenType.PLUS, TokenType.STAR, TokenType.SLASH)


def _parse_extract(parser: SparkParser) -> exp.Expression:
    """EXTRACT(unit FROM source), the unit as it was written."""
    unit = parser._parse_var(any_token=True)
    if not parser._match(TokenType.FROM) and not parser._match(TokenType.COMMA):
        parser.raise_error("Expected FROM after EXTRACT", parser._prev)
    return exp.Extract(this=unit, expression=parser._parse_bitwise())


class VoltrayParser(StrictGrammar, ExpressionGrammar, QueryGrammar):
    """Spark's grammar; calls under their own names."""

    FUNCTIONS = {}  # noqa: RUF012
    FUNCTION_PARSERS = {  # noqa: RUF012
        **{name: parse for name, parse in SparkParser.FUNCTION_PARSERS.items() if name in _KEPT_FUNCTION_PARSERS},
        "EXTRACT": _parse_extract,
    }
    # TRANSFORM is a function here, not Hive's call of a script.
    NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
        name: parse for name, parse in SparkParser.NO_PAREN_FUNCTION_PARSERS.items() if name != "TRANSFORM"
    }
    ARRAY_CONSTRUCTORS = {}  # noqa: RUF012
    COLON_IS_VARIANT_EXTRACT = True
    COLON_CHAIN_IS_SINGLE_EXTRACT = True
    STRICT_CAST = True
    PRIMARY_PARSERS = {  # noqa: RUF012
        **SparkParser.PRIMARY_PARSERS,
        TokenType.UNICODE_STRING: _typed_number,
    }

    def _parse_cte(self) -> Any:
        return parse_common_table(self)

    def _parse_function_call(self, *args: Any, **kwargs: Any) -> Any:
        return parse_table_argument(self) or super()._parse_function_call(*args, **kwargs)


class VoltrayDialect(Spark):
    """The dialect that ``spark.sql`` speaks."""

    Parser = VoltrayParser

    class Tokenizer(Spark.Tokenizer):
        """Tokens of the text; ``X'1F'`` is a name and a string, which the grammar of expressions puts together."""

        HEX_STRINGS = []  # noqa: RUF012

    def tokenize(self, sql: str, *args: object, **kwargs: object) -> list[Token]:
        """Tokens of the text, numbers with a suffix joined to one token each."""
        tokens = _joined_strings(super().tokenize(sql), sql)
        if current_options().double_quoted_identifiers:
            tokens = [_identifier(t) if t.token_type == TokenType.STRING and sql[t.start] == '"' else t for t in tokens]
        return _joined(tokens)


def _names_window(following: list[Token]) -> bool:
    """Whether a WINDOW clause stands here (``WINDOW w AS``) and not the function or column ``window``."""
    return len(following) == 2 and following[1].token_type == TokenType.ALIAS


def _joined(tokens: list[Token]) -> list[Token]:
    """Tokens that sqlglot's tokenizer cuts and Spark's does not, put together again.

    It reads ``1L`` as ``1 :: BIGINT`` (three tokens at one place), ``.5`` as a dot and a number, and ``>>>`` as
    three signs, which are three closing brackets inside a type alone.
    """
    joined: list[Token] = []
    position, depth = 0, 0
    while position < len(tokens):
        token = tokens[position]
        following = tokens[position + 1 : position + 3]
        if token.token_type == TokenType.LT and joined and joined[-1].token_type in _NESTED_TYPES:
            depth += 1
        if token.token_type == TokenType.NUMBER and len(following) == 2 and following[0].start == token.start:
            joined.append(_token(TokenType.UNICODE_STRING, token.text + following[1].text, token, token))
            position += 3
        elif token.token_type == TokenType.WINDOW and not _names_window(following):
            joined.append(_token(TokenType.VAR, token.text, token, token))
            position += 1
        elif token.token_type == TokenType.GT and depth:
            depth -= 1
            joined.append(token)
            position += 1
        elif _are_adjacent([token, *following], TokenType.GT):
            joined.append(_token(UNSIGNED_SHIFT, ">>>", token, following[1]))
            position += 3
        else:
            joined.append(token)
            position += 1
        _join_leading_dot(joined)
    return joined


def _joined_strings(tokens: list[Token], sql: str) -> list[Token]:
    """Spark reads a doubled quote inside a string as one; sqlglot's tokenizer as the end of it and another."""
    joined: list[Token] = []
    if current_options().consecutive_strings:
        return tokens  # then they are two, side by side, as the grammar puts together
    for token in tokens:
        last = joined[-1] if joined else None
        strings = last is not None and last.token_type == token.token_type == TokenType.STRING
        if last is not None and strings and last.end + 1 == token.start and sql[last.start] == sql[token.start]:
            joined[-1] = _token(TokenType.STRING, last.text + sql[token.start] + token.text, last, token)
        else:
            joined.append(token)
    return joined


def _identifier(string: Token) -> Token:
    return _token(TokenType.IDENTIFIER, string.text, string, string)


def _token(kind: TokenType, text: str, first: Token, last: Token) -> Token:
    return Token(kind, text, first.line, first.col, first.start, last.end)


def _are_adjacent(tokens: list[Token], kind: TokenType) -> bool:
    places = [t.start for t in tokens if t.token_type == kind]
    return len(places) == 3 and places[2] == places[0] + 2


def _join_leading_dot(joined: list[Token]) -> None:
    if len(joined) < 2 or joined[-2].token_type != TokenType.DOT or joined[-2].end + 1 != joined[-1].start:
        return
    number, dot = joined[-1], joined[-2]
    touches = len(joined) > 2 and joined[-3].end + 1 == dot.start and joined[-3].token_type not in _BEFORE_NUMBER
    if number.token_type in (TokenType.NUMBER, TokenType.UNICODE_STRING) and not touches:
        joined[-2:] = [_token(number.token_type, "." + number.text, dot, number)]

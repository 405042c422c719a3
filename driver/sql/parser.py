"""SQL text to unresolved plans: the entry points of ``driver.sql``."""

from __future__ import annotations

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError

from voltray.driver.plan.relations import Relation
from voltray.driver.sql import expressions
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.dialect import VoltrayDialect
from voltray.driver.sql.queries import convert_query
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error

# What sqlglot only keeps as text is read by ``statements``; its warning would say so at every SHOW.
logging.getLogger("sqlglot").setLevel(logging.ERROR)
_DIALECT = VoltrayDialect()
_NOTHING = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|;)*", re.DOTALL)
QUERY_NODES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)


def parse_statement(text: str) -> exp.Expression:
    """sqlglot's tree of the one statement in a text; PARSE_* conditions otherwise."""
    if _NOTHING.fullmatch(text):
        raise spark_error("PARSE_EMPTY_STATEMENT", ErrorKind.PARSE, contexts=(QueryContext(text, 0, len(text) - 1),))
    try:
        trees = [t for t in sqlglot.parse(text, dialect=_DIALECT) if isinstance(t, exp.Expression)]
    except (SqlglotError, TokenError) as failure:
        raise _syntax_error(text, failure) from None
    if len(trees) != 1:
        raise _syntax_error_at(text, text.find(";") + 1)
    return trees[0]


def parse_query(
    text: str,
    named: tuple[tuple[str, Expression], ...] = (),
    positional: tuple[Expression, ...] = (),
) -> Relation:
    """The unresolved relation of a query's text."""
    tree = parse_statement(text)
    if not isinstance(tree, QUERY_NODES):
        raise spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=f"'{text.split()[0]}'", hint="")
    return convert_query(tree, SqlText(text, convert_query, named, positional))


def parse_expression(text: str) -> Expression:
    """The unresolved expression of a text such as ``a + 1 AS b``."""
    if _NOTHING.fullmatch(text):
        raise spark_error("PARSE_EMPTY_STATEMENT", ErrorKind.PARSE, contexts=(QueryContext(text, 0, len(text) - 1),))
    prefix = "SELECT "
    try:
        tree = sqlglot.parse_one(prefix + text, dialect=_DIALECT)
    except (SqlglotError, TokenError) as failure:
        raise _syntax_error(text, failure, len(prefix)) from None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from_") is not None:
        raise _syntax_error_at(text, 0)
    return expressions.convert(tree.expressions[0], SqlText(prefix + text, convert_query))


def _syntax_error(text: str, failure: SqlglotError, shift: int = 0) -> SparkError:
    details = failure.errors[0] if isinstance(failure, ParseError) and failure.errors else {}
    highlight = str(details.get("highlight") or "")
    line, column = int(details.get("line") or 1), int(details.get("col") or 0)
    lines = text.splitlines(keepends=True) or [""]
    offset = sum(len(x) for x in lines[: line - 1]) + column - len(highlight)
    return _syntax_error_at(text, max(offset - (shift if line == 1 else 0), 0), highlight)


def _syntax_error_at(text: str, offset: int, highlight: str = "") -> SparkError:
    word = highlight or (re.findall(r"\S+", text[offset:]) or [""])[0]
    at_end = not word or offset >= len(text)
    shown = "end of input" if at_end else f"'{word}'"
    context = QueryContext(text, offset, len(text) - 1)
    return spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=shown, hint="", contexts=(context,))

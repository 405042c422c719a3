"""SQL text to unresolved plans: the entry points of ``driver.sql``."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError, TokenError

from voltray.driver.plan.relations import Relation
from voltray.driver.sql import expressions
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.dialect import VoltrayDialect
from voltray.driver.sql.grammar import SyntaxProblem
from voltray.driver.sql.nodes import Pipe
from voltray.driver.sql.options import GrammarOptions, current_options
from voltray.driver.sql.queries import convert_query
from voltray.driver.sql.recent import RECENT
from voltray.driver.sql.syntax_errors import syntax_error_at
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, SparkError, spark_error

# What sqlglot only keeps as text is read by ``statements``; its warning would say so at every SHOW.
logging.getLogger("sqlglot").setLevel(logging.ERROR)
_DIALECT = VoltrayDialect()
_LONG = 4096
_NOTHING = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|;)*", re.DOTALL)
QUERY_NODES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values, Pipe)


def parse_statement(text: str) -> exp.Expression:
    """sqlglot's tree of the one statement in a text; PARSE_* conditions otherwise."""
    if _NOTHING.fullmatch(text):
        raise spark_error("PARSE_EMPTY_STATEMENT", ErrorKind.PARSE)
    if len(text) > _LONG:
        return _long_statement(text, current_options())
    return _one_statement(text)


def _one_statement(text: str) -> exp.Expression:
    try:
        trees = [t for t in sqlglot.parse(text, dialect=_DIALECT) if isinstance(t, exp.Expression)]
    except (SqlglotError, TokenError) as failure:
        raise _syntax_error(text, failure) from None
    if len(trees) != 1:
        raise syntax_error_at(text, text.find(";") + 1)
    return trees[0]


# A client sends the same text again and again: as a command, for its schema, to be run.
@lru_cache(maxsize=8)
def _long_statement(text: str, options: GrammarOptions) -> exp.Expression:
    return _one_statement(text)


def parse_query(
    text: str,
    named: tuple[tuple[str, Expression], ...] = (),
    positional: tuple[Expression, ...] = (),
) -> Relation:
    """The unresolved relation of a query's text."""
    if not named and not positional and (known := RECENT.get(text)) is not None:
        return known
    tree = parse_statement(text)
    if not isinstance(tree, QUERY_NODES):
        raise syntax_error_at(text, 0)
    return convert_query(tree, SqlText(text, convert_query, named, positional))


def parse_expression(text: str) -> Expression:
    """The unresolved expression of a text such as ``a + 1 AS b``."""
    if _NOTHING.fullmatch(text):
        raise spark_error("PARSE_EMPTY_STATEMENT", ErrorKind.PARSE)
    prefix = "SELECT "
    try:
        tree = sqlglot.parse_one(prefix + text, dialect=_DIALECT)
    except (SqlglotError, TokenError) as failure:
        raise _syntax_error(text, failure, len(prefix)) from None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from_") is not None:
        raise syntax_error_at(text, 0)
    return expressions.convert(tree.expressions[0], SqlText(text, convert_query, shift=-len(prefix)))


def _syntax_error(text: str, failure: SqlglotError, shift: int = 0) -> SparkError:
    if has_open_comment(text) and not text.lstrip().startswith("*/"):
        return spark_error("UNCLOSED_BRACKETED_COMMENT", ErrorKind.PARSE)
    if isinstance(failure, SyntaxProblem):
        token = failure.token
        return syntax_error_at(text, len(text) if token is None else max(token.start - shift, 0))
    place = _PLACE.search(str(failure))
    if place is not None:  # the tokenizer's: an open string or comment begins there
        return syntax_error_at(text, int(place[1]))
    return syntax_error_at(text, len(text))


_SKIPPED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|--[^\n]*|/\*|\*/", re.DOTALL)


def has_open_comment(text: str) -> bool:
    """Whether a bracketed comment (they nest) is still open at the end."""
    position = text.find("/*")
    if position < 0:
        return False
    depth, position = 0, 0
    while found := (_SKIPPED if depth == 0 else _BRACKETS).search(text, position):
        depth += {"/*": 1, "*/": -1 if depth else 0}.get(found[0], 0)
        position = found.end()
    return depth > 0


_BRACKETS = re.compile(r"/\*|\*/")
_PLACE = re.compile(r"at (\d+)")

"""WITH: its grammar, which goes beyond sqlglot's by MAX RECURSION LEVEL, and its relation."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.tokens import TokenType

from voltray.driver.plan import relations as r
from voltray.driver.sql.context import SqlText
from voltray.proto.failures import ErrorKind, spark_error

_LEVEL_LIMIT = "level_limit"


def parse_common_table(parser: Any) -> exp.Expression:
    """``name [(columns)] [MAX RECURSION LEVEL n] [AS] (query)``."""
    alias = parser._parse_table_alias(parser.ID_VAR_TOKENS)
    if not alias or not alias.this:
        parser.raise_error("Expected a name")
    limit = None
    if parser._match_text_seq("MAX", "RECURSION", "LEVEL"):
        number = parser._parse_number()
        if number is None or not number.name.isdigit():
            parser.raise_error("Expected a number", parser._curr)
        limit = int(number.name)
    parser._match(TokenType.ALIAS)
    query = parser._parse_wrapped(parser._parse_statement)
    table: exp.Expression = parser.expression(exp.CTE(this=query, alias=alias))
    table.set(_LEVEL_LIMIT, limit)
    return table


def with_relation(node: exp.With, child: r.Relation, text: SqlText) -> r.Relation:
    """A query under the names that WITH gives it."""
    definitions = []
    for table in node.expressions:
        columns = tuple([c.name for c in table.args["alias"].args.get("columns") or []])
        definitions.append((table.alias, text.query(table.this), columns))
    origin = text.fragment(0, len(text.text) - 1)
    is_recursive = bool(node.args.get("recursive"))
    limits = tuple([table.args.get(_LEVEL_LIMIT) for table in node.expressions])
    if not is_recursive and any(limit is not None for limit in limits):
        message = "Cannot specify MAX RECURSION LEVEL when the CTE is not marked as RECURSIVE"
        raise spark_error("_LEGACY_ERROR_TEMP_0035", ErrorKind.PARSE, message=message, contexts=(origin,))
    return r.With(child, tuple(definitions), is_recursive, limits, origin=origin)

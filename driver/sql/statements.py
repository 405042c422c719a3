"""SQL text to a query's relation or to a statement."""

from __future__ import annotations

import re

from voltray.driver.plan import statements as s
from voltray.driver.plan.relations import Relation
from voltray.driver.sql.commands import parse_command
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.markers import with_parameters
from voltray.driver.sql.parser import QUERY_NODES, parse_statement
from voltray.driver.sql.queries import convert_query
from voltray.driver.sql.recent import RECENT
from voltray.driver.sql.routines import parse_create_function
from voltray.driver.sql.variables import parse_variable_statement
from voltray.proto.expressions import Expression

_QUERY = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|from|table)\b", re.IGNORECASE | re.DOTALL)


def parse_sql(
    text: str, named: tuple[tuple[str, Expression], ...] = (), positional: tuple[Expression, ...] = ()
) -> Relation | s.Statement:
    """A query's relation, or the statement that a text is."""
    if (named or positional) and not _QUERY.match(text):
        text = with_parameters(text, dict(named), positional)
        named, positional = (), ()
    if named or positional:
        return _read(text, named, positional)
    return RECENT.read(text, lambda: _read(text, (), ()))


def _read(
    text: str, named: tuple[tuple[str, Expression], ...], positional: tuple[Expression, ...]
) -> Relation | s.Statement:
    command = parse_create_function(text) or parse_variable_statement(text) or parse_command(text)
    if command is not None:
        return command
    tree = parse_statement(text)
    source = SqlText(text, convert_query, named, positional)
    if isinstance(tree, QUERY_NODES):
        return convert_query(tree, source)
    raise source.error(tree)

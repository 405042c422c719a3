"""EXECUTE IMMEDIATE, and names that are made of constants: SQL whose text is known only when it runs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from voltray.driver.analysis.relations.identifier_clause import identified
from voltray.driver.connect.statements import variables
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias
from voltray.driver.plan.identifiers import quoted, split_identifier
from voltray.driver.plan.programs import ExecuteImmediate
from voltray.driver.plan.statements import Statement
from voltray.driver.sql.markers import markers_of
from voltray.driver.sql.options import parsing_for
from voltray.driver.sql.statements import parse_sql
from voltray.proto.coercion import decimal_of_literal
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import StringType

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

Named = tuple[tuple[str, Expression], ...]
Positional = tuple[Expression, ...]


def parsed(session: Session, text: str, named: Named = (), positional: Positional = ()) -> r.Relation | Statement:
    """What a text says, its IDENTIFIER clauses replaced."""
    with parsing_for(session.conf):
        return parse_sql(identified(text, session, named, positional), named, positional)


def expanded(session: Session, statement: ExecuteImmediate) -> tuple[str, Named, Positional]:
    """The text that EXECUTE IMMEDIATE runs, with its arguments."""
    value = _text(session, statement.text)
    found = {name is None for name, _ in markers_of(value)}
    if len(found) > 1:
        raise spark_error("INVALID_QUERY_MIXED_QUERY_PARAMETERS", ErrorKind.ANALYSIS)
    aliases = [a.lower() for a, _ in statement.arguments if a is not None]
    repeated = [a for i, a in enumerate(aliases) if a in aliases[:i]]
    if repeated:
        raise spark_error("EXEC_IMMEDIATE_DUPLICATE_ARGUMENT_ALIASES", aliases=quoted((repeated[0],)))
    literals = [_argument(session, text) for _, text in statement.arguments]
    if False not in found:
        return value, (), tuple(literals)
    names = [alias or _own_name(session, text) for alias, text in statement.arguments]
    nameless = [f'"{text}"' for name, (_, text) in zip(names, statement.arguments, strict=True) if name is None]
    if nameless:
        raise spark_error("ALL_PARAMETERS_MUST_BE_NAMED", exprs=", ".join(nameless))
    return value, tuple([(str(n), v) for n, v in zip(names, literals, strict=True)]), ()


def _text(session: Session, expression: str) -> str:
    literal = variables.evaluate(session, session.parse_expression(expression), None)
    if not isinstance(literal.dtype, StringType):
        raise spark_error("INVALID_EXPR_TYPE_FOR_QUERY_EXECUTE_IMMEDIATE",
                          exprType=f'"{literal.dtype.simpleString().upper()}"')  # fmt: skip
    if literal.value is None:
        raise spark_error("NULL_QUERY_STRING_EXECUTE_IMMEDIATE", varName=quoted((expression,)))
    return str(literal.value)


def _argument(session: Session, text: str) -> Literal:
    expression = session.parse_expression(text)
    plan = session.analyze(r.Project(r.OneRow(), (UnresolvedAlias(expression, ("value",)),)))
    if any(variables.has_subquery(e) for e in logical.expressions_of(plan)):
        raise spark_error("UNSUPPORTED_EXPR_FOR_PARAMETER", invalidExprSql='"scalarsubquery()"')
    literal = variables.evaluate(session, expression, None)
    if isinstance(literal.value, Decimal):  # a parameter has the type that its value would have as text
        return Literal(literal.value, decimal_of_literal(literal.value))
    return literal


def _own_name(session: Session, text: str) -> str | None:
    """The name of a variable that is an argument itself."""
    try:
        parts = split_identifier(text.strip())
    except SparkError:
        return None
    key = session.variable_key(parts)
    return parts[-1] if key is not None and key in session.variables else None


def store(session: Session, statement: ExecuteImmediate, relation: r.Relation) -> None:
    """Run a query for INTO."""
    for parts in statement.targets:
        if session.variable_key(parts) not in session.variables:
            raise spark_error("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", objectName=quoted(parts))
    targets = variables.checked_targets(session, statement.targets)
    values = variables.row_values(session, session.analyze(relation), targets)
    variables.assign(session, statement.targets, values)


def refuse_into(text: str) -> SparkError:
    """INTO takes the row of a query alone."""
    return spark_error("INVALID_STATEMENT_FOR_EXECUTE_INTO", ErrorKind.PARSE, sqlString=text.upper())

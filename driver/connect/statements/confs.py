"""SET, RESET and session variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from voltray.driver.connect.statements.rows import NOTHING, Rows, text_rows
from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import DataType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

VARIABLE_NAMESPACES = ((), ("session",), ("system", "session"))


def set_conf(session: Session, operation: Operation, statement: s.SetConf) -> Rows:
    """Set or show confs."""
    if statement.key is None:
        confs = sorted(session.confs.explicit().items())
        return text_rows(("key", "value"), confs)
    if statement.value is None:
        value = session.confs.value(statement.key)
        return text_rows(("key", "value"), [(statement.key, "<undefined>" if value is None else value)])
    session.confs.set(statement.key, statement.value)
    return text_rows(("key", "value"), [(statement.key, statement.value)])


def reset_conf(session: Session, operation: Operation, statement: s.ResetConf) -> Rows:
    """Give confs their defaults again."""
    keys = [statement.key] if statement.key is not None else list(session.confs.explicit())
    for key in keys:
        if statement.key is not None or session.confs.is_modifiable(key):
            session.confs.unset(key)
    return NOTHING


def declare_variable(session: Session, operation: Operation, statement: s.DeclareVariable) -> Rows:
    """Make a session variable with its default."""
    name = variable_name(statement.name)
    if name in session.variables and not statement.replace:
        raise spark_error("VARIABLE_ALREADY_EXISTS", variableName=f"`system`.`session`.`{name}`")
    default = statement.default if statement.default is not None else Literal(None, statement.dtype or _void())
    value = evaluate(session, default, statement.dtype)
    session.set_variable(name, value)
    return NOTHING


def set_variable(session: Session, operation: Operation, statement: s.SetVariable) -> Rows:
    """Give a session variable a value of its type."""
    name = variable_name(statement.name)
    known = session.variables.get(name)
    if known is None:
        raise unresolved_variable(statement.name)
    session.set_variable(name, evaluate(session, statement.value, known.dtype))
    return NOTHING


def drop_variable(session: Session, operation: Operation, statement: s.DropVariable) -> Rows:
    """Remove a session variable."""
    name = variable_name(statement.name)
    if name not in session.variables:
        if statement.if_exists:
            return NOTHING
        raise spark_error("VARIABLE_NOT_FOUND", variableName=f"`system`.`session`.`{name}`")
    session.set_variable(name, None)
    return NOTHING


def variable_name(parts: tuple[str, ...]) -> str:
    """The variable that a name of one to three parts means."""
    if tuple([p.lower() for p in parts[:-1]]) not in VARIABLE_NAMESPACES:
        raise unresolved_variable(parts)
    return parts[-1].lower()


def unresolved_variable(parts: tuple[str, ...]) -> SparkError:
    """The error for a variable that is not there."""
    return spark_error(
        "UNRESOLVED_VARIABLE", ErrorKind.ANALYSIS, variableName=quoted(parts), searchPath="`system`.`session`"
    )


def evaluate(session: Session, expression: Expression, dtype: DataType | None) -> Literal:
    """The value of an expression without columns, cast to a type."""
    wanted = u.UnresolvedCast(expression, dtype) if dtype is not None else expression
    plan = session.analyze(r.Project(r.OneRow(), (u.UnresolvedAlias(wanted, ("value",)),)))
    column = pl.DataFrame(session.collect(plan)).to_series(0)
    return Literal(internal_value(column), dtype or plan.output[0].dtype)


def internal_value(column: pl.Series) -> object:
    """The one cell of a column as an internal value."""
    physical = column.to_physical() if column.dtype.is_temporal() else column
    return physical[0]


def _void() -> DataType:
    from voltray.proto.types import NULL

    return NULL

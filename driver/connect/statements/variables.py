"""DECLARE, SET and DROP of session variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.functions import is_foldable
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedAttribute, UnresolvedCast
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.programs import DeclareVariables, SetVariables
from voltray.executors.literals import internal_values
from voltray.proto.expressions import Alias, ExistsSubquery, Expression, InSubquery, Literal, ScalarSubquery, walk
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import NULL, DataType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

_NAMESPACES = ((), ("session",), ("system", "session"))
_DECLARED_PATH, _SET_PATH = "`system`.`session`", "`SYSTEM`.`SESSION`"


def declare_variables(session: Session, operation: Operation, statement: DeclareVariables) -> Rows:
    """Make variables with one default."""
    names = [variable_name(parts, _DECLARED_PATH) for parts in statement.names]
    for index, name in enumerate(names):
        shown = f"{_DECLARED_PATH}.{quoted((name,))}"
        if name in names[:index]:
            raise spark_error("DUPLICATE_VARIABLE_NAME_INSIDE_DECLARE", variableName=shown)
        if name in session.variables and not statement.replace:
            raise spark_error("VARIABLE_ALREADY_EXISTS", variableName=shown)
    default = default_of(session, statement)
    for name in names:
        session.set_variable(name, evaluate(session, default, statement.dtype), default)
    return NOTHING


def default_of(session: Session, statement: DeclareVariables) -> Expression:
    """A declaration's default, in which no query may stand."""
    if statement.default is None:
        return Literal(None, statement.dtype or NULL)
    expression = session.parse_expression(statement.default)
    plan = session.analyze(r.Project(r.OneRow(), (UnresolvedAlias(expression, ("value",)),)))
    if any(has_subquery(e) for e in logical.expressions_of(plan)):
        raise spark_error(
            "INVALID_DEFAULT_VALUE.SUBQUERY_EXPRESSION", statement="DECLARE VARIABLE", defaultValue=statement.default,
            colName=f"{_DECLARED_PATH}.{quoted(statement.names[0][-1:])}",
        )  # fmt: skip
    return expression


def has_subquery(expression: Expression) -> bool:
    """Whether a query stands in an expression."""
    return any(isinstance(n, (ScalarSubquery, ExistsSubquery, InSubquery)) for n in walk(expression))


def set_variables(session: Session, operation: Operation, statement: SetVariables) -> Rows:
    """Give variables values of their types, all at once."""
    assign(session, statement.targets, values_of(session, statement))
    return NOTHING


def values_of(session: Session, statement: SetVariables) -> list[Literal]:
    """What SET gives its targets."""
    known = checked_targets(session, statement.targets)
    if statement.query is not None:
        return query_values(session, statement.query, known, [session.variable_default(n) for n, _ in known])
    values = []
    for (name, dtype), text in zip(known, statement.values, strict=True):
        expression = session.variable_default(name) if text is None else session.parse_expression(text)
        try:
            values.append(evaluate(session, expression, dtype))
        except SparkError as problem:
            raise _misplaced_default(problem) from None
    return values


def _misplaced_default(problem: SparkError) -> SparkError:
    failure = problem.failure
    if failure.parameters.get("objectName", "").lower() == "`default`":
        return spark_error("DEFAULT_PLACEMENT_INVALID")
    return problem


def checked_targets(session: Session, targets: Sequence[s.Name]) -> list[tuple[str, DataType]]:
    """The variables that are assigned to, each once, with their types."""
    found: list[tuple[str, DataType]] = []
    for parts in targets:
        name = session.variable_key(parts)
        literal = session.variables.get(name) if name is not None else None
        if name is None or literal is None:
            raise unresolved_variable(parts, _SET_PATH)
        if any(name == other for other, _ in found):
            raise spark_error("DUPLICATE_ASSIGNMENTS", nameList=quoted((name.rpartition(".")[2],)))
        found.append((name, literal.dtype))
    return found


def assign(session: Session, targets: Sequence[s.Name], values: Sequence[Literal]) -> None:
    """Put values into variables."""
    for parts, value in zip(targets, values, strict=True):
        name = session.variable_key(parts)
        assert name is not None
        session.set_variable(name, value)


def drop_variable(session: Session, operation: Operation, statement: s.DropVariable) -> Rows:
    """Remove a session variable."""
    name = variable_name(statement.name, _DECLARED_PATH)
    if name not in session.variables:
        if statement.if_exists:
            return NOTHING
        raise spark_error("VARIABLE_NOT_FOUND", variableName=f"{_DECLARED_PATH}.{quoted((name,))}")
    session.set_variable(name, None)
    return NOTHING


def variable_name(parts: s.Name, search_path: str) -> str:
    """The session variable that a name of one to three parts means."""
    if tuple([p.lower() for p in parts[:-1]]) not in _NAMESPACES:
        raise unresolved_variable(parts, search_path)
    return parts[-1].lower()


def session_variable_key(parts: s.Name) -> str | None:
    """The key of a session variable, or None where a name can mean none."""
    return parts[-1].lower() if tuple([p.lower() for p in parts[:-1]]) in _NAMESPACES else None


def unresolved_variable(parts: s.Name, search_path: str) -> SparkError:
    """The error for a variable that is not there."""
    return spark_error("UNRESOLVED_VARIABLE", ErrorKind.ANALYSIS, variableName=quoted(parts), searchPath=search_path)


# ---- values -----------------------------------------------------------------------------------------------
def evaluate(session: Session, expression: Expression, dtype: DataType | None) -> Literal:
    """The value of an expression without columns, cast to a type."""
    wanted = UnresolvedCast(expression, dtype) if dtype is not None else expression
    plan = session.analyze(r.Project(r.OneRow(), (UnresolvedAlias(wanted, ("value",)),)))
    result = dtype or plan.output[0].dtype
    if isinstance(plan, logical.Project) and isinstance(plan.items[0], Alias) and is_foldable(plan.items[0].child):
        return Literal(constant_value(plan.items[0].child, session), result)
    return _rows(session, plan, 1)[0][0]


def query_values(
    session: Session, text: str, targets: Sequence[tuple[str, DataType]], defaults: Sequence[Expression]
) -> list[Literal]:
    """The one row of a query as the targets' values; NULLs where there is none."""
    relation = session.parse_query(text)
    try:
        plan = session.analyze(relation)
    except SparkError as problem:
        misplaced = _misplaced_default(problem)
        filled = None if misplaced is problem else _with_defaults(relation, defaults)
        if filled is None:
            raise misplaced from None
        try:
            plan = session.analyze(filled)
        except SparkError as again:
            raise _misplaced_default(again) from None
    return row_values(session, plan, targets)


def row_values(session: Session, plan: logical.LogicalPlan, targets: Sequence[tuple[str, DataType]]) -> list[Literal]:
    """The one row of a plan as the targets' values; NULLs where there is none."""
    if len(plan.output) != len(targets):
        raise spark_error("ASSIGNMENT_ARITY_MISMATCH", numTarget=len(targets), numExpr=len(plan.output))
    casts = tuple([
        UnresolvedAlias(UnresolvedCast(attribute, dtype), (name,))
        for attribute, (name, dtype) in zip(plan.output, targets, strict=True)
    ])  # fmt: skip
    analyzed = session.analyze(r.Project(r.Analyzed(resolved_of(plan)), casts))
    rows = _rows(session, logical.Limit(analyzed, 2), 2)
    if len(rows) > 1:
        raise spark_error("ROW_SUBQUERY_TOO_MANY_ROWS", ErrorKind.SPARK)
    return rows[0] if rows else [Literal(None, dtype) for _, dtype in targets]


def resolved_of(plan: logical.LogicalPlan) -> object:
    """A resolved plan as analysis takes it up again."""
    from voltray.driver.analysis.scope import leaf_scope

    return leaf_scope(plan)


def _rows(session: Session, plan: logical.LogicalPlan, most: int) -> list[list[Literal]]:
    """The first rows of a plan as literals."""
    frame = pl.DataFrame(session.collect(plan)).head(most)
    columns = [internal_values(frame.to_series(i), a.dtype) for i, a in enumerate(plan.output)]
    return [[Literal(c[i], a.dtype) for c, a in zip(columns, plan.output, strict=True)] for i in range(frame.height)]


def _with_defaults(relation: r.Relation, defaults: Sequence[Expression]) -> r.Relation | None:
    """A query whose select items that are just DEFAULT have become the targets' defaults."""
    if not isinstance(relation, r.Project):
        child = getattr(relation, "child", None)
        inner = _with_defaults(child, defaults) if isinstance(child, r.Relation) else None
        return None if inner is None else replace(relation, child=inner)  # type: ignore[call-arg]
    items = tuple([
        UnresolvedAlias(defaults[i], ("default",)) if _is_default(item) and i < len(defaults) else item
        for i, item in enumerate(relation.items)
    ])  # fmt: skip
    return replace(relation, items=items)


def _is_default(item: Expression) -> bool:
    bare = item.child if isinstance(item, UnresolvedAlias) else item
    return isinstance(bare, UnresolvedAttribute) and tuple([p.lower() for p in bare.parts]) == ("default",)

"""``VALUES (...), (...)``: rows of constants, as many in each, of types that go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import has_aggregate
from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.functions import is_foldable
from voltray.driver.analysis.projection import needed
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved, Scope
from voltray.driver.analysis.select_list import is_generator
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedSubquery
from voltray.executors.functions.raising import may_raise
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import Call, Expression, Literal, OuterReference, PythonCall, ScalarSubquery, walk
from voltray.proto.failures import QueryContext, SparkError
from voltray.proto.types import DataType, NullType, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

_CONDITION = "INVALID_INLINE_TABLE"
_SUBQUERY = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.SCALAR_SUBQUERY_IN_VALUES"


def resolve_inline_table(relation: r.InlineTable, analysis: Analysis) -> Resolved:
    """The rows, once they are seen to be a table."""
    rows = list(_rows(relation.child))
    _check_widths(relation, rows)
    types: list[DataType | None] = [None] * len(rows[0])
    for row in rows:
        for place, cell in enumerate(row):
            dtype = _cell_type(cell, relation.origin, analysis)
            types[place] = _wider(types[place], dtype, f"col{place + 1}", relation, place, analysis)
    return analysis.relation(relation.child)


def _rows(child: r.Relation) -> Iterator[Sequence[Expression]]:
    stack = [child]
    while stack:
        node = stack.pop()
        if isinstance(node, r.SetOperation):
            stack += [node.right, node.left]
        elif isinstance(node, r.Project):
            yield [i.child if isinstance(i, UnresolvedAlias) else i for i in node.items]


def _check_widths(relation: r.InlineTable, rows: Sequence[Sequence[Expression]]) -> None:
    expected = len(relation.names or rows[0])
    for index, row in enumerate(rows):
        if len(row) != expected:
            raise analysis_error(
                f"{_CONDITION}.NUM_COLUMNS_MISMATCH", relation.origin, expectedNumCols=expected,
                actualNumCols=len(row), rowIndex=index,
            )  # fmt: skip


def _cell_type(cell: Expression, origin: QueryContext | None, analysis: Analysis) -> DataType:
    if isinstance(cell, Literal):
        return cell.dtype
    if isinstance(cell, UnresolvedSubquery):
        raise analysis_error(_SUBQUERY, origin)
    typed = analysis.over(Scope(())).resolve(cell)
    if not _is_constant(typed):
        place = getattr(cell, "origin", None)
        raise analysis_error(f"{_CONDITION}.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE", place, expr=f'"{typed.text}"')
    if may_raise(typed.expression) and is_foldable(typed.expression):
        _evaluate(typed, origin, analysis)
    return typed.dtype


def _is_constant(typed: Typed) -> bool:
    expression = typed.expression
    if has_aggregate(expression):
        return False
    for node in walk(expression):
        if isinstance(node, (OuterReference, ScalarSubquery)):
            return True  # of a query around it: what it is told by is not this table's affair
        if isinstance(node, PythonCall):
            return False
        if isinstance(node, Call) and (is_generator(node) or not _is_repeatable(node)):
            return False
    return not needed(expression)


def _is_repeatable(call: Call) -> bool:
    from voltray.driver.analysis.functions import find_function

    entry = find_function(call.name)
    return entry is None or entry.deterministic


def _evaluate(typed: Typed, origin: QueryContext | None, analysis: Analysis) -> None:
    try:
        constant_value(typed.expression, analysis.environment)
    except SparkError:
        raise analysis_error(
            f"{_CONDITION}.FAILED_SQL_EXPRESSION_EVALUATION", origin, sqlExpr=f'"{typed.text}"'
        ) from None


def _wider(
    known: DataType | None, given: DataType, name: str, relation: r.InlineTable, place: int, analysis: Analysis
) -> DataType:
    if known is None or known == given:
        return given
    both = wider_type(known, given, analysis.environment.ansi)
    if both is None or _is_promoted(known, given):
        shown = relation.names[place] if relation.names else name
        raise analysis_error(f"{_CONDITION}.INCOMPATIBLE_TYPES_IN_INLINE_TABLE", relation.origin, colName=f"`{shown}`")
    return both


def _is_promoted(left: DataType, right: DataType) -> bool:
    """Whether only one is a string: no row's value becomes one, nor is read from one, unasked."""
    strings = [isinstance(t, StringType) for t in (left, right)]
    return any(strings) and not all(strings) and not isinstance(left, NullType) and not isinstance(right, NullType)

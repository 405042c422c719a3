"""Which functions take WITHIN GROUP and IGNORE NULLS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedFunction
from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.registry import Function
from voltray.proto.expressions import AggregateCall, Call, SortOrder, WindowCall, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import BinaryType, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Typed

_ORDERED = frozenset({"mode", "percentile_cont", "percentile_disc", "listagg", "string_agg"})
_ORDER_NEEDED = frozenset({"percentile_cont", "percentile_disc"})
_SKIPPING_NULLS = frozenset(
    {"first", "first_value", "last", "last_value", "any_value", "nth_value", "lag", "lead", "array_agg", "collect_list"}
)


_DISTINCT_INPUT = frozenset({"listagg", "string_agg"})


def check_filter(condition: Typed, origin: QueryContext | None) -> None:
    """A FILTER clause keeps to single rows: no aggregate, no window function, nothing random."""
    shown = f'"{condition.text}"'
    for node in walk(condition.expression):
        entry = lookup(node.name) if isinstance(node, Call) else None
        if entry is not None and not entry.deterministic:
            raise analysis_error("INVALID_AGGREGATE_FILTER.NON_DETERMINISTIC", origin, filterExpr=shown)
    for node in walk(condition.expression):
        if isinstance(node, AggregateCall):
            raise analysis_error("INVALID_AGGREGATE_FILTER.CONTAINS_AGGREGATE", origin, filterExpr=shown,
                                 aggExpr=f'"{_call_text(node)}"')  # fmt: skip
        if isinstance(node, WindowCall):
            raise analysis_error("INVALID_AGGREGATE_FILTER.CONTAINS_WINDOW_FUNCTION", origin, filterExpr=shown,
                                 windowExpr=shown)  # fmt: skip


def _call_text(call: AggregateCall) -> str:
    return f"{call.name}({', '.join([getattr(a, 'name', getattr(a, 'value', '...')) for a in call.args])})"


def check_orderings(name: str, expression: UnresolvedFunction) -> None:
    """``mode() WITHIN GROUP (ORDER BY v)`` or ``mode(v)``, but not both, and of all values."""
    if name != "mode":
        return
    condition, function, keys = "INVALID_WITHIN_GROUP_EXPRESSION", "`mode`", len(expression.order_by)
    if expression.distinct:
        raise analysis_error(f"{condition}.DISTINCT_UNSUPPORTED", expression.origin, funcName=function)
    if not expression.args and not keys:
        raise analysis_error(f"{condition}.WITHIN_GROUP_MISSING", expression.origin, funcName=function)
    if keys and keys != (wanted := 0 if expression.args else 1):
        raise analysis_error(
            f"{condition}.WRONG_NUM_ORDERINGS", expression.origin, funcName="`Mode`" if wanted else function,
            expectedNum=wanted, actualNum=keys,
        )  # fmt: skip


def check_distinct_order(name: str, expression: UnresolvedFunction, value: Typed, orders: Sequence[Typed]) -> None:
    """Distinct texts are put in the order of themselves alone."""
    if name not in _DISTINCT_INPUT or not expression.distinct or not orders:
        return
    first = orders[0].expression
    assert isinstance(first, SortOrder)
    if len(orders) == 1 and first.child == value.expression and isinstance(value.dtype, (StringType, BinaryType)):
        return
    written = expression.order_by[0].child
    shown = written.parts[-1] if isinstance(written, UnresolvedAttribute) else orders[0].text
    raise analysis_error(
        "INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT", None, funcName=f"`{name}`",
        funcArg=f'"{value.text}"', orderingExpr=f'"{shown}"',
    )  # fmt: skip


def check_syntax(entry: Function, name: str, expression: UnresolvedFunction) -> None:
    """Refuse clauses that a function does not take, and calls without those that it needs."""
    if expression.order_by:
        if name not in _ORDERED:
            raise _unsupported(name, "WITHIN GROUP (ORDER BY ...)", expression)
        if name in _ORDER_NEEDED and len(expression.order_by) != 1:
            raise analysis_error(
                "INVALID_WITHIN_GROUP_EXPRESSION.WRONG_NUM_ORDERINGS", expression.origin, funcName=f"`{name}`",
                expectedNum=1, actualNum=len(expression.order_by),
            )  # fmt: skip
        if name in _ORDER_NEEDED and expression.distinct:
            raise analysis_error(
                "INVALID_WITHIN_GROUP_EXPRESSION.DISTINCT_UNSUPPORTED", expression.origin, funcName=f"`{name}`"
            )
    elif name in _ORDER_NEEDED:
        raise analysis_error(
            "INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING", expression.origin, funcName=f"`{name}`"
        )
    if expression.ignore_nulls is not None and name not in _SKIPPING_NULLS:
        # RESPECT NULLS says nothing that is not so already.
        if expression.ignore_nulls:
            raise _unsupported(name, "IGNORE NULLS", expression)


def _unsupported(name: str, syntax: str, expression: UnresolvedFunction) -> Exception:
    return analysis_error(
        "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX", expression.origin, prettyName=f"`{name}`", syntax=syntax
    )

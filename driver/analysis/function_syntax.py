"""Which functions take WITHIN GROUP and IGNORE NULLS."""

from __future__ import annotations

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan.expressions import UnresolvedFunction
from voltray.executors.functions.registry import Function

_ORDERED = frozenset({"mode", "percentile_cont", "percentile_disc", "listagg", "string_agg"})
_ORDER_NEEDED = frozenset({"percentile_cont", "percentile_disc"})
_SKIPPING_NULLS = frozenset(
    {"first", "first_value", "last", "last_value", "any_value", "nth_value", "lag", "lead", "array_agg", "collect_list"}
)


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

"""Sort keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import mismatch, shown_type
from voltray.driver.analysis.names import rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedSortOrder
from voltray.proto.coercion import is_orderable
from voltray.proto.expressions import Alias, SortOrder
from voltray.proto.failures import QueryContext

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_sort_order(expression: UnresolvedSortOrder, resolver: ExpressionResolver) -> Typed:
    """A sort key with Spark's defaults: ascending, nulls first; descending, nulls last."""
    child = expression.child
    if isinstance(child, UnresolvedSortOrder):  # desc() inside orderBy(..., ascending=...)
        child = child.child
    return sort_key(resolver.resolve(child), expression.ascending, expression.nulls_first, expression.origin)


def sort_key(
    child: Typed, ascending: bool | None, nulls_first: bool | None, origin: QueryContext | None
) -> Typed:
    """A resolved child as a sort key."""
    up = ascending if ascending is not None else True
    first = nulls_first if nulls_first is not None else up
    name = rope(child.name, " ASC" if up else " DESC", " NULLS FIRST" if first else " NULLS LAST")
    if not is_orderable(child.dtype):
        raise mismatch(
            "INVALID_ORDERING_TYPE", Typed(child.expression, name).text, origin, functionName="`sortorder`",
            dataType=shown_type(child.dtype),
        )  # fmt: skip
    value = child.expression.child if isinstance(child.expression, Alias) else child.expression
    return Typed(SortOrder(value, up, first), name)

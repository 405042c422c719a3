"""Where and having."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import aggregate_sql, having
from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.functions import contains_aggregate
from voltray.driver.analysis.mentions import mentions, refuse_generators
from voltray.driver.analysis.projection import exposed_for, has_window
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved, same_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedWindow
from voltray.proto.expressions import Attribute, Expression
from voltray.proto.failures import QueryContext
from voltray.proto.types import BOOLEAN, BooleanType, NullType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_filter(relation: r.Filter, analysis: Analysis) -> Resolved:
    """Rows for which a condition holds; it may use columns that the select list below left out."""
    if relation.is_having and mentions(relation.condition, UnresolvedWindow):
        raise analysis_error("_LEGACY_ERROR_TEMP_1034", relation.origin, clauseName="HAVING")
    child = analysis.relation(_selected(relation, analysis))
    if child.scope.aggregate is not None:
        return having(child, relation.condition, analysis, relation.origin, relation.is_having)
    refuse_generators(relation.condition, "Filter", analysis)
    typed = analysis.over(child.scope, missing=child.scope.inner is not None).resolve(relation.condition)
    if has_window(typed.expression):
        raise invalid_where(typed, relation.origin)
    condition = boolean_condition(typed, analysis, relation.origin)
    if contains_aggregate(condition) or has_window(condition):
        raise invalid_where(typed, relation.origin)
    return filtered(child, condition)


def _selected(relation: r.Filter, analysis: Analysis) -> r.Relation:
    """What HAVING filters: without GROUP BY one group, but where a legacy conf makes it a WHERE."""
    child = relation.child
    if not relation.is_having or not isinstance(child, r.Project) or child.child is None:
        return child
    if analysis.environment.conf("spark.sql.legacy.parser.havingWithoutGroupByAsWhere").lower() == "true":
        return child
    return r.Aggregate(child.child, "groupby", (), child.items, prepend_groups=False, plan_id=child.plan_id)


def boolean_condition(typed: Typed, analysis: Analysis, origin: QueryContext | None) -> Expression:
    """A filter's condition, which must be Boolean."""
    if isinstance(typed.dtype, BooleanType):
        return typed.expression
    if isinstance(typed.dtype, NullType):
        return cast_to(typed.expression, BOOLEAN, analysis.environment.ansi)
    raise analysis_error(
        "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN", origin, sqlExpr=f'"{typed.text}"', filter=f'"{typed.text}"',
        type=shown_type(typed.dtype),
    )  # fmt: skip


def invalid_where(typed: Typed, origin: QueryContext | None) -> Exception:
    """An aggregate or window function in WHERE."""
    if has_window(typed.expression):
        return analysis_error("_LEGACY_ERROR_TEMP_1034", origin, clauseName="WHERE")
    extra = {"condition": f'"{typed.text}"'}
    return analysis_error(
        "INVALID_WHERE_CONDITION", origin, extra=extra, expressionList=aggregate_sql(typed.expression) or typed.text
    )


def filtered(child: Resolved, condition: Expression) -> Resolved:
    """The filter, over whatever hidden columns its condition needs."""
    plan, available = exposed_for(child.plan, child.scope.attributes, [condition])
    filtered_plan: logical.LogicalPlan = logical.Filter(plan, condition)
    return same_scope(child, trimmed(filtered_plan, available, child.scope.attributes))


def trimmed(
    plan: logical.LogicalPlan, available: tuple[Attribute, ...], wanted: tuple[Attribute, ...]
) -> logical.LogicalPlan:
    """The plan without the columns that were brought up for it alone."""
    return plan if available is wanted else logical.Project(plan, wanted)

"""Relations that pass columns on and choose, spread or count rows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.functions import contains_aggregate, is_foldable
from voltray.driver.analysis.projection import exposed_for, project
from voltray.driver.analysis.relations.filter import trimmed
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved, Scope, same_scope
from voltray.driver.analysis.select_list import select_items
from voltray.driver.analysis.sql_functions import refuse_sql_functions
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import DirectShuffle, UnresolvedSortOrder
from voltray.proto.coercion import is_groupable
from voltray.proto.expressions import Alias, Attribute, Expression, SortOrder, walk
from voltray.proto.failures import ErrorKind, QueryContext, spark_error
from voltray.proto.types import IntegerType, IntegralType, MapType, VariantType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


# ---- limit, offset, tail --------------------------------------------------------------------------
def resolve_limit(relation: r.Limit, analysis: Analysis) -> Resolved:
    """The first rows."""
    child = analysis.relation(relation.child)
    return same_scope(
        child, logical.Limit(child.plan, _count("limit", relation.limit, child, analysis, relation.origin))
    )


def resolve_offset(relation: r.Offset, analysis: Analysis) -> Resolved:
    """All but the first rows."""
    child = analysis.relation(relation.child)
    count = _count("offset", relation.offset, child, analysis, relation.origin)
    return same_scope(child, logical.Limit(child.plan, None, count))


def resolve_tail(relation: r.Tail, analysis: Analysis) -> Resolved:
    """The last rows."""
    child = analysis.relation(relation.child)
    count = _count("tail", relation.limit, child, analysis, relation.origin)
    return same_scope(child, logical.Limit(child.plan, count, tail=True))


def _count(name: str, expression: Expression, child: Resolved, analysis: Analysis, origin: QueryContext | None) -> int:
    refuse_sql_functions("GlobalLimit", [expression], analysis.environment)
    typed = analysis.over(child.scope).resolve(expression)
    shown = {"name": name, "expr": f'"{typed.text}"'}
    if not is_foldable(typed.expression):
        raise analysis_error("INVALID_LIMIT_LIKE_EXPRESSION.IS_UNFOLDABLE", origin, **shown)
    if not isinstance(typed.dtype, IntegerType) and not (
        isinstance(typed.dtype, IntegralType) and typed.dtype.simpleString() in ("tinyint", "smallint")
    ):
        raise analysis_error(
            "INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE", origin, dataType=shown_type(typed.dtype), **shown
        )
    value = constant_value(typed.expression, analysis.environment)
    if value is None:
        raise analysis_error("INVALID_LIMIT_LIKE_EXPRESSION.IS_NULL", origin, **shown)
    if value < 0:
        raise analysis_error("INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE", origin, v=value, **shown)
    return int(value)


# ---- distinct, sample ---------------------------------------------------------------------------------
def resolve_deduplicate(relation: r.Deduplicate, analysis: Analysis) -> Resolved:
    """``distinct`` and ``dropDuplicates``."""
    child = analysis.relation(relation.child)
    columns = child.scope.attributes
    keys = columns
    if not relation.all_columns and relation.columns:
        keys = ()
        for name in relation.columns:
            found = [a for a in columns if _same(a.name, name, analysis)]
            if not found:
                raise analysis_error("INTERNAL_ERROR", relation.origin, message=f"Invalid deduplicate column {name}")
            keys += tuple(found)
    for key in keys:
        check_comparable(key, relation.origin)
    unique = tuple({a.expr_id: a for a in keys}.values())
    if relation.within_watermark:
        plan: logical.LogicalPlan = _within_watermark(child.plan, unique)
    else:
        plan = logical.Deduplicate(child.plan, unique)
    resolved = same_scope(child, plan)
    scope = resolved.scope
    return Resolved(resolved.plan, Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans))


def _within_watermark(plan: logical.LogicalPlan, keys: tuple[Attribute, ...]) -> logical.LogicalPlan:
    from voltray.driver.plan.streaming import DeduplicateWithinWatermark, is_streaming, unsupported_stream

    if not is_streaming(plan):
        raise unsupported_stream("dropDuplicatesWithinWatermark is not supported with batch DataFrames/DataSets")
    return DeduplicateWithinWatermark(plan, keys)


def check_comparable(key: Attribute, origin: QueryContext | None) -> None:
    """Set operations refuse what has no equality."""
    if isinstance(key.dtype, MapType) or not is_groupable(key.dtype):
        kind = "VARIANT_TYPE" if isinstance(key.dtype, VariantType) else "MAP_TYPE"
        raise analysis_error(
            f"UNSUPPORTED_FEATURE.SET_OPERATION_ON_{kind}", origin, colName=f"`{key.name}`",
            dataType=shown_type(key.dtype),
        )  # fmt: skip


def _same(left: str, right: str, analysis: Analysis) -> bool:
    return left == right or (not analysis.environment.case_sensitive and left.lower() == right.lower())


def resolve_sample(relation: r.Sample, analysis: Analysis) -> Resolved:
    """A random part."""
    child = analysis.relation(relation.child)
    fraction = relation.upper - relation.lower
    epsilon = 1e-6
    if fraction < -epsilon or (not relation.with_replacement and fraction > 1 + epsilon):
        kind = "nonnegative" if relation.with_replacement else "on interval [0, 1]"
        raise spark_error(
            "INTERNAL_ERROR", ErrorKind.ILLEGAL_ARGUMENT,
            message=f"requirement failed: Sampling fraction ({fraction}) must be {kind} "
            + ("with replacement" if relation.with_replacement else "without replacement"),
        )  # fmt: skip
    seed = relation.seed if relation.seed is not None else random.randrange(1 << 62)
    plan = child.plan
    if relation.deterministic_order:
        orders = [SortOrder(a) for a in child.scope.attributes if not isinstance(a.dtype, (MapType, VariantType))]
        plan = logical.Sort(plan, tuple(orders), False) if orders else plan
    return same_scope(child, logical.Sample(plan, relation.lower, relation.upper, relation.with_replacement, seed))


# ---- partitions ----------------------------------------------------------------------------------------
def resolve_repartition(relation: r.Repartition, analysis: Analysis) -> Resolved:
    """``repartition(n)`` and ``coalesce(n)``."""
    child = analysis.relation(relation.child)
    kind = "round_robin" if relation.shuffle else "coalesce"
    return same_scope(child, logical.Repartition(child.plan, kind, relation.num_partitions))


def resolve_repartition_by_expression(relation: r.RepartitionByExpression, analysis: Analysis) -> Resolved:
    """``repartition(columns)``, ``repartitionByRange`` and a given partition number."""
    refuse_sql_functions("RepartitionByExpression", relation.expressions, analysis.environment)
    child = analysis.relation(relation.child)
    resolver = analysis.over(child.scope)
    if len(relation.expressions) == 1 and isinstance(relation.expressions[0], DirectShuffle):
        typed = [resolver.resolve(relation.expressions[0].child)]
        kind = "direct"
    else:
        typed = _star_free(relation.expressions, resolver)
        ranged = any(isinstance(e, UnresolvedSortOrder) for e in relation.expressions)
        kind = "range" if ranged else "hash" if typed else "round_robin"
    if kind == "range":
        typed = [t if isinstance(t.expression, SortOrder) else Typed(SortOrder(t.expression), t.name) for t in typed]
    expressions = tuple([_bare(t.expression) for t in typed])
    plan, available = exposed_for(child.plan, child.scope.attributes, expressions)
    spread = logical.Repartition(plan, kind, relation.num_partitions, expressions)
    return same_scope(child, trimmed(spread, available, child.scope.attributes))


def _bare(expression: Expression) -> Expression:
    return expression.child if isinstance(expression, Alias) else expression


def _star_free(expressions: tuple[Expression, ...], resolver: object) -> list[Typed]:
    from voltray.driver.analysis.expressions.star import star_attributes
    from voltray.driver.analysis.resolver import ExpressionResolver
    from voltray.driver.plan.expressions import UnresolvedStar

    assert isinstance(resolver, ExpressionResolver)
    typed: list[Typed] = []
    for expression in expressions:
        if isinstance(expression, UnresolvedStar):
            typed.extend(Typed(a, "") for a in star_attributes(expression, resolver))
        else:
            typed.append(resolver.resolve(expression))
    return typed


def resolve_hint(relation: r.Hint, analysis: Analysis) -> Resolved:
    """A hint: how to spread rows; join hints are read where the join is (``join.py``)."""
    child = analysis.relation(relation.child)
    name = relation.name.upper()
    if name not in ("REPARTITION", "COALESCE", "REPARTITION_BY_RANGE", "REBALANCE"):
        return child
    resolver = analysis.over(child.scope)
    number: int | None = None
    keys: list[Expression] = []
    for parameter in relation.parameters:
        typed = resolver.resolve(parameter)
        value = constant_value(typed.expression, analysis.environment) if is_foldable(typed.expression) else None
        if isinstance(value, int):
            number = value
        elif isinstance(value, str):
            keys.append(resolver.resolve(r_attribute(value)).expression)
        else:
            keys.append(_bare(typed.expression))
    if name == "COALESCE":
        return same_scope(child, logical.Repartition(child.plan, "coalesce", number))
    if name == "REPARTITION_BY_RANGE":
        orders = tuple([SortOrder(k) for k in keys])
        return same_scope(child, logical.Repartition(child.plan, "range", number, orders))
    kind = "hash" if keys else "round_robin"
    return same_scope(child, logical.Repartition(child.plan, kind, number, tuple(keys)))


def r_attribute(name: str) -> Expression:
    """A column named in a hint."""
    from voltray.driver.plan.expressions import UnresolvedAttribute
    from voltray.driver.plan.identifiers import split_identifier

    return UnresolvedAttribute(split_identifier(name))


def resolve_collect_metrics(relation: r.CollectMetrics, analysis: Analysis) -> Resolved:
    """``df.observe``."""
    from voltray.driver.analysis.aggregation import Frame, check_grouped
    from voltray.driver.analysis.canonical import Keys

    child = analysis.relation(relation.child)
    items, _ = select_items(relation.metrics, analysis.over(child.scope), lateral=False)
    frame = Frame(child.scope, Keys(), {})
    metrics: list[Alias] = []
    for item in items:
        if not isinstance(item, Alias) or not contains_aggregate(item):
            if isinstance(item, Alias) and not any(isinstance(n, Attribute) for n in walk(item)):
                metrics.append(item)
                continue
            name = item.name if isinstance(item, (Alias, Attribute)) else item.text
            raise analysis_error(
                "INVALID_OBSERVED_METRICS.NON_AGGREGATE_FUNC_ARG_IS_ATTRIBUTE", relation.origin, expr=f'"{name}"'
            )
        check_grouped(Alias(frame.rewritten(item.child), item.name, item.expr_id), frame, set(), relation.origin)
        metrics.append(item)
    return same_scope(child, logical.CollectMetrics(child.plan, relation.name, tuple(metrics)))


__all__ = ["project"]

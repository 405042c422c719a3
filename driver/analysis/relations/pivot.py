"""Pivot: aggregated by group and pivot value, then a column for each value."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from voltray.driver.analysis.aggregation import aggregate_select
from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.constants import constant_value, series_values
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.functions import apply_function, contains_aggregate, is_foldable
from voltray.driver.analysis.names import java_decimal, java_double
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved, scope_over
from voltray.driver.analysis.select_list import Generated, select_items
from voltray.driver.analysis.temporal_text import date_text, time_text, timestamp_text
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias
from voltray.proto.coercion import can_cast, implicit_cast
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Expression,
    Literal,
    SortOrder,
    new_id,
    references,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_pivot(relation: r.Aggregate, child: Resolved, analysis: Analysis) -> Resolved:
    """One row a group, one column a pivot value and aggregate."""
    assert relation.pivot_column is not None
    resolver = analysis.over(child.scope)
    pivot = resolver.resolve(relation.pivot_column)
    if _has_map(pivot.dtype):
        raise analysis_error("INCOMPARABLE_PIVOT_COLUMN", relation.origin, columnName=f"`{pivot.text}`")
    items, _ = select_items(relation.items, resolver, lateral=False)
    aggregates = [i for i in items if isinstance(i, Alias)]
    if any(isinstance(i, (Generated, Attribute)) for i in items) or not all(contains_aggregate(a) for a in aggregates):
        raise analysis_error("_LEGACY_ERROR_TEMP_1006", relation.origin, sql=items[0].name if items else "")  # type: ignore[union-attr]
    if any(isinstance(p, AggregateCall) and p.option("python") is not None for a in aggregates for p in walk(a)):
        raise analysis_error("UNSUPPORTED_FEATURE.PANDAS_UDAF_IN_PIVOT", relation.origin)
    if relation.prepend_groups:
        groups = [resolver.resolve(g) for g in relation.groups]
    else:
        used = references(pivot.expression) | {i for a in aggregates for i in references(a)}
        groups = [Typed(a, a.name, a.name) for a in child.scope.attributes if a.expr_id not in used]
    values = _values(relation, pivot, child, analysis)
    first = aggregate_select(
        child,
        [*groups, pivot],
        (*[g.named() for g in groups], Alias(_bare(pivot.expression), "_pivot", new_id()), *aggregates),
        False,
        analysis,
        relation.origin,
    )
    return _spread(first, child, len(groups), values, aggregates, analysis)


def _has_map(dtype: DataType) -> bool:
    if isinstance(dtype, StructType):
        return any(_has_map(f.dataType) for f in dtype.fields)
    return isinstance(dtype, MapType) or (isinstance(dtype, ArrayType) and _has_map(dtype.elementType))


def _bare(expression: Expression) -> Expression:
    return expression.child if isinstance(expression, Alias) else expression


Value = tuple[Literal, str]


def _spread(
    first: Resolved, child: Resolved, group_count: int, values: list[Value], aggregates: list[Alias], analysis: Analysis
) -> Resolved:
    columns = first.scope.attributes
    groups, pivot, computed = columns[:group_count], columns[group_count], columns[group_count + 1 :]
    resolver = analysis.over(first.scope)
    made: list[Alias] = []
    for literal, text in values:
        test = apply_function("<=>", (Typed(pivot, ""), Typed(literal, "")), resolver).expression
        for column, aggregate in zip(computed, aggregates, strict=True):
            name = text if len(aggregates) == 1 else f"{text}_{aggregate.name}"
            chosen = apply_function("first", (Typed(column, ""),), resolver).expression
            assert isinstance(chosen, AggregateCall)
            from dataclasses import replace

            made.append(Alias(replace(chosen, filter=test, nullable=True), name, new_id()))
    plan = logical.Aggregate(first.plan, tuple({g.expr_id: g for g in groups}.values()), tuple(made))
    output = (*groups, *[to_attribute(m) for m in made])
    return Resolved(logical.Project(plan, output), scope_over(output, child.scope, hidden=()))


# ---- values ----------------------------------------------------------------------------------------
def _values(relation: r.Aggregate, pivot: Typed, child: Resolved, analysis: Analysis) -> list[Value]:
    if not relation.pivot_values:
        return [_shown(Literal(v, pivot.dtype), analysis) for v in _distinct(pivot, child, analysis)]
    found: list[Value] = []
    for written in relation.pivot_values:
        alias = written.names[0] if isinstance(written, UnresolvedAlias) else None
        expression = written.child if isinstance(written, UnresolvedAlias) else written
        typed = analysis.over(child.scope).resolve(expression)
        found.append(_given(typed, alias, pivot, relation, analysis))
    return found


def _given(typed: Typed, alias: str | None, pivot: Typed, relation: r.Aggregate, analysis: Analysis) -> Value:
    if not is_foldable(typed.expression):
        raise analysis_error("NON_LITERAL_PIVOT_VALUES", relation.origin, expression=f'"{typed.text}"')
    value = constant_value(typed.expression, analysis.environment)
    ansi = analysis.environment.ansi
    if not can_cast(typed.dtype, pivot.dtype, ansi):
        raise analysis_error(
            "PIVOT_VALUE_DATA_TYPE_MISMATCH", relation.origin, value=typed.text,
            valueType=typed.dtype.simpleString(), pivotType=pivot.dtype.simpleString(),
        )  # fmt: skip
    name = alias if alias is not None else value_text(value, typed.dtype, analysis.environment.time_zone)
    if typed.dtype != pivot.dtype and implicit_cast(typed.dtype, pivot.dtype, ansi) is not None:
        value = constant_value(cast_to(typed.expression, pivot.dtype, ansi), analysis.environment)
    return Literal(value, pivot.dtype), name


def _distinct(pivot: Typed, child: Resolved, analysis: Analysis) -> list[Any]:
    from voltray.driver.analysis.fresh_ids import with_fresh_ids

    named = Alias(_bare(pivot.expression), "v", new_id())
    column = to_attribute(named)
    plan: logical.LogicalPlan = logical.Project(child.plan, (named,))
    most = int(analysis.environment.conf("spark.sql.pivotMaxValues") or 10000)
    plan = logical.Deduplicate(plan, (column,))
    plan = logical.Sort(plan, (SortOrder(column),))
    plan = logical.Limit(plan, most + 1)
    table = analysis.environment.collect(with_fresh_ids(plan))
    values = series_values(pl.DataFrame(table).to_series(0), column)
    if len(values) > most:
        raise analysis_error(
            "_LEGACY_ERROR_TEMP_1324", None, pivotColumn=pivot.text, maxValues=most,
            pivotMaxValues="spark.sql.pivotMaxValues",
        )  # fmt: skip
    return values


def _shown(literal: Literal, analysis: Analysis) -> Value:
    return literal, value_text(literal.value, literal.dtype, analysis.environment.time_zone)


def value_text(value: Any, dtype: DataType, time_zone: str) -> str:
    """A pivot value as the column's name shows it: what a cast to string would give."""
    if value is None:
        return "null"
    match dtype:
        case BooleanType():
            return "true" if value else "false"
        case DoubleType():
            return java_double(value)
        case FloatType():
            return java_double(value, single=True)
        case DecimalType():
            return java_decimal(Decimal(value), dtype)
        case DateType():
            return date_text(value)
        case TimestampType():
            return timestamp_text(value, time_zone)
        case TimestampNTZType():
            return timestamp_text(value, None)
        case TimeType():
            return time_text(value)
        case StructType():
            parts = [value_text(v, f.dataType, time_zone) for v, f in zip(value, dtype.fields, strict=True)]
            return "{" + ", ".join(parts) + "}"
    return str(value)


__all__ = ["resolve_pivot", "shown_type", "value_text"]

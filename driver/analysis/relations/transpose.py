"""``transpose``: rows become columns. The values of the index column must be known, so the child runs first."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.relations.columns import over
from voltray.driver.analysis.scope import Resolved, scope_over
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedCast, UnresolvedSortOrder
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import Attribute, Expression, Literal, new_id
from voltray.proto.types import INTEGER, STRING, AtomicType, DataType

if TYPE_CHECKING:
    import pyarrow as pa

    from voltray.driver.analysis.resolver import Analysis

MAX_VALUES = "spark.sql.transposeMaxValues"


def resolve_transpose(relation: r.Transpose, analysis: Analysis) -> Resolved:
    """A row a column of the child but the index; a column a value of the index, in its order."""
    child = analysis.relation(relation.child)
    if not child.scope.attributes:
        return child
    index = _index(relation, child, analysis)
    values = [a for a in child.scope.attributes if a.expr_id != index.expr_id]
    dtype = _common_type(values, analysis.environment.ansi)
    sorted_rows = _rows(index, values, dtype, child, analysis)
    table = analysis.environment.collect(sorted_rows)
    if table.num_rows > int(analysis.environment.conf(MAX_VALUES)):
        raise analysis_error(
            "TRANSPOSE_EXCEED_ROW_LIMIT", relation.origin, maxValues=analysis.environment.conf(MAX_VALUES),
            config=MAX_VALUES,
        )  # fmt: skip
    return _transposed(table, values, dtype, child)


def _index(relation: r.Transpose, child: Resolved, analysis: Analysis) -> Attribute:
    if not relation.index:
        index = child.scope.attributes[0]
    else:
        expression = analysis.over(child.scope).resolve(relation.index[0]).expression
        if not isinstance(expression, Attribute):
            raise analysis_error(
                "TRANSPOSE_INVALID_INDEX_COLUMN", relation.origin, reason="Index column must be a column"
            )
        index = expression
    if not isinstance(index.dtype, AtomicType):
        reason = f"Index column must be of atomic type, but found: {index.dtype}"
        raise analysis_error("TRANSPOSE_INVALID_INDEX_COLUMN", relation.origin, reason=reason)
    return index


def _common_type(values: list[Attribute], ansi: bool) -> DataType:
    def wider(left: DataType, right: DataType) -> DataType:
        common = wider_type(left, right, ansi)
        if common is None:
            raise analysis_error("TRANSPOSE_NO_LEAST_COMMON_TYPE", dt1=left.simpleString(), dt2=right.simpleString())
        return common

    return reduce(wider, [v.dtype for v in values]) if values else STRING


def _rows(
    index: Attribute, values: list[Attribute], dtype: DataType, child: Resolved, analysis: Analysis
) -> logical.LogicalPlan:
    """The index as text (NULLs left out, in its own order), then the values in their common type."""
    present = r.Filter(over(child), _not_null(index))
    ordered = r.Sort(present, (UnresolvedSortOrder(index, True),))
    limit = int(analysis.environment.conf(MAX_VALUES)) + 1
    limited = analysis.relation(r.Limit(ordered, Literal(limit, INTEGER)))
    items: list[Expression] = [UnresolvedAlias(UnresolvedCast(index, STRING), ("index",))]
    items += [UnresolvedAlias(UnresolvedCast(v, dtype), (v.name,)) for v in values]
    return analysis.relation(r.Project(over(limited), tuple(items))).plan


def _not_null(index: Attribute) -> Expression:
    from voltray.driver.analysis.relations.columns import call

    return call("isnotnull", index)


def _transposed(table: pa.Table, values: list[Attribute], dtype: DataType, child: Resolved) -> Resolved:
    import polars as pl

    frame = pl.DataFrame(table)
    names = frame.to_series(0).to_list()
    key = Attribute(new_id(), "key", STRING, False)
    attributes = (key, *[Attribute(new_id(), name, dtype, True) for name in names])
    keys = pl.Series(key.column, [v.name for v in values], dtype=pl.String)
    body = frame.drop(frame.columns[0])
    rows = pl.concat([body.to_series(i).alias("") for i in range(body.width)]) if body.width else None
    columns = [keys]
    for place, attribute in enumerate(attributes[1:]):
        assert rows is not None
        columns.append(rows.gather_every(len(names), place).alias(attribute.column))
    data = logical.LocalData(attributes, pl.DataFrame(columns).to_arrow(), len(values))
    return Resolved(data, scope_over(data.output, child.scope, hidden=()))

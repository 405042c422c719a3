"""Each row several times, under several projections."""

from __future__ import annotations

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute, Expression
from voltray.proto.operators import Expand
from voltray.proto.types import carrier

_INDEX = "#projection"


def compile_expand(operator: Expand, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Rows repeated in place with the number of the projection, from which each column is chosen."""
    count = len(operator.projections)
    indices = pl.lit(pl.Series([list(range(count))], dtype=pl.List(pl.Int32))).first()
    repeated = children[0].with_columns(indices.alias(_INDEX)).explode(_INDEX)
    columns = [_choice(operator, position, a, task) for position, a in enumerate(operator.attributes)]
    return repeated.with_columns(columns).select([a.column for a in operator.attributes])


def _choice(operator: Expand, position: int, attribute: Attribute, task: TaskContext) -> pl.Expr:
    """The value of one output column under each projection, equal ones taken together."""
    variants: dict[Expression, list[int]] = {}
    for number, projection in enumerate(operator.projections):
        variants.setdefault(projection[position], []).append(number)
    wanted = carrier(attribute.dtype)
    index = pl.col(_INDEX)
    result: pl.Expr | None = None
    for expression, numbers in sorted(variants.items(), key=lambda item: len(item[1]), reverse=True):
        here = index.is_in(numbers) if len(numbers) > 1 else index == numbers[0]
        guard = None if len(variants) == 1 else here
        value = compile_expression(expression, task.evaluation, guard).cast(wanted)
        result = value if result is None else pl.when(here).then(value).otherwise(result)
    assert result is not None
    return result.alias(attribute.column)

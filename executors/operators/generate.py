"""Each row with the rows that a generator makes of it."""

from __future__ import annotations

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.columns import names_of
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import dtype_of
from voltray.proto.operators import Generate
from voltray.proto.types import ArrayType

_ROWS = "#rows"


def compile_generate(operator: Generate, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Rows in order; without rows of its own a row vanishes, or stays with NULLs where ``outer``."""
    kept = names_of(operator.child_output)
    call = operator.generator
    outer = operator.outer or call.name.endswith("_outer")
    plain = call.name in ("explode", "explode_outer") and isinstance(dtype_of(call.args[0]), ArrayType)
    rows = compile_expression(call.args[0] if plain else call, task.evaluation)
    frame = children[0].with_columns(rows.alias(_ROWS)).select([*kept, _ROWS])
    exploded = frame.explode(_ROWS, empty_as_null=outer, keep_nulls=outer)
    if plain:
        return exploded.rename({_ROWS: operator.attributes[0].column})
    fields = [a.column for a in operator.attributes]
    return exploded.with_columns(pl.col(_ROWS).struct.rename_fields(fields)).unnest(_ROWS)

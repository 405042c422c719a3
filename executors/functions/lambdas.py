"""Lambda functions over the elements of lists.

A lambda is compiled once and evaluated once for all elements of a batch: the lists are taken apart into flat
columns, one a variable; columns of the surrounding rows that the body reads (and the variables of enclosing
lambdas) are repeated beside them. So lambdas nest and capture freely, and no row is looped over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.proto.expressions import Attribute, Expression, Lambda, LambdaVariable, dtype_of, walk
from voltray.proto.types import carrier

_GUARD = "λguard"


def variable_column(expr_id: int) -> str:
    """The flat column that carries a lambda's variable."""
    return f"λ{expr_id}"


def captured_columns(function: Lambda) -> tuple[str, ...]:
    """Columns from outside that a lambda's body reads: attributes, and variables of enclosing lambdas."""
    bound = {v.expr_id for node in walk(function) if isinstance(node, Lambda) for v in node.parameters}
    names: dict[str, None] = {}
    for node in walk(function.body):
        if isinstance(node, Attribute):
            names[node.column] = None
        elif isinstance(node, LambdaVariable) and node.expr_id not in bound:
            names[variable_column(node.expr_id)] = None
    return tuple(names)


@dataclass(frozen=True, slots=True)
class BoundLambda:
    """A compiled lambda with the surrounding columns that it reads."""

    function: Lambda
    body: pl.Expr
    dtype: pl.DataType
    surrounding: pl.DataFrame

    def __call__(self, rows: np.ndarray, *variables: pl.Series) -> pl.Series:
        """The body's value for each element; ``rows`` tells the surrounding row of each."""
        if len(rows) == 0:
            return pl.Series([], dtype=self.dtype)
        columns = [
            series.alias(variable_column(variable.expr_id))
            for variable, series in zip(self.function.parameters, variables, strict=False)
        ]
        columns += [lists.take(column, rows) for column in self.surrounding.get_columns()]
        if not columns:
            columns = [pl.Series("λrow", rows)]
        value = pl.DataFrame(columns).with_columns(self.body.alias("λvalue")).get_column("λvalue")
        return value if value.dtype == self.dtype else value.cast(self.dtype)


Kernel = Callable[..., pl.Series]


def with_lambdas(
    evaluation: Evaluation, functions: tuple[Expression, ...], kernel: Kernel, *columns: pl.Expr
) -> pl.Expr:
    """``kernel(rows, bound lambdas, *series)`` over whole columns."""
    compiled = [_compiled(evaluation, f) for f in functions]
    captured = tuple(dict.fromkeys(name for f in functions for name in captured_columns(_lambda(f))))

    def run(rows: Rows, *series: pl.Series) -> pl.Series:
        given = series[: len(columns)]
        around = [s.alias(n) for s, n in zip(series[len(columns) :], captured, strict=True)]
        guard = [rows.guard.alias(_GUARD)] if rows.guard is not None else []
        bound = []
        for function, body in zip(functions, compiled, strict=True):
            mine = set(captured_columns(_lambda(function)))
            surrounding = pl.DataFrame([s for s in around if s.name in mine] + guard)
            bound.append(BoundLambda(_lambda(function), body, carrier(dtype_of(function)), surrounding))
        return kernel(rows, bound, *given)

    return evaluation.columnwise(run, *columns, *[pl.col(n) for n in captured])


def _lambda(function: Expression) -> Lambda:
    assert isinstance(function, Lambda)
    return function


def _compiled(evaluation: Evaluation, function: Expression) -> pl.Expr:
    """The body, its variables bound to flat columns."""
    own = _lambda(function)
    bindings = tuple((v.expr_id, pl.col(variable_column(v.expr_id))) for v in own.parameters)
    compiler: Any = evaluation.compiler
    inner = replace(compiler, lambda_columns=(*bindings, *evaluation.lambda_columns))
    guard = None if evaluation.guard is None else pl.col(_GUARD)
    result: pl.Expr = inner(own.body, evaluation.context, guard)
    return result

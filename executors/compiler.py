"""Resolved expressions compiled to Polars expressions, with guards for Spark's lazy errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from voltray.executors.functions import cast as cast_family
from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.collated import collated_body, is_collated_call, rewritten
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext
from voltray.executors.literals import literal_column
from voltray.executors.python.udf import python_column
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Cast,
    Expression,
    LambdaVariable,
    Literal,
    PythonCall,
    SortOrder,
    column_name,
    dtype_of,
)  # fmt: skip
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import DecimalType, DoubleType, IntegralType

Bindings = tuple[tuple[int, pl.Expr], ...]


@dataclass(frozen=True, slots=True)
class ExpressionCompiler:
    """Compiles expressions with the variables of enclosing lambdas bound to Polars expressions."""

    lambda_columns: Bindings = ()

    def __call__(self, expression: Expression, context: EvaluationContext, guard: pl.Expr | None) -> pl.Expr:
        return compile_expression(expression, context, guard, self.lambda_columns)


def compile_expression(
    expression: Expression,
    context: EvaluationContext,
    guard: pl.Expr | None = None,
    lambda_columns: Bindings = (),
) -> pl.Expr:
    """The Polars expression of a resolved expression; checks raise only for rows where ``guard`` holds."""
    rule = _RULES.get(type(expression))
    if rule is None:
        raise _unsupported(expression)
    return rule(expression, context, guard, lambda_columns)


def evaluation_of(
    call: Call | AggregateCall,
    context: EvaluationContext,
    guard: pl.Expr | None = None,
    lambda_columns: Bindings = (),
) -> Evaluation:
    """What a function body gets beside its arguments."""
    compiler = _PLAIN if not lambda_columns else ExpressionCompiler(lambda_columns)
    return Evaluation(call, context, guard, compiler, lambda_columns)


def _attribute(expression: Attribute, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    return pl.col(column_name(expression.expr_id))


def _literal(expression: Literal, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    return literal_column(expression.value, expression.dtype)


def _child(expression: Any, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    return compile_expression(expression.child, context, guard, bound)


def _variable(
    expression: LambdaVariable, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings
) -> pl.Expr:
    for expr_id, column in bound:
        if expr_id == expression.expr_id:
            return column
    raise _unsupported(expression)


def _cast(expression: Cast, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    constant = _cast_number(expression)
    if constant is not None:
        return literal_column(constant, expression.dtype)
    value = compile_expression(expression.child, context, guard, bound)
    source = dtype_of(expression.child)
    call = Call(
        "cast", (expression.child,), expression.dtype, expression.nullable, expression.mode, (), expression.origin
    )
    evaluation = evaluation_of(call, context, guard, bound)
    return cast_family.cast(evaluation, value, source, expression.dtype, expression.mode)


def _cast_number(expression: Cast) -> Any:
    """An integer constant as a decimal or double: what analysis makes of the 1 in ``1 - discount``."""
    child = expression.child
    if not isinstance(child, Literal) or type(child.value) is not int or not isinstance(child.dtype, IntegralType):
        return None
    match expression.dtype:
        case DecimalType() as target if abs(child.value) < 10 ** (target.precision - target.scale):
            return Decimal(child.value)
        case DoubleType() if abs(child.value) < 1 << 53:
            return float(child.value)
    return None


def _call(expression: Call, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    function = lookup(expression.name)
    if function is None:
        raise _unsupported(expression)
    if is_collated_call(expression):
        return _collated(expression, context, guard, bound)
    evaluation = evaluation_of(expression, context, guard, bound)
    if function.lazy_body is not None:
        return function.lazy_body(evaluation, expression.args)
    if function.body is None:
        raise _unsupported(expression)
    arguments = [compile_expression(a, context, guard, bound) for a in expression.args]
    return function.body(evaluation, *arguments)


def _collated(expression: Call, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    plain = rewritten(expression)
    if plain is not None:
        return _call(plain, context, guard, bound)
    arguments = [compile_expression(a, context, guard, bound) for a in expression.args]
    return collated_body(expression.name)(evaluation_of(expression, context, guard, bound), *arguments)


def _python_call(expression: PythonCall, context: EvaluationContext, guard: pl.Expr | None, bound: Bindings) -> pl.Expr:
    # Spark runs Python functions over all rows before it looks at what stands around them: no guard.
    return python_column(expression, context, lambda e: compile_expression(e, context, None, bound))


def _unsupported(expression: Expression) -> SparkError:
    name = getattr(expression, "name", None) or type(expression).__name__
    return spark_error("UNSUPPORTED_EXPR_FOR_OPERATOR", ErrorKind.UNSUPPORTED, invalidExprSqls=str(name))


_PLAIN = ExpressionCompiler()

_RULES: dict[type[Expression], Callable[..., pl.Expr]] = {
    Attribute: _attribute,
    Literal: _literal,
    Alias: _child,
    SortOrder: _child,
    LambdaVariable: _variable,
    Cast: _cast,
    Call: _call,
    PythonCall: _python_call,
}

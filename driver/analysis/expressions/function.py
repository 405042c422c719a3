"""Function calls and what stands only inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.functions import resolve_function
from voltray.driver.analysis.outer_aggregates import check_outer_references, outer_aggregate
from voltray.driver.analysis.python_functions import python_call
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import (
    ExpressionString,
    NamedArgument,
    PythonFunction,
    UnresolvedFunction,
    UnresolvedLambda,
    UnresolvedRegex,
    UnresolvedStar,
)  # fmt: skip
from voltray.proto.expressions import Expression

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_call(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A call by name."""
    outer = outer_aggregate(expression, resolver)
    if outer is not None:
        return outer
    typed = resolve_function(expression, resolver)
    if resolver.analysis.outer:
        check_outer_references(typed, expression.origin)
    return typed


def resolve_text(expression: ExpressionString, resolver: ExpressionResolver) -> Typed:
    """SQL text of an expression."""
    return resolver.resolve(resolver.environment.parse_expression(expression.text))


def resolve_named_argument(expression: NamedArgument, resolver: ExpressionResolver) -> Typed:
    """``name => value`` where no function takes it."""
    raise analysis_error("NAMED_PARAMETERS_NOT_SUPPORTED", expression.origin, functionName=f"`{expression.name}`")


def resolve_lone_lambda(expression: UnresolvedLambda, resolver: ExpressionResolver) -> Typed:
    """A lambda function that no higher-order function takes."""
    raise analysis_error("INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", expression.origin,
                         **{"class": "lambdafunction"})  # fmt: skip


def resolve_lone_star(expression: Expression, resolver: ExpressionResolver) -> Typed:
    """A star where one value is wanted."""
    assert isinstance(expression, (UnresolvedStar, UnresolvedRegex))
    shown = "'*'" if isinstance(expression, UnresolvedStar) else f"'{expression.pattern}'"
    raise analysis_error(
        "INVALID_USAGE_OF_STAR_OR_REGEX", expression.origin, elem=shown, prettyName="expression"
    )


def resolve_python_function(expression: PythonFunction, resolver: ExpressionResolver) -> Typed:
    """User Python, which runs in workers of its own."""
    return python_call(expression, resolver)

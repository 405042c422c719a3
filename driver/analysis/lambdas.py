"""Lambda functions as arguments of higher-order functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.names import Name, called
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedLambda
from voltray.executors.functions.registry import Function
from voltray.proto.expressions import Expression, Lambda, LambdaVariable, new_id
from voltray.proto.types import DataType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

OPTIONAL_INDEX = ("transform", "filter")
"""Functions whose lambda function may take an element's index too."""


def constant_lambda(body: Typed, entry: Function, known: tuple[Expression, ...], position: int) -> Typed:
    """An expression in a lambda function's place: a function that uses none of its parameters."""
    types = entry.lambda_types(known, position) if entry.lambda_types is not None else ()
    count = 1 if entry.names[0] in OPTIONAL_INDEX else len(types)
    variables = tuple([LambdaVariable(new_id(), f"col{i}", t, null) for i, (t, null) in enumerate(types[:count])])
    shown: list[Name] = [body.name, *["namedlambdavariable()" for _ in variables]]
    return Typed(Lambda(body.expression, variables), called("lambdafunction", shown))


def resolve_lambda(
    argument: UnresolvedLambda,
    types: tuple[tuple[DataType, bool], ...],
    resolver: ExpressionResolver,
    optional_index: bool = False,
) -> Typed:
    """A lambda function whose parameters have these types; the second of them may be left out where it is an index."""
    names = argument.parameters
    sensitive = resolver.environment.case_sensitive
    folded = [n if sensitive else n.lower() for n in names]
    if len(set(folded)) < len(folded):
        raise analysis_error(
            "INVALID_LAMBDA_FUNCTION_CALL.DUPLICATE_ARG_NAMES", argument.origin,
            args=", ".join(f"`{n}`" for n in folded), caseSensitiveConfig='"spark.sql.caseSensitive"',
        )  # fmt: skip
    if len(names) != len(types) and not (optional_index and len(names) == 1):
        raise analysis_error(
            "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH", argument.origin,
            expectedNumArgs=len(names), actualNumArgs=1 if optional_index else len(types),
        )  # fmt: skip
    variables = tuple([LambdaVariable(new_id(), n, t, null) for n, (t, null) in zip(names, types, strict=False)])
    body = resolver.with_lambdas(variables, sensitive).resolve(argument.body)
    shown: list[Name] = [body.name, *["namedlambdavariable()" for _ in variables]]
    return Typed(Lambda(body.expression, variables), called("lambdafunction", shown))

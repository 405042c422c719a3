"""Users' Python functions: given in an expression, or registered and called by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, unsupported
from voltray.driver.analysis.names import Name, called, rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import NamedArgument, PythonFunction, UnresolvedFunction
from voltray.proto.expressions import AggregateCall, LambdaVariable, PythonCall, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

AGGREGATE_EVAL_TYPES = frozenset((202, 252))
SCALAR_EVAL_TYPES = frozenset((100, 101, 200, 204, 250, 251))


@dataclass(frozen=True, slots=True)
class RegisteredFunction:
    """A Python function under a name of the session."""

    function: PythonFunction

    def resolve(self, expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
        """A call of it."""
        name = expression.name[-1]
        if expression.distinct:
            kind = "pythonudaf" if self.function.eval_type in AGGREGATE_EVAL_TYPES else "pythonudf"
            raise analysis_error(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX", expression.origin,
                prettyName=f"`{kind}`", syntax="DISTINCT",
            )  # fmt: skip
        given = replace(self.function, name=name, args=expression.args, origin=expression.origin)
        return python_call(given, resolver)


def python_call(function: PythonFunction, resolver: ExpressionResolver) -> Typed:
    """A function on resolved arguments, under Spark's generated name."""
    if function.eval_type in AGGREGATE_EVAL_TYPES:
        return _aggregate_call(function, resolver)
    if function.eval_type not in SCALAR_EVAL_TYPES:
        named = f"the Python function {function.name} of evaluation type {function.eval_type}"
        raise unsupported(named, function.origin)
    call, name = _bound(function, resolver)
    return Typed(call, name)


def _aggregate_call(function: PythonFunction, resolver: ExpressionResolver) -> Typed:
    call, name = _bound(function, resolver)
    options = (("python", replace(call, args=())),)
    # Not under the function's own name, which may be that of a built-in aggregate.
    return Typed(AggregateCall("python_aggregate", call.args, call.dtype, options=options), name)


def _bound(function: PythonFunction, resolver: ExpressionResolver) -> tuple[PythonCall, Name]:
    values = [a.value if isinstance(a, NamedArgument) else a for a in function.args]
    names = tuple([a.name if isinstance(a, NamedArgument) else None for a in function.args])
    check_names(function.name, names, function.origin)
    typed = [resolver.resolve(v) for v in values]
    if any(isinstance(part, LambdaVariable) for t in typed for part in walk(t.expression)):
        raise analysis_error(
            "UNSUPPORTED_FEATURE.LAMBDA_FUNCTION_WITH_PYTHON_UDF", function.origin,
            funcName=f'"{function.name}({", ".join(t.text for t in typed)})"',
        )  # fmt: skip
    shown = [t.name if n is None else rope(f"{n} => ", t.name) for t, n in zip(typed, names, strict=True)]
    call = PythonCall(
        function.name,
        tuple([t.expression for t in typed]),
        output_type(function, resolver),
        function.eval_type,
        function.command,
        function.python_version,
        function.deterministic,
        names,
    )
    return call, called(function.name, shown)


def check_names(function: str, names: tuple[str | None, ...], origin: QueryContext | None) -> None:
    """Named arguments come last, each name once."""
    seen: list[str] = []
    for name in names:
        if name is None and seen:
            raise analysis_error(
                "UNEXPECTED_POSITIONAL_ARGUMENT", origin, routineName=f"`{function}`", parameterName=f"`{seen[-1]}`"
            )
        if name in seen:
            raise analysis_error(
                "DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.DOUBLE_NAMED_ARGUMENT_REFERENCE", origin,
                routineName=f"`{function}`", parameterName=f"`{name}`",
            )  # fmt: skip
        if name is not None:
            seen.append(name)


def output_type(function: PythonFunction, resolver: ExpressionResolver) -> DataType:
    """What a function gives; clients send some types as text."""
    dtype = function.output_type
    if isinstance(dtype, str):
        return resolver.environment.parse_schema(dtype)
    return dtype if isinstance(dtype, DataType) else StringType()

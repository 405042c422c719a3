"""Users' Python functions: given in an expression, or registered and called by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, unsupported
from voltray.driver.analysis.names import Name, called, rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import NamedArgument, PythonFunction, UnresolvedFunction
from voltray.proto.expressions import AggregateCall, Attribute, Cast, Expression, PythonCall, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.analysis.resolver import ExpressionResolver

_CAST = re.compile(r"\b(?:TRY_)?CAST\(")
_CAST_TYPE = re.compile(r" AS [A-Z_]+(?:\(\d+(?:,\d+)?\))?(?=\))")
AGGREGATE_EVAL_TYPES = frozenset((202, 252))
SCALAR_EVAL_TYPES = frozenset((100, 101, 200, 204, 250, 251))


@dataclass(frozen=True, slots=True)
class RegisteredFunction:
    """A Python function under a name of the session."""

    function: PythonFunction

    def resolve(self, expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
        """A call of it."""
        name = expression.name[-1]
        given = ((expression.distinct, "DISTINCT"), (expression.filter is not None, "FILTER CLAUSE"))
        for syntax in [text for present, text in given if present]:
            kind = "pythonudaf" if self.is_aggregate else "pythonudf"
            raise analysis_error(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX", expression.origin,
                prettyName=f"`{kind}`", syntax=syntax,
            )  # fmt: skip
        call = replace(self.function, name=name, args=expression.args, origin=expression.origin)
        return python_call(call, resolver)

    @property
    def is_aggregate(self) -> bool:
        """Whether it makes one value of the rows of a group."""
        return self.function.eval_type in AGGREGATE_EVAL_TYPES


def is_aggregate_in_python(node: Expression, environment: Environment) -> bool:
    """Whether an unresolved expression calls a user's aggregate function."""
    if isinstance(node, PythonFunction):
        return node.eval_type in AGGREGATE_EVAL_TYPES
    if not isinstance(node, UnresolvedFunction) or node.is_operator:
        return False
    user = environment.user_function(node.name)
    return isinstance(user, RegisteredFunction) and user.is_aggregate


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
    if resolver.lambdas:
        raise analysis_error(
            "UNSUPPORTED_FEATURE.LAMBDA_FUNCTION_WITH_PYTHON_UDF", function.origin,
            funcName=f'"{function.name}({", ".join(t.text for t in typed)})"',
        )  # fmt: skip
    shown = [_shown(t) if n is None else rope(f"{n} => ", _shown(t)) for t, n in zip(typed, names, strict=True)]
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


def _shown(argument: Typed) -> Name:
    """An argument in a function's generated name, where casts stand in small letters."""
    if isinstance(argument.expression, Attribute) or not any(isinstance(n, Cast) for n in walk(argument.expression)):
        return argument.name
    text = _CAST.sub(lambda found: found[0].lower(), argument.text)
    return _CAST_TYPE.sub(lambda found: found[0].lower(), text)


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

"""``range`` in FROM: one to four constant BIGINTs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error, ordinal, shown_type
from voltray.driver.analysis.functions import is_foldable
from voltray.driver.analysis.resolver import ExpressionResolver
from voltray.driver.analysis.scope import Resolved, Scope, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import NamedArgument
from voltray.proto.expressions import Attribute, Expression, ScalarSubquery, new_id, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import INTEGER, LONG, DecimalType, NullType, NumericType, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

_NAMES = ("start", "end", "step", "numSlices")
_FITTING = (NumericType, DecimalType, StringType, NullType)


def resolve_range_function(relation: r.TableFunction, analysis: Analysis) -> Resolved:
    """Numbers from a start (0) up to an end in steps (1)."""
    origin = relation.origin
    if not 1 <= len(relation.args) <= len(_NAMES):
        raise analysis_error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", origin, functionName="`range`", expectedNum="[1, 2, 3, 4]",
            actualNum=len(relation.args), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    names = ("end",) if len(relation.args) == 1 else _NAMES
    resolver = analysis.over(Scope(()))
    given = {name: _value(a, name, resolver, origin) for name, a in zip(names, relation.args, strict=False)}
    step = given.get("step", 1)
    slices = given.get("numSlices")
    if step == 0 or (slices is not None and slices <= 0):
        raise analysis_error("FAILED_FUNCTION_CALL", origin, funcName="`range`")
    attribute = Attribute(new_id(), "id", LONG, False)
    return leaf_scope(logical.Range((attribute,), given.get("start", 0), given["end"], step, slices))


def _value(argument: Expression, name: str, resolver: ExpressionResolver, origin: QueryContext | None) -> int:
    wanted = INTEGER if name == "numSlices" else LONG
    shown = '"INT"' if name == "numSlices" else '"BIGINT"'
    if isinstance(argument, NamedArgument):
        raise _not_constant(name, shown, origin)
    typed = resolver.resolve(argument)
    subquery = any(isinstance(node, ScalarSubquery) for node in walk(typed.expression))
    if subquery or not is_foldable(typed.expression):
        raise _not_constant(name, shown, origin)
    if not isinstance(typed.dtype, _FITTING):
        raise analysis_error(
            "UNEXPECTED_INPUT_TYPE", origin, functionName="`range`", paramIndex=ordinal(_NAMES.index(name)),
            requiredType=shown, inputSql=f'"{typed.text}"', inputType=shown_type(typed.dtype),
        )  # fmt: skip
    value = constant_value(cast_to(typed.expression, wanted, resolver.environment.ansi), resolver.environment)
    if value is None:
        raise analysis_error(
            "UNEXPECTED_INPUT_TYPE", origin, functionName="`range`", paramIndex=ordinal(_NAMES.index(name)),
            requiredType=shown, inputSql=f'"{typed.text}"', inputType='"VOID"',
        )  # fmt: skip
    return int(value)


def _not_constant(name: str, shown: str, origin: QueryContext | None) -> Exception:
    return analysis_error(
        "NON_FOLDABLE_ARGUMENT", origin, funcName="`range`", paramName=f"`{name}`", paramType=shown
    )

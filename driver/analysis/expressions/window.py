"""``function OVER (PARTITION BY ... ORDER BY ... frame)``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type
from voltray.driver.analysis.expressions.window_checks import (
    check_aggregate_frame,
    check_bound_types,
    check_bounds,
    check_frame,
    check_function,
)
from voltray.driver.analysis.functions import find_function, is_foldable
from voltray.driver.analysis.names import Name, listed, rope, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.sql_functions import refuse_sql_functions
from voltray.driver.plan.expressions import UnresolvedFrame, UnresolvedFunction, UnresolvedWindow
from voltray.executors.functions.registry import FunctionKind
from voltray.proto.coercion import implicit_cast
from voltray.proto.expressions import (
    AggregateCall,
    Call,
    Expression,
    FrameKind,
    Literal,
    SortOrder,
    WindowCall,
    WindowFrame,
    dtype_of,
)  # fmt: skip
from voltray.proto.failures import QueryContext
from voltray.proto.types import INTEGER, DataType, DateType, IntegralType, NumericType, StringType, same_type

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

_UP_TO_NOW = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"})
_OFFSETS = frozenset({"lag", "lead"})
_NOW_TEXT = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
_RANGE_NOW_TEXT = "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
_WHOLE_TEXT = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"


def resolve_window(expression: UnresolvedWindow, resolver: ExpressionResolver) -> Typed:
    """A function over a window."""
    expression = _with_definition(expression, resolver)
    if isinstance(expression.function, UnresolvedFunction):
        named = replace(expression.function, args=())
        refuse_sql_functions("Window", [named], resolver.environment)
    function = replace(resolver, windowed=True).resolve(expression.function)
    call = function.expression
    ignore_nulls = _ignores_nulls(expression)
    if not _is_window_function(call):
        raise analysis_error("UNSUPPORTED_EXPR_FOR_WINDOW", expression.origin, sqlExpr=f'"{function.text}"')
    partitions = [resolver.resolve(p) for p in expression.partition_by]
    orders = [resolver.resolve(o) for o in expression.order_by]
    check_function(call, expression)
    check_aggregate_frame(call, function.text, expression)
    keys = tuple([o.expression for o in orders if isinstance(o.expression, SortOrder)])
    frame, frame_text = _frame(call, expression, keys, resolver)
    check_frame(call, expression, frame, keys)
    _check(call, keys, expression, function, frame_text)
    parts: list[Name] = []
    if partitions:
        parts.append(rope("PARTITION BY ", listed([p.name for p in partitions])))
    if orders:
        parts.append(rope("ORDER BY ", listed([o.name for o in orders])))
    parts.append(frame_text)
    name = rope(function.name, " OVER (", listed(parts, " "), ")")
    if isinstance(call, AggregateCall) and call.distinct:
        raise analysis_error(
            "DISTINCT_WINDOW_FUNCTION_UNSUPPORTED", expression.origin, windowExpr=f'"{text_of(name)}"'
        )
    window = WindowCall(call, tuple([p.expression for p in partitions]), keys, frame, ignore_nulls)
    return Typed(window, name)


def _with_definition(expression: UnresolvedWindow, resolver: ExpressionResolver) -> UnresolvedWindow:
    if expression.window_name is None:
        return expression
    definition = resolver.analysis.windows.get(expression.window_name.lower())
    if definition is None:
        raise analysis_error(
            "MISSING_WINDOW_SPECIFICATION", expression.origin, windowName=expression.window_name, docroot=""
        )
    whole = _with_definition(definition, resolver)
    return replace(
        expression,
        partition_by=expression.partition_by or whole.partition_by,
        order_by=expression.order_by or whole.order_by,
        frame=expression.frame or whole.frame,
        window_name=None,
    )


def _ignores_nulls(expression: UnresolvedWindow) -> bool:
    return isinstance(expression.function, UnresolvedFunction) and bool(expression.function.ignore_nulls)


def _is_window_function(call: Expression) -> bool:
    if isinstance(call, AggregateCall):
        return True
    if isinstance(call, Call):
        entry = find_function(call.name)
        return entry is not None and entry.kind is FunctionKind.WINDOW
    return False


def _frame(
    call: Expression, expression: UnresolvedWindow, keys: tuple[SortOrder, ...], resolver: ExpressionResolver
) -> tuple[WindowFrame, Name]:
    if isinstance(call, Call) and call.name in _UP_TO_NOW:
        text = _NOW_TEXT if call.name != "cume_dist" else _RANGE_NOW_TEXT
        return WindowFrame(FrameKind.ROWS, None, 0), text
    if isinstance(call, Call) and call.name in _OFFSETS:
        return _offset_frame(call)
    if expression.frame is None:
        if keys:
            return WindowFrame(FrameKind.RANGE, None, 0), _RANGE_NOW_TEXT
        return WindowFrame(FrameKind.ROWS, None, None), _WHOLE_TEXT
    return _written_frame(expression.frame, keys, resolver, expression.origin)


def _offset_frame(call: Call) -> tuple[WindowFrame, Name]:
    offset = call.args[1] if len(call.args) > 1 else Literal(1, INTEGER)
    count = offset.value if isinstance(offset, Literal) and isinstance(offset.value, int) else 1
    bound = -count if call.name == "lag" else count
    text = f"ROWS BETWEEN {bound} FOLLOWING AND {bound} FOLLOWING"
    return WindowFrame(FrameKind.ROWS, bound, bound), text


def _written_frame(
    frame: UnresolvedFrame, keys: tuple[SortOrder, ...], resolver: ExpressionResolver, origin: QueryContext | None
) -> tuple[WindowFrame, Name]:
    kind = FrameKind(frame.kind)
    check_bounds(frame, kind.name, origin)
    lower, lower_text = _bound(frame.lower, kind, keys, resolver, "PRECEDING", origin)
    upper, upper_text = _bound(frame.upper, kind, keys, resolver, "FOLLOWING", origin)
    text = rope(kind.name, " BETWEEN ", lower_text, " AND ", upper_text)
    if kind is FrameKind.RANGE and not keys and (frame.lower, frame.upper) != ("unbounded", "unbounded"):
        shown = rope("(", text, ")")
        raise mismatch("RANGE_FRAME_WITHOUT_ORDER", text_of(shown), origin)
    written = not isinstance(frame.lower, str) and not isinstance(frame.upper, str)
    if written and isinstance(lower, int) and isinstance(upper, int) and lower > upper:
        raise mismatch(
            "SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON", text_of(text), origin, comparison="less than or equal"
        )
    if kind is FrameKind.RANGE and written and keys and not isinstance(dtype_of(keys[0]), NumericType):
        check_bound_types(frame, text_of(text), resolver, origin)
    return WindowFrame(kind, lower, upper), text


def _bound(
    bound: Expression | str,
    kind: FrameKind,
    keys: tuple[SortOrder, ...],
    resolver: ExpressionResolver,
    side: str,
    origin: QueryContext | None,
) -> tuple[Expression | int | None, Name]:
    if isinstance(bound, str):
        if bound == "unbounded":
            return None, f"UNBOUNDED {side}"
        return 0, "CURRENT ROW"
    typed = resolver.resolve(bound)
    text = rope(typed.name, " FOLLOWING")
    negative = isinstance(bound, UnresolvedFunction) and bound.name[0] in ("negative", "-") and len(bound.args) == 1
    if negative:
        assert isinstance(bound, UnresolvedFunction)
        plain = kind is FrameKind.ROWS or not keys or same_type(dtype_of(keys[0]), typed.dtype)
        inner = resolver.resolve(bound.args[0])
        if plain or not isinstance(typed.dtype, NumericType):
            text = rope(inner.name, " PRECEDING")
        else:  # Spark casts the bound, and then no longer sees the sign
            text = rope("(- ", inner.name, ") FOLLOWING")
    if not is_foldable(typed.expression):
        raise mismatch("SPECIFIED_WINDOW_FRAME_WITHOUT_FOLDABLE", text_of(text), origin,
                       location="lower" if side == "PRECEDING" else "upper",
                       expression=f'"{typed.text}"')  # fmt: skip
    value = constant(typed.expression)
    if isinstance(typed.dtype, IntegralType) and isinstance(value, int):
        if kind is FrameKind.ROWS or not keys or _counts(dtype_of(keys[0])):
            return value, text
    if kind is FrameKind.ROWS:
        raise mismatch(
            "SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE", text_of(text), origin,
            location="lower" if side == "PRECEDING" else "upper",
            exprType=shown_type(typed.dtype), expectedType='"INT"',
        )  # fmt: skip
    return _range_bound(typed, keys, resolver), text


def _counts(dtype: DataType) -> bool:
    return isinstance(dtype, (IntegralType, DateType))


def _range_bound(typed: Typed, keys: tuple[SortOrder, ...], resolver: ExpressionResolver) -> Expression:
    ansi = resolver.environment.ansi
    key = dtype_of(keys[0])
    if isinstance(key, NumericType) and isinstance(typed.dtype, NumericType):
        target = implicit_cast(typed.dtype, key, ansi)
        if target is not None:
            value = constant(typed.expression)
            if isinstance(value, int) and not isinstance(target, IntegralType):
                return cast_to(Literal(value, INTEGER), target, ansi)
            return cast_to(typed.expression, target, ansi)
    if isinstance(key, NumericType) and isinstance(typed.dtype, StringType):
        return Literal(constant_value(cast_to(typed.expression, key, ansi), resolver.environment), key)
    return typed.expression


def constant(expression: Expression) -> object:
    """The value of a plain (perhaps negated or cast) constant, or None."""
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Call) and expression.name == "negative":
        value = constant(expression.args[0])
        return -value if isinstance(value, (int, float)) else None
    child = getattr(expression, "child", None)
    return constant(child) if isinstance(child, Expression) else None


def _check(
    call: Expression, keys: tuple[SortOrder, ...], expression: UnresolvedWindow, function: Typed, frame: Name
) -> None:
    if not isinstance(call, Call) or keys:
        return
    if call.name in _UP_TO_NOW | _OFFSETS - {"row_number"} or call.name in ("row_number", "nth_value"):
        if call.name != "nth_value":
            raise analysis_error("_LEGACY_ERROR_TEMP_1037", expression.origin, wf=function.text)
